// SPDX-License-Identifier: Apache-2.0

package encryption

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
)

// process is what a Redis does by now.
type process struct {
	certificate, trusted string // of which generation of certificate, and of which authorities
	plain, encrypted     bool   // which ports are open
}

// pod is a Redis with the Secret that its kubelet has mounted, which is an older one for a while.
type pod struct {
	mounted State
	process process
	taken   string // the generation that its process has taken
	away    bool
	excused bool // has been away, and was not met since: certificates change without it
}

// fleet is a RedisHA whose encryption is on its way.
type fleet struct {
	t     *testing.T
	rng   *rand.Rand
	now   time.Time
	state State
	goal  Goal
	pods  []*pod
	made  int
	log   []string
}

func newFleet(t *testing.T, seed uint64) *fleet {
	f := &fleet{t: t, rng: rand.New(rand.NewPCG(seed, 1)), now: time.Unix(1e9, 0)}
	f.goal = Goal{Stage: v1alpha1.TLSStageClear, TrustFormer: time.Hour}
	for range 3 {
		f.pods = append(f.pods, &pod{process: process{plain: true}})
	}
	return f
}

func (f *fleet) note(format string, args ...any) { f.log = append(f.log, fmt.Sprintf(format, args...)) }

// material is a new certificate of an authority.
func (f *fleet) material(authority string) *Material {
	f.made++
	return &Material{
		Certificate: fmt.Appendf(nil, "%s %d", authority, f.made), Key: []byte("key"), Trusted: [][]byte{[]byte(authority)},
	}
}

func (p *pod) is(s State, m *Material) {
	e := s.encryption(&Material{}, "")
	if m == nil {
		p.process = process{plain: true}
		return
	}
	p.process = process{
		certificate: string(m.Certificate), trusted: string(bytes.Join(m.Trusted, []byte(" "))),
		plain: e.PlainPort != 0, encrypted: e.TLSPort != 0,
	}
}

// encrypt is what the operator asks of a process: Redis refuses a file that is not mounted yet.
func (f *fleet) encrypt(p *pod) {
	if p.away || p.mounted.Generation() != f.state.Generation() || f.state.Live == nil {
		return
	}
	p.is(f.state, f.state.Live)
	p.taken, p.excused = f.state.Generation(), false
}

func (f *fleet) step() {
	p := f.pods[f.rng.IntN(len(f.pods))]
	switch f.rng.IntN(12) {
	case 0, 1, 2:
		f.walk()
	case 3, 4:
		if !p.away {
			p.mounted = f.state
		}
	case 5, 6, 7:
		f.encrypt(p)
	case 8: // its process dies, and starts with what is mounted
		p.is(p.mounted, p.mounted.boot())
		p.taken = ""
	case 9: // it is replaced
		*p = pod{mounted: f.state}
		p.is(f.state, f.state.boot())
	case 10:
		p.away = !p.away && f.rng.IntN(4) == 0
		p.excused = p.excused || p.away
	case 11:
		f.now = f.now.Add(time.Duration(f.rng.IntN(30)) * time.Minute)
		f.want()
	}
}

// walk is a pass of the operator.
func (f *fleet) walk() {
	reached := Reached{Answering: true, All: true}
	for _, p := range f.pods {
		like := p.taken == f.state.Generation()
		reached.All = reached.All && like && !p.away
		reached.Answering = reached.Answering && (like || p.away)
	}
	next := f.state.Next(f.goal, reached, f.now)
	if next.Generation() != f.state.Generation() {
		f.note("%s, trial %t, live %s, boot %s", next.Stage, next.Trial, name(next.Live), name(next.boot()))
	}
	f.state = next
}

func name(m *Material) string {
	if m == nil {
		return "none"
	}
	return fmt.Sprintf("%s trusting %s", m.Certificate, bytes.Join(m.Trusted, []byte(" ")))
}

// want is another spec, or another content of its Secret.
func (f *fleet) want() {
	switch f.rng.IntN(9) {
	case 0:
		f.goal.Stage, f.goal.Material = v1alpha1.TLSStageClear, nil
	case 1:
		f.goal.Stage = v1alpha1.TLSStageUsed
	case 2, 3:
		f.goal.Stage = v1alpha1.TLSStageRequired
	case 4:
		f.goal.Material = nil // the Secret is broken, or gone
	}
	if f.goal.Stage != v1alpha1.TLSStageClear && f.rng.IntN(3) == 0 {
		f.goal.Material = f.material(string(rune('A' + f.rng.IntN(3))))
	}
	f.note("wanted: %s with %s", f.goal.Stage, name(f.goal.Material))
}

// check fails when a process cannot be talked to in the way in which it would be.
func (f *fleet) check() {
	f.t.Helper()
	for i, p := range f.pods {
		switch {
		case f.state.Used() && !p.process.encrypted:
			f.fail("pod %d takes no encrypted connections, and the operator makes such", i)
		case !f.state.Used() && !p.process.plain:
			f.fail("pod %d takes no connections in clear, and the operator makes such", i)
		case f.state.Used() && !p.excused && !f.operatorTrusts(p):
			f.fail("the operator does not trust what pod %d shows: %s", i, p.process.certificate)
		}
		for j, q := range f.pods {
			if f.state.Used() && !p.excused && !q.excused && !trusts(p.process.trusted, q.process.certificate) {
				f.fail("pod %d trusts %s, and pod %d shows %s", i, p.process.trusted, j, q.process.certificate)
			}
		}
	}
}

func (f *fleet) operatorTrusts(p *pod) bool {
	for _, m := range []*Material{f.state.Live, f.state.boot()} {
		if m != nil && trusts(string(bytes.Join(m.Trusted, []byte(" "))), p.process.certificate) {
			return true
		}
	}
	return false
}

func trusts(trusted, certificate string) bool {
	return bytes.Contains([]byte(trusted), []byte(certificate[:1]))
}

func (f *fleet) fail(format string, args ...any) {
	f.t.Helper()
	for _, line := range f.log[max(0, len(f.log)-20):] {
		f.t.Log(line)
	}
	f.t.Fatalf(format, args...)
}

// Whatever is wanted meanwhile, and whoever dies, is replaced, is away, or has a kubelet that is late: who is there is
// talked to in a way that it knows, at every moment.
func TestEverybodyCanBeTalkedToAllTheWay(t *testing.T) {
	walked := map[v1alpha1.TLSStage]int{}
	for seed := range uint64(3000) {
		f := newFleet(t, seed)
		for range 400 {
			f.step()
			f.check()
			walked[f.state.Stage]++
		}
	}
	for _, stage := range stages {
		if walked[stage] < 1000 {
			t.Errorf("stage %s was seen in %d steps only", stage, walked[stage])
		}
	}
}

// When everybody is there and nothing else is wanted any more, what is wanted comes.
func TestTheGoalIsReached(t *testing.T) {
	for seed := range uint64(1000) {
		f := newFleet(t, seed)
		for range 200 {
			f.step()
		}
		if f.goal.Stage != v1alpha1.TLSStageClear && f.goal.Material == nil {
			f.goal.Material = f.material("A")
		}
		for range 60 {
			f.now = f.now.Add(2 * time.Hour)
			for _, p := range f.pods {
				p.away, p.mounted = false, f.state
				f.encrypt(p)
			}
			f.walk()
			f.check()
		}
		want := f.goal.Material
		switch {
		case f.goal.Stage == v1alpha1.TLSStageClear && f.state.Live != nil:
			f.fail("seed %d: encrypted, and is to be in clear", seed)
		case f.goal.Stage == v1alpha1.TLSStageClear:
		case f.state.Stage != f.goal.Stage || f.state.Trial || !f.state.Live.equal(want):
			f.fail("seed %d: at %s with %s; want %s with %s", seed, f.state.Stage, name(f.state.Live), f.goal.Stage, name(want))
		}
	}
}

// A certificate that Redis refuses never becomes what processes start with, and can be put right.
func TestWhatRedisRefusesIsOnTrialForever(t *testing.T) {
	f := newFleet(t, 1)
	good := f.material("A")
	f.state = State{Stage: v1alpha1.TLSStageRequired, Live: good}
	f.goal = Goal{Stage: v1alpha1.TLSStageRequired, Material: f.material("A"), TrustFormer: time.Hour}
	everybody := Reached{Answering: true, All: true}
	f.state = f.state.Next(f.goal, everybody, f.now)
	for range 10 {
		f.state = f.state.Next(f.goal, Reached{}, f.now)
	}
	if !f.state.Trial || f.state.boot() != good {
		t.Fatalf("starts with %s", name(f.state.boot()))
	}
	f.goal.Material = f.material("A")
	if f.state = f.state.Next(
		f.goal,
		Reached{},
		f.now,
	); f.state.Live != f.goal.Material &&
		!f.state.Live.equal(f.goal.Material) {
		t.Errorf("the corrected one is not tried: %s", name(f.state.Live))
	}
}

// An authority that is not wanted any more is trusted for a while, and then not.
func TestAFormerAuthorityIsTrustedForAWhile(t *testing.T) {
	f := newFleet(t, 1)
	f.state = State{Stage: v1alpha1.TLSStageUsed, Live: f.material("A")}
	f.goal = Goal{Stage: v1alpha1.TLSStageUsed, Material: f.material("B"), TrustFormer: time.Hour}
	everybody := Reached{Answering: true, All: true}
	began := f.now
	for f.state.Stage != "" && f.now.Sub(began) < 2*time.Hour {
		f.state = f.state.Next(f.goal, everybody, f.now)
		former := slices.ContainsFunc(f.state.Live.Trusted, func(ca []byte) bool { return string(ca) == "A" })
		if passed := f.now.Sub(began); passed < 50*time.Minute && !former || passed > 80*time.Minute && former {
			t.Fatalf("after %s the former authority is trusted: %t", passed, former)
		}
		f.now = f.now.Add(time.Minute)
	}
	if string(f.state.Live.Certificate) != string(f.goal.Material.Certificate) || !f.state.FormerUntil.IsZero() {
		t.Errorf("at the end %s until %s", name(f.state.Live), f.state.FormerUntil)
	}
}
