// SPDX-License-Identifier: Apache-2.0

package accounts

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/redisha/redisha/redisclient"
)

// process is a Redis: whom it knows, and what it shows its master.
type process struct {
	knows redisclient.Users
	told  string // the generation; empty when it was not since it started
	away  bool
	// was away and not told since: it shows what it has shown before, and is told as soon as it is back
	excused bool
}

// lets reports that whoever shows that may use a command; the rules of these tests deny one by one.
func (p *process) lets(shown redisclient.Credentials, command string) bool {
	if shown.User == "" {
		shown.User = redisclient.DefaultUser
	}
	i := slices.IndexFunc(p.knows.All, func(u redisclient.User) bool { return u.Name == shown.User })
	if i < 0 || !slices.Contains(p.knows.All[i].Passwords, shown.Password) {
		return false
	}
	may := false
	for _, rule := range p.knows.All[i].Rules {
		switch rule {
		case "+@all", "+" + command:
			may = true
		case "-" + command:
			may = false
		}
	}
	return may
}

// fleet is a RedisHA whose users change.
type fleet struct {
	rng       *rand.Rand
	now       time.Time
	states    []State // the last one is in force
	goal      Goal
	processes []*process
	made      int // passwords that were made so far
}

func (f *fleet) state() State { return f.states[len(f.states)-1] }

func newFleet(seed uint64, first State) *fleet {
	f := &fleet{rng: rand.New(rand.NewPCG(seed, 7)), now: time.Unix(1e9, 0), states: []State{first}}
	f.goal = Goal{Password: first.Default.Current, KeepFormer: time.Hour, Running: true}
	for range 3 {
		f.processes = append(f.processes, &process{knows: first.ForProcess()})
	}
	return f
}

func (f *fleet) step() {
	p := f.processes[f.rng.IntN(3)]
	switch f.rng.IntN(8) {
	case 0, 1:
		told := !slices.ContainsFunc(f.processes, func(p *process) bool {
			return !p.away && p.told != f.state().Generation()
		})
		f.made++
		f.goal.Fresh = fmt.Sprint("fresh ", f.made)
		f.states = append(f.states, f.state().Next(f.goal, told, f.now))
	case 2, 3, 4:
		if !p.away {
			p.knows, p.told, p.excused = f.state().ForProcess(), f.state().Generation(), false
		}
	case 5: // it starts with what is mounted, which may be a little old
		if !p.away {
			lag := min(f.rng.IntN(3), len(f.states)-1)
			p.knows, p.told, p.excused = f.states[len(f.states)-1-lag].ForProcess(), "", true
		}
	case 6:
		p.away = f.rng.IntN(10) == 0
		p.excused = p.excused || p.away
	case 7:
		f.now = f.now.Add(time.Duration(f.rng.IntN(20)) * time.Minute)
		f.want()
	}
}

func (f *fleet) want() {
	switch f.rng.IntN(8) {
	case 0:
		f.goal.Password = fmt.Sprintf("p%d", f.rng.IntN(4))
	case 1:
		f.goal.Password = "" // the Secret is gone
	case 2:
		f.goal.Rules = [][]string{nil, {"+config|get"}, {"off"}}[f.rng.IntN(3)]
	case 3:
		f.goal.Users = [][]Wanted{nil, {{Name: "one", Rules: []string{"+get"}, Password: "x"}}, {{Name: "one"}}}[f.rng.IntN(3)]
	}
}

// check that operator and replicas are let in.
func (f *fleet) check(t *testing.T, seed uint64) {
	t.Helper()
	shown := f.state().Shown()
	for i, p := range f.processes {
		mayAll := func(c redisclient.Credentials) bool {
			return p.lets(c, "replicaof") && p.lets(c, "acl|setuser") || c.User == "" && p.lets(c, "replicaof")
		}
		if !slices.ContainsFunc(shown, mayAll) {
			t.Fatalf("seed %d: the operator is not let in by process %d, which knows %+v", seed, i, p.knows)
		}
		for j, q := range f.processes {
			known := p.told != "" && q.told != "" && !p.excused && !q.excused
			if known && !p.lets(q.knows.Master, "psync") {
				t.Fatalf("seed %d: process %d does not let replica %d in", seed, i, j)
			}
		}
	}
}

// Whatever is wanted meanwhile, the operator is let in by every process that is there, whatever it started with, and
// replicas by each other. One set has always had system users, another one is given them while it runs.
func TestOperatorAndReplicasAreLetInAllTheWay(t *testing.T) {
	inUse := 0
	for seed := range uint64(300) {
		first := State{}.Next(Goal{Password: "p0", Fresh: "fresh 0"}, true, time.Unix(1e9, 0))
		if seed%2 == 0 {
			first.System.Current, first.Restricted = "", false
		}
		f := newFleet(seed, first)
		for range 300 {
			f.step()
			f.check(t, seed)
		}
		if f.state().System.Current != "" {
			inUse++
		}
	}
	if inUse < 280 {
		t.Errorf("system users are in use at the end of %d of 300 ways", inUse)
	}
}

func TestTheDefaultUserIsRestrictedOnceSystemUsersAreInUse(t *testing.T) {
	now := time.Unix(1e9, 0)
	old := State{}.Next(Goal{Password: "p"}, true, now)
	old.System.Current, old.Restricted = "", false
	goal := Goal{Password: "p", Running: true, Fresh: "first"}
	may := func(s State) bool {
		p := process{knows: s.ForProcess()}
		return p.lets(redisclient.Credentials{Password: "p"}, "replicaof")
	}
	coming := old.Next(goal, true, now)
	if !may(coming) || coming.ForProcess().Master.User != "" || len(coming.ForProcess().All) != 4 {
		t.Errorf("before every process knows them: %+v", coming.ForProcess())
	}
	goal.Fresh = "second"
	if waits := coming.Next(goal, false, now); waits.Generation() != coming.Generation() {
		t.Errorf("not every process was told, and it is %+v", waits)
	}
	inUse := coming.Next(goal, true, now)
	if !may(inUse) || inUse.ForProcess().Master.User != Replica || inUse.System.Current != "first" {
		t.Errorf("then: %+v", inUse.ForProcess())
	}
	if may(inUse.Next(goal, true, now)) || !may(inUse.Next(goal, false, now)) {
		t.Error("it is not restricted, or before every process uses them")
	}
}

// Whoever changes the password because it was stolen wants none of the others to stay either.
func TestSystemPasswordsAreRenewedWithTheDefaultUsers(t *testing.T) {
	now := time.Unix(1e9, 0)
	s := State{}.Next(Goal{Password: "old", Fresh: "1"}, true, now)
	for i := range 4 {
		s = s.Next(Goal{Password: "new", Running: true, Fresh: fmt.Sprint(i + 2), KeepFormer: time.Hour}, true, now)
	}
	if s.Default.Current != "new" || s.System.Current == "1" || !slices.Contains(s.System.Former, "1") {
		t.Errorf("%+v", s)
	}
	if s = s.Next(Goal{Password: "new", Running: true, Fresh: "9"}, true, now.Add(keepSystem)); len(s.System.Former) > 0 {
		t.Errorf("the former is still taken: %+v", s.System)
	}
}

func TestASecretTellsWhichUsersThereAre(t *testing.T) {
	now := time.Unix(1e9, 0).UTC()
	goal := Goal{
		Password: "p", Fresh: "f", Rules: []string{"+config|get"},
		Users: []Wanted{{Name: "one", Rules: []string{"+get", "~a:*"}, Password: "x"}, {Name: "none"}},
	}
	s := State{}.Next(goal, true, now)
	goal.Users[0].Password, goal.KeepFormer = "y", time.Minute
	s = s.Next(goal, true, now).Next(goal, true, now)
	data := map[string][]byte{"password": []byte("p"), Key: s.File()}
	if got := In(
		data,
		"password",
	); got.Conf() != s.Conf() || got.Generation() != s.Generation() ||
		!got.Until().Equal(s.Until()) {
		t.Errorf("%+v instead of %+v", got, s)
	}
	if rules, there := s.RulesOf("one"); !there || !slices.Equal(rules, []string{"+get", "~a:*"}) {
		t.Errorf("the rules are %v", rules)
	}
	if _, there := s.RulesOf("none"); there {
		t.Error("a user without a password is known")
	}
}
