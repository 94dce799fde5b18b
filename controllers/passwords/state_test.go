// SPDX-License-Identifier: Apache-2.0

package passwords

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const keep = time.Hour

var begun = time.Unix(1e9, 0).UTC()

// process is a Redis: what it takes, and what it shows its master.
type process struct {
	takes []string
	shows string
	away  bool
	// was away, and was not told since: it shows what it has shown before, and is told as soon as it is back
	excused bool
}

// fleet is a RedisHA whose password changes.
type fleet struct {
	rng       *rand.Rand
	now       time.Time
	state     State
	want      string
	processes []*process
	told      map[*process]string // what it was told to take
}

func newFleet(seed uint64) *fleet {
	f := &fleet{rng: rand.New(rand.NewPCG(seed, 2)), now: begun, want: "p0", told: map[*process]string{}}
	f.state = f.state.Next("p0", keep, true, f.now)
	for range 3 {
		f.processes = append(f.processes, &process{takes: []string{"p0"}, shows: "p0"})
	}
	return f
}

func (f *fleet) tell(p *process) {
	known := f.state.Known()
	letIn := slices.ContainsFunc(known, func(password string) bool { return slices.Contains(p.takes, password) })
	if p.away || !letIn {
		return
	}
	p.takes, p.shows = f.state.Taken(), f.state.Current
	f.told[p], p.excused = strings.Join(p.takes, " "), false
}

func (f *fleet) step() {
	p := f.processes[f.rng.IntN(3)]
	switch f.rng.IntN(8) {
	case 0, 1:
		told := true
		for _, p := range f.processes {
			told = told && (p.away || f.told[p] == strings.Join(f.state.Taken(), " "))
		}
		f.state = f.state.Next(f.want, keep, told, f.now)
	case 2, 3, 4:
		f.tell(p)
	case 5: // it is started anew, with what is mounted
		if !p.away {
			p.takes, p.shows = f.state.Taken(), f.state.Current
			delete(f.told, p)
		}
	case 6:
		p.away = f.rng.IntN(10) == 0
		p.excused = p.excused || p.away
	case 7:
		f.now = f.now.Add(time.Duration(f.rng.IntN(20)) * time.Minute)
		switch f.rng.IntN(6) {
		case 0:
			f.want = fmt.Sprintf("p%d", f.rng.IntN(4)) // another, or one from before: a rollback
		case 1:
			f.want = "" // the Secret is gone
		}
	}
}

// Whatever is wanted meanwhile, the operator and each replica is let in by every process that is there, and by one that
// was away for so many changes.
func TestTheOperatorAndReplicasAreLetInAllTheWay(t *testing.T) {
	for seed := range uint64(3000) {
		f := newFleet(seed)
		for range 300 {
			f.step()
			known := f.state.Known()
			for i, p := range f.processes {
				if !slices.ContainsFunc(known, func(k string) bool { return slices.Contains(p.takes, k) }) {
					t.Fatalf("seed %d: process %d takes %v, and the operator knows %v", seed, i, p.takes, known)
				}
				for j, q := range f.processes {
					if !p.excused && !q.excused && f.told[p] != "" && f.told[q] != "" && !slices.Contains(p.takes, q.shows) {
						t.Fatalf("seed %d: process %d takes %v, and process %d shows %s", seed, i, p.takes, j, q.shows)
					}
				}
			}
		}
	}
}

func TestAPasswordComesIntoUseWhenEveryProcessTakesIt(t *testing.T) {
	s := State{Current: "old"}
	s = s.Next("new", keep, true, begun)
	if s.Current != "old" || !slices.Contains(s.Taken(), "new") {
		t.Fatalf("at first %+v", s)
	}
	if waits := s.Next("new", keep, false, begun); waits.Current != "old" {
		t.Errorf("in use though a process has not been told: %+v", waits)
	}
	s = s.Next("new", keep, true, begun)
	if s.Current != "new" || !slices.Contains(s.Taken(), "old") {
		t.Fatalf("then %+v", s)
	}
	if s = s.Next("new", keep, true, begun.Add(keep-time.Second)); !slices.Contains(s.Taken(), "old") {
		t.Errorf("too early without the former one: %+v", s)
	}
	s = s.Next("new", keep, true, begun.Add(keep))
	if diff := cmp.Diff([]string{"new"}, s.Taken()); diff != "" || !slices.Contains(s.Known(), "old") {
		t.Errorf("at the end %+v: %s", s, diff)
	}
}

func TestARollbackInTheMiddleIsWithoutAWait(t *testing.T) {
	s := State{Current: "old"}.Next("new", keep, true, begun)
	if back := s.Next("old", keep, false, begun); back.Current != "old" || back.Coming != "" {
		t.Errorf("before the new one was in use: %+v", back)
	}
	s = s.Next("new", keep, true, begun)
	if back := s.Next("old", keep, true, begun); back.Current != "old" || !slices.Contains(back.Former, "new") {
		t.Errorf("after it was in use: %+v", back)
	}
}

func TestASecretThatIsGoneEndsWhatWasBegun(t *testing.T) {
	s := State{Current: "old"}.Next("new", keep, true, begun).Next("", keep, true, begun)
	if s.Current != "new" {
		t.Errorf("%+v", s)
	}
}

func TestASecretTellsWhichPasswordsThereAre(t *testing.T) {
	for _, s := range []State{
		{Current: "a"}, {Current: "a", Coming: "b"}, {Current: "a", Former: []string{"b"}, Until: begun},
		{Current: "a", Retired: []string{"b"}},
	} {
		data := map[string][]byte{"password": []byte(s.Current)}
		if file := s.File(); file != nil {
			data[Key] = file
		}
		if diff := cmp.Diff(s, In(data, "password"), cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
}

// A first password comes into use where there was none as any other does: when every process takes it.
func TestAFirstPasswordOfASetThatRunsIsWaitedFor(t *testing.T) {
	s := State{Coming: "new"}
	if waits := s.Next("", keep, false, begun); waits.Current != "" || !slices.Contains(waits.Taken(), "new") {
		t.Errorf("before every process takes it: %+v", waits)
	}
	if s = s.Next("", keep, true, begun); s.Current != "new" || s.Coming != "" || len(s.Former) > 0 {
		t.Errorf("then: %+v", s)
	}
}
