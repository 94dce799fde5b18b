// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"
)

const leader = "leader_10.0.0.1:8082_1"

// world is all that a standby asks about a leader.
type world struct {
	mu       sync.Mutex
	answer   Answer
	conns    []*wire
	brief    bool // connections end at once
	asked    int
	census   Census
	unknown  error // which nodes there are
	holder   string
	renewals int
	pod      bool // there is one
	podGone  bool
	hurried  int
	counted  int
	s        *Succession
}

type wire struct {
	ended chan struct{}
	once  sync.Once
}

func (w *wire) Ended() <-chan struct{} { return w.ended }
func (w *wire) Close()                 { w.once.Do(func() { close(w.ended) }) }

func (w *world) Ask(context.Context, string) (Answer, Connection) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if w.answer != Alive {
		return w.answer, nil
	}
	c := &wire{ended: make(chan struct{})}
	if w.brief {
		c.Close()
	}
	w.conns = append(w.conns, c)
	return Alive, c
}

func (w *world) Count(context.Context) (Census, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counted++
	return w.census, w.unknown
}

func (w *world) Watch(context.Context, string) func(context.Context) bool {
	if !w.pod {
		return nil
	}
	return func(context.Context) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.podGone
	}
}

func (w *world) Read(context.Context) (string, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.holder, w.renewal(), nil
}

func (w *world) renewal() string { return w.holder + strconv.Itoa(w.renewals) }

// change changes the world and lets a while pass.
func (w *world) change(change func()) {
	w.mu.Lock()
	change()
	w.mu.Unlock()
	time.Sleep(10 * time.Second)
	synctest.Wait()
}

// dies ends the leader's connections, and what its address does from then on.
func (w *world) dies(then Answer) {
	w.answer = then
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

// dead reports whether the leader's present lease may be taken.
func (w *world) dead() bool {
	w.mu.Lock()
	renewal := w.renewal()
	w.mu.Unlock()
	return w.s.Dead(renewal)
}

// standby runs a test against a standby that is connected to a leader; time passes only when all wait.
func standby(t *testing.T, prepare func(*world), test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{answer: Alive, census: Census{Asked: 3, Answered: 2}, holder: leader}
		if prepare != nil {
			prepare(w)
		}
		w.s = &Succession{
			Self: "standby_10.0.0.2:8082_2", Leader: w, Witnesses: w, Pods: w, Records: w, Clock: clock.RealClock{},
			Hurry: func() { w.mu.Lock(); defer w.mu.Unlock(); w.hurried++ },
		}
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { _ = w.s.Start(ctx) })
		w.s.Saw(leader)
		w.change(func() {})
		if w.dead() || w.counted > 0 {
			t.Fatalf("a leader that lives: dead %t, Redis nodes asked %d times", w.dead(), w.counted)
		}
		test(t, w)
		cancel()
		done.Wait()
	})
}

func TestALeaderThatIsRefusedAndListedNowhereIsDead(t *testing.T) {
	standby(t, nil, func(t *testing.T, w *world) {
		w.change(func() { w.dies(Refused) })
		if !w.dead() || w.hurried == 0 {
			t.Errorf("dead %t, the election was woken %d times", w.dead(), w.hurried)
		}
	})
}

func TestTheEndOfALeadersConnectionIsALookAtTheLeaseAtOnce(t *testing.T) {
	standby(t, nil, func(t *testing.T, w *world) {
		w.mu.Lock()
		w.dies(Refused)
		w.holder = "" // it has let go before it ended
		w.mu.Unlock()
		synctest.Wait()
		if w.hurried == 0 || w.dead() {
			t.Errorf("the election was woken %d times; dead %t", w.hurried, w.dead())
		}
	})
}

func TestALeaderThatIsOnlySilentIsNotDead(t *testing.T) {
	standby(t, nil, func(t *testing.T, w *world) {
		w.change(func() { w.answer = Silent }) // it is stopped: its connection stands
		if w.dead() || w.hurried > 0 {
			t.Error("taken for dead while its connection stands")
		}
		w.change(func() { w.dies(Silent) }) // it is cut off
		if w.dead() || w.counted > 0 {
			t.Errorf("taken for dead, or for gone (Redis asked %d times), for silence", w.counted)
		}
	})
}

func TestALeaderThatWasNeverReachedIsNotDead(t *testing.T) {
	standby(t, func(w *world) { w.answer = Refused }, func(t *testing.T, w *world) {
		w.change(func() {})
		if w.dead() {
			t.Error("an address that was never heard proves a death")
		}
	})
}

func TestALeaderThatAnyRedisListsIsNotDead(t *testing.T) {
	standby(t, nil, func(t *testing.T, w *world) {
		w.change(func() { w.census.Listing = 1; w.dies(Refused) })
		if w.dead() || w.counted == 0 {
			t.Errorf("dead %t after Redis was asked %d times", w.dead(), w.counted)
		}
		w.change(func() { w.census.Listing = 0 }) // its kernel has told them by now
		if !w.dead() {
			t.Error("not dead when no Redis lists it any more")
		}
	})
}

func TestAStandbyThatReachesNoRedisProvesNothing(t *testing.T) {
	standby(t, nil, func(t *testing.T, w *world) {
		w.change(func() { w.census = Census{Asked: 3}; w.dies(Refused) })
		if w.dead() {
			t.Error("dead by the word of no node")
		}
		w.change(func() { w.census.Answered, w.unknown = 1, errors.New("the cache is not filled") })
		if w.dead() {
			t.Error("dead, and it is not known which nodes there are")
		}
	})
}

func TestALeaderWhosePodIsGoneIsDead(t *testing.T) {
	standby(t, func(w *world) { w.pod = true }, func(t *testing.T, w *world) {
		w.change(func() { w.dies(Silent) })
		if w.dead() {
			t.Error("dead, and its pod is there")
		}
		w.change(func() { w.podGone = true })
		if !w.dead() {
			t.Error("not dead, and its pod is gone")
		}
	})
}

func TestALeaderThatRenewedItsLeaseSinceIsNotDead(t *testing.T) {
	standby(t, nil, func(t *testing.T, w *world) {
		w.change(func() { w.dies(Refused) })
		if !w.dead() {
			t.Fatal("not dead")
		}
		w.mu.Lock()
		w.renewals++
		w.mu.Unlock()
		if w.dead() {
			t.Error("dead, and it has renewed its lease")
		}
	})
}

// A leader that lost its lease replaces itself by a fresh program under the same name.
func TestALeaderThatBeganAnewIsNotDead(t *testing.T) {
	standby(t, nil, func(t *testing.T, w *world) {
		w.change(func() { w.dies(Refused) })
		w.change(func() { w.answer = Alive })
		if w.dead() {
			t.Error("dead, and a process of its name answers")
		}
		w.change(func() { w.dies(Refused) })
		if !w.dead() {
			t.Error("not watched any more after it began anew")
		}
	})
}

func TestAConnectionThatEndsAgainAndAgainIsNotOpenedInCircles(t *testing.T) {
	standby(t, nil, func(t *testing.T, w *world) {
		w.change(func() { w.brief = true; w.dies(Alive) })
		before, hurried := w.asked, w.hurried
		w.change(func() {})
		if again := w.asked - before; again < 2 || again > 10 || w.hurried-hurried > 10 {
			t.Errorf("asked %d times in 10 s, the election woken %d times", again, w.hurried-hurried)
		}
		if w.dead() {
			t.Error("dead, and it answers")
		}
	})
}

func TestAnotherHolderIsAnotherMatter(t *testing.T) {
	standby(t, nil, func(t *testing.T, w *world) {
		w.change(func() { w.dies(Refused) })
		before := w.renewal()
		w.s.Saw("other_10.0.0.3:8082_3") // it was quicker
		w.change(func() { w.holder, w.answer = "other_10.0.0.3:8082_3", Alive })
		if w.s.Dead(before) || w.dead() {
			t.Error("the proof outlives the leader that it was about")
		}
		w.change(func() { w.dies(Refused) })
		if !w.dead() {
			t.Error("the next leader is not watched")
		}
		w.s.Saw(w.s.Self)
		asked := w.counted
		w.change(func() {})
		if w.dead() || w.counted != asked {
			t.Error("it watches itself")
		}
	})
}

func TestALeaderWithoutABeaconIsWaitedForUnlessItsPodIsGone(t *testing.T) {
	const old = "leader_1"
	standby(t, func(w *world) { w.pod = true }, func(t *testing.T, w *world) {
		w.s.Saw(old)
		w.change(func() { w.holder = old; w.dies(Refused) })
		if w.dead() {
			t.Error("dead though there is no way to ask")
		}
		w.change(func() { w.podGone = true })
		if !w.dead() {
			t.Error("not dead, and its pod is gone")
		}
	})
}
