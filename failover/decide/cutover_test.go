// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"slices"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// cuts notes how often the clients of a pod are disconnected: all of them, and those that write.
type cuts struct{ all, writers map[string]int }

func (w *world) countCuts() cuts {
	c := cuts{map[string]int{}, map[string]int{}}
	w.onAction = func(a failover.Action) bool {
		if cut, ok := a.(failover.CutClients); ok {
			if cut.WritersOnly {
				c.writers[cut.Node.Pod]++
			} else {
				c.all[cut.Node.Pod]++
			}
			if w.pub.Pod == cut.Node.Pod || w.pub.Pod == "" {
				w.t.Errorf("the clients of %s are cut while the Service leads to %q", cut.Node.Pod, w.pub.Pod)
			}
		}
		return true
	}
	return c
}

// Every way in which a node that clients were led to is not the master any more.
func TestClientsOfWhoeverAnswersWhereTheMasterWasAreCutAgainAndAgain(t *testing.T) {
	tests := map[string]func(w *world){
		"its process was killed and is back in the same pod": func(w *world) { w.restart("r-0", false) },
		"a planned switchover":                               func(w *world) { w.node("r-0").Cordoned = true },
		"a request":                                          func(w *world) { w.request = &failover.Request{ID: "x", Verb: failover.VerbSwitchover} },
		"a forced failover":                                  func(w *world) { w.request = &failover.Request{ID: "x", Verb: failover.VerbForce, Target: "r-2"} },
	}
	for name, happen := range tests {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.write(1000, nil)
			c := w.countCuts()
			happen(w)
			w.pass(3 * time.Second)
			if w.master() == "r-0" {
				t.Fatalf("r-0 is still master: %s", w.story())
			}
			if c.all["r-0"] < 4 {
				t.Errorf("the clients of r-0 were cut %d times", c.all["r-0"])
			}
			if label := w.node("r-0").RoleLabel; label != failover.RoleReplica {
				t.Errorf("r-0 is labelled %q in the end", label)
			}
			if other := c.all["r-1"] + c.all["r-2"]; other != 0 {
				t.Errorf("clients of nodes that were not master are cut %d times", other)
			}
			before := c.all["r-0"]
			w.pass(time.Minute)
			if c.all["r-0"] != before || c.writers["r-0"] != 0 {
				t.Errorf("readers of r-0 are cut when it has long been a replica")
			}
		})
	}
}

func TestNodesAreCutForAsLongAsClientsArriveThereAndTenSecondsAtMost(t *testing.T) {
	for arriving, want := range map[time.Duration]time.Duration{
		0: cutQuiet, 3 * time.Second: 3*time.Second + cutQuiet, time.Minute: cutWithin,
	} {
		w := settled(t, 3)
		w.countCuts()
		began := w.now
		count := w.onAction
		w.onAction = func(a failover.Action) bool {
			if cut, ok := a.(failover.CutClients); ok && !cut.WritersOnly && w.now.Sub(began) < arriving {
				w.node(cut.Node.Pod).Cut.Hit = w.now
			}
			return count(a)
		}
		w.restart("r-0", false)
		for w.run(); w.node("r-0").RoleLabel != failover.RoleReplica && w.now.Sub(began) < 2*time.Minute; {
			w.pass(100 * time.Millisecond)
		}
		if took := w.now.Sub(began); took < want-500*time.Millisecond || took > want+time.Second {
			t.Errorf("clients arrive for %s: readers are led to r-0 after %s, want about %s", arriving, took, want)
		}
	}
}

func TestASuccessorCutsTheClientsThatItsPredecessorDidNot(t *testing.T) {
	w := settled(t, 3)
	w.onAction = func(a failover.Action) bool { // the operator dies between publishing and cutting
		_, cut := a.(failover.CutClients)
		return !cut
	}
	w.restart("r-0", false)
	for range 20 {
		w.once()
		w.sleep(50 * time.Millisecond)
	}
	if w.master() == "r-0" || w.progress.State != failover.StateStable && w.progress.State != failover.StateReattaching {
		t.Fatalf("master %s, state %s", w.master(), w.progress.State)
	}
	c := w.countCuts()
	w.pass(3 * time.Second)
	if c.all["r-0"] < 4 || w.node("r-0").RoleLabel != failover.RoleReplica {
		t.Errorf("clients of r-0 cut %d times, label %q", c.all["r-0"], w.node("r-0").RoleLabel)
	}
}

func TestWhoWasMasterForAMomentIsLeftToo(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.onAction = func(a failover.Action) bool { // the API server takes no labels for a while
		_, label := a.(failover.Label)
		return !label
	}
	w.restart("r-0", false)
	for range 20 {
		if w.once(); w.master() == "r-1" {
			break
		}
		w.sleep(50 * time.Millisecond)
	}
	if w.node("r-1").RoleLabel != failover.RoleReplica || w.master() != "r-1" {
		t.Fatalf("master %s, labelled %q", w.master(), w.node("r-1").RoleLabel)
	}
	c := w.countCuts()
	w.restart("r-1", false)
	w.pass(3 * time.Second)
	if w.master() == "r-1" || c.all["r-1"] < 4 {
		t.Errorf("master %s; cut %v", w.master(), c.all)
	}
}

func TestWhoWritesToAReplicaIsCutAndWhoReadsIsNot(t *testing.T) {
	w := settled(t, 3)
	c := w.countCuts()
	for range 100 { // a client that comes back each time
		w.sleep(100 * time.Millisecond)
		w.node("r-1").RefusedAt = w.now
		if cut := &w.node("r-1").Cut; !cut.Writers.IsZero() {
			cut.Looks++
		}
		w.run()
	}
	if n := c.writers["r-1"]; n < 8 || n > 20 {
		t.Errorf("in 10 s, %d looks for clients that write", n)
	}
	if len(c.all) != 0 || c.writers["r-2"] != 0 {
		t.Errorf("others are cut: %v %v", c.all, c.writers)
	}
}

// The pod was labelled as a replica before, and the failover ended before that was changed.
func TestWhoWritesToAReplicaAfterAFailoverIsCutThoughAPersonPausesThen(t *testing.T) {
	for since, want := range map[time.Duration]bool{time.Second: true, cutWithin + time.Second: false} {
		w := settled(t, 3)
		w.pub.Epoch, w.progress.Epoch, w.progress.Master.Epoch = 2, 2, 2 // published anew
		w.node("r-1").RoleLabel = failover.RoleReplica
		w.once()
		w.sleep(since)
		w.policy.Mode = failover.ModePaused
		w.node("r-1").RefusedAt = w.now
		d, _ := w.once()
		cut := slices.ContainsFunc(
			d.Actions,
			func(a failover.Action) bool { c, is := a.(failover.CutClients); return is && c.Node.Pod == "r-1" },
		)
		if cut != want {
			t.Errorf("%s after the failover: cut %t, want %t", since, cut, want)
		}
	}
}

func TestWhoWritesToAReplicaIsCutWhileASwitchoverDoesNotComeAbout(t *testing.T) {
	w := settled(t, 3)
	w.pass(12 * time.Second)
	w.onAction = func(a failover.Action) bool { _, drains := a.(failover.Drain); return !drains } // the candidate does not catch up
	w.request = &failover.Request{ID: "x", Verb: failover.VerbSwitchover, Target: "r-1"}
	began, cut := w.now, false
	for w.now.Sub(began) < failover.SwitchoverWithin {
		w.sleep(100 * time.Millisecond)
		w.node("r-2").RefusedAt = w.now
		d, _ := w.once()
		for _, a := range d.Actions {
			c, is := a.(failover.CutClients)
			cut = cut || is && c.Node.Pod == "r-2"
		}
		if cut && w.now.Sub(began) < drainWithin {
			t.Errorf("cut within %s: a drain that comes about is not to wait for that", w.now.Sub(began))
		}
	}
	if !cut {
		t.Error("a client that writes to r-2 was left there for as long as the drain was tried")
	}
}

func TestWhereNoLookFindsWhoWritesEveryoneIsCutOnceAMinute(t *testing.T) {
	w := settled(t, 3)
	w.pass(missedPause)
	c := w.countCuts()
	w.node("r-1").Cut.Misses = writersMissed
	for range 50 {
		w.sleep(100 * time.Millisecond)
		w.node("r-1").RefusedAt = w.now
		w.run()
	}
	if c.all["r-1"] != 1 {
		t.Errorf("all clients are cut %d times in 5 s", c.all["r-1"])
	}
}

func TestRightAfterAFailoverNothingIsWrittenToTheAPIThatClientsWouldWaitFor(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	c := w.countCuts()
	count, cutFirst, written := w.onAction, 0, 0
	w.onAction = func(a failover.Action) bool {
		switch _, cut := a.(failover.CutClients); {
		case cut && c.all["r-0"] == 0:
			written = w.writes
		case cut && c.all["r-0"] < 3 && w.writes != written:
			t.Errorf("the progress was written after clients were cut %d times", c.all["r-0"])
		}
		if _, is := a.(failover.Label); is && cutFirst == 0 {
			cutFirst = c.all["r-0"]
			if early := w.now.Sub(w.observe().PublishedSince); early < clientsFirstFor {
				t.Errorf("a label is written %s after publication", early)
			}
		}
		return count(a)
	}
	w.restart("r-0", false)
	w.run()
	if cutFirst < 2 {
		t.Errorf("clients were cut %d times before the first label: %s", cutFirst, w.story())
	}
	if r := w.history[0].FinishedAt.Sub(w.history[0].StartedAt); r > time.Second {
		t.Errorf("the failover took %s", r)
	}
}
