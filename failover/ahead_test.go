// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"slices"
	"testing"
	"time"
)

// parted is a set whose master went on with r-1 where the others do not reach them, before its process died.
func parted(t *testing.T, contact Contact, after time.Duration) *world {
	t.Helper()
	w := settled(t, 3)
	w.write(1000, nil)
	w.erring("r-1", contact)
	w.hang("r-0")
	w.link(w.node("r-2"), false, -1)
	w.node("r-2").Heard.At = w.now
	for passed := time.Duration(0); passed < after; passed += 200 * time.Millisecond {
		w.sleep(200 * time.Millisecond)
		w.link(w.node("r-2"), false, -1)
		w.run()
	}
	w.restart("r-0", false)
	return w
}

// Seed 958002047: r-2 was promoted at once, and all that the master had taken beside us was lost, though r-1 held it.
func TestAReplicaThatWentOnWithAMasterThatDiedSinceIsWaitedFor(t *testing.T) {
	for _, contact := range []Contact{ContactFull, ContactSilent} {
		w := parted(t, contact, 8*time.Second)
		if took := w.replacedWithin(10*time.Second, nil); w.master() != "r-0" || w.progress.Reason != ReasonWaitingForData {
			t.Fatalf("%s: master %s after %s, reason %s\n%s", contact, w.master(), took, w.progress.Reason, w.story())
		}
		n := w.node("r-1")
		n.Replication.Lineage.Offset += 5000
		n.Contact, n.ContactSince = ContactAnswering, w.now
		if w.replacedWithin(5*time.Second, nil); w.master() != "r-1" {
			t.Errorf("%s: master %s, reason %s\n%s", contact, w.master(), w.progress.Reason, w.story())
		}
	}
}

func TestNoReplicaThatWentOnWithItsMasterIsWaitedForWithoutEnd(t *testing.T) {
	w := parted(t, ContactSilent, 8*time.Second)
	if took := w.replacedWithin(2*aheadPatience, nil); w.master() != "r-2" || took < aheadPatience || took > aheadPatience+time.Second {
		t.Errorf("master %s after %s\n%s", w.master(), took, w.story())
	}
}

// The ordinary fault: what is lost is no more than the tail that every death may cost.
func TestASilentReplicaIsNotWaitedForWhenTheMasterWasLostAMomentAgo(t *testing.T) {
	w := parted(t, ContactSilent, time.Second)
	if took := w.replacedWithin(10*time.Second, nil); w.master() != "r-2" || took > time.Second {
		t.Errorf("master %s after %s, state %s (%s)\n%s", w.master(), took, w.progress.State, w.progress.Reason, w.story())
	}
}

// The guard counts the two that share a machine, and has stopped the master when both were cut off: what r-1 holds is no more than the others
// have. The failover on silence is at its limit, so that it is the end of the container that is acted upon.
func TestAReplicaWithWhichTheMasterCouldNotWriteIsNotWaitedFor(t *testing.T) {
	w := settled(t, 3)
	w.on("a", "a", "b")
	w.pass(5 * time.Second)
	w.write(1000, nil)
	w.hang("r-0")
	w.hang("r-1")
	w.node("r-2").Heard.At = w.now
	for range 40 {
		for i := range SoftLimit {
			w.progress.SoftFailovers = append(w.progress.SoftFailovers[:i:i], SoftFailover{Pod: "r-1", At: w.now})
		}
		w.sleep(200 * time.Millisecond)
		w.link(w.node("r-2"), false, -1)
		w.run()
	}
	if w.master() != "r-0" {
		t.Fatalf("master %s in state %s\n%s", w.master(), w.progress.State, w.story())
	}
	w.restart("r-0", false)
	if took := w.replacedWithin(10*time.Second, nil); w.master() != "r-2" || took > time.Second {
		t.Errorf("master %s after %s, state %s (%s)\n%s", w.master(), took, w.progress.State, w.progress.Reason, w.story())
	}
}

// Seed 958041538: the master has heard the replica beside it until that ended, and takes writes for some seconds more.
func TestAMasterWhoseReplicaHasJustGoneMayStillTakeWrites(t *testing.T) {
	for name, end := range map[string]func(w *world, n *Node){
		"the kubelet tells":   func(w *world, n *Node) { n.Exited, n.ExitedAt = true, w.now },
		"its address refuses": func(w *world, n *Node) { n.Contact, n.ContactSince, n.Heard.At = ContactRefused, w.now, w.now },
		"its pod is gone":     func(w *world, n *Node) { w.remove(n.Name) },
		"its machine is gone": func(_ *world, n *Node) { n.NodeGone = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.erring("r-1", ContactSilent)
			w.hang("r-0")
			w.node("r-2").Heard.At = w.now
			for range 40 {
				w.sleep(200 * time.Millisecond)
				w.link(w.node("r-2"), false, -1)
				w.run()
			}
			if w.master() != "r-0" || w.progress.State != StateSuspected {
				t.Fatalf("master %s in state %s\n%s", w.master(), w.progress.State, w.story())
			}
			end(w, w.node("r-1"))
			took := w.replacedWithin(10*time.Second, func() { w.link(w.node("r-2"), false, -1) })
			if w.master() != "r-2" || took < GuardMaxLag || took > w.downAfterAtMost()+time.Second {
				t.Errorf("master %s after %s, state %s (%s)\n%s", w.master(), took, w.progress.State, w.progress.Reason, w.story())
			}
		})
	}
}

// The ordinary fault: a replica that answers, and has lost its link to the master, goes while that is being waited for.
func TestAReplicaThatAnsweredAndHasGoneDelaysNoFailover(t *testing.T) {
	for name, tc := range map[string]struct {
		lose   func(w *world)
		within time.Duration
	}{
		"the master's process dies": {func(w *world) { w.die("r-0") }, time.Second},
		"the master falls silent":   {func(w *world) { w.hang("r-0") }, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			took := func(departs bool) time.Duration {
				w := settled(t, 3)
				tc.lose(w)
				for _, name := range []string{"r-1", "r-2"} {
					w.link(w.node(name), false, -1)
				}
				w.sleep(2 * time.Second)
				w.once()
				if departs {
					w.remove("r-1")
				}
				after := w.replacedWithin(10*time.Second, func() { w.link(w.node("r-2"), false, -1) })
				if w.master() == "r-0" || after > tc.within {
					t.Errorf("master %s after %s, state %s (%s)\n%s", w.master(), after, w.progress.State, w.progress.Reason, w.story())
				}
				return after
			}
			if with, without := took(true), took(false); with > without {
				t.Errorf("it took %s, and %s where none had gone", with, without)
			}
		})
	}
}

func TestNodesThatHaveGoneAreRememberedForSomeSeconds(t *testing.T) {
	now := time.Now()
	names := func(nodes []Node) (names []string) {
		for _, n := range nodes {
			names = append(names, n.Name+"@"+n.ExitedAt.Sub(now).String())
		}
		return names
	}
	node := func(name string) Node { return Node{Name: name, UID: name + "'s", IP: "10.0.0.1"} }
	pending := Node{Name: "d", UID: "d's"}
	ended := node("c")
	ended.Exited = true
	lost := node("b")
	lost.NodeGone = true
	var d Departures
	for _, step := range []struct {
		at    time.Duration
		nodes []Node
		want  []string
	}{
		{0, []Node{node("a"), node("b"), ended, pending}, nil},
		{time.Second, []Node{node("a"), lost, ended}, []string{"b@1s"}},
		{2 * time.Second, []Node{lost}, []string{"b@1s", "a@2s"}}, // that c has ended was seen before
		{3 * time.Second, []Node{node("a")}, []string{"b@1s", "a@2s"}},
		{time.Second + departedFor, []Node{node("a")}, []string{"b@1s", "a@2s"}},
		{3*time.Second + departedFor, []Node{node("a")}, nil},
	} {
		if got := names(d.Seen(now.Add(step.at), step.nodes)); !slices.Equal(got, step.want) {
			t.Errorf("after %s: %v, want %v", step.at, got, step.want)
		}
	}
}

// Seed 964011186: it called itself another process each time, so that it was taken for restarted, and an empty node was preferred to it.
func TestWithoutDisksWhoHoldsDataOfTheSetHasBeenRunning(t *testing.T) {
	p := Progress{Retired: []string{"lost"}}
	empty := Node{Name: "r-0", Replication: Replication{Priority: 100, Lineage: Lineage{ReplID: "new"}}}
	holds := Node{Name: "r-1", Ordinal: 1, Replication: Replication{RunID: "another", Priority: 100, Keys: 7, Lineage: Lineage{ReplID: "lost"}}}
	if bySeed(holds, empty, p, Policy{}) >= 0 || bySeed(empty, holds, p, Policy{}) <= 0 {
		t.Error("the empty one is preferred")
	}
	holds.Replication.Lineage.ReplID = "of another RedisHA"
	if bySeed(holds, empty, p, Policy{}) <= 0 {
		t.Error("data that is not the set's is preferred")
	}
}
