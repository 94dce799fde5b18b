// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// parted is a set whose master went on with r-1 where the others do not reach them, before its process died.
func parted(t *testing.T, contact failover.Contact, after time.Duration) *world {
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
	for _, contact := range []failover.Contact{failover.ContactFull, failover.ContactSilent} {
		w := parted(t, contact, 8*time.Second)
		if took := w.replacedWithin(
			10*time.Second, nil,
		); w.master() != "r-0" ||
			w.progress.Reason != failover.ReasonWaitingForData {
			t.Fatalf("%s: master %s after %s, reason %s\n%s", contact, w.master(), took, w.progress.Reason, w.story())
		}
		n := w.node("r-1")
		n.Replication.Lineage.Offset += 5000
		n.Contact, n.ContactSince = failover.ContactAnswering, w.now
		if w.replacedWithin(5*time.Second, nil); w.master() != "r-1" {
			t.Errorf("%s: master %s, reason %s\n%s", contact, w.master(), w.progress.Reason, w.story())
		}
	}
}

// Seed 973350159: the operator dies after it has detached r-2, which tells its successor only that it was detached. What
// the operator saw is noted.
func TestASuccessorWaitsForTheReplicaThatWentOnWithTheMaster(t *testing.T) {
	w := parted(t, failover.ContactSilent, 8*time.Second)
	for range 5 {
		w.once()
	}
	if w.progress.State == failover.StateStable || len(w.progress.AheadPods) != 1 {
		t.Fatalf("state %s, ahead %v\n%s", w.progress.State, w.progress.AheadPods, w.story())
	}
	w.takeOver(500 * time.Millisecond)
	for _, name := range []string{"r-0", "r-2"} {
		w.heard(name, failover.ContactAnswering)
		w.node(name).Heard.At = w.now
	}
	w.heard("r-1", failover.ContactSilent)
	if took := w.replacedWithin(10*time.Second, nil); w.progress.Reason != failover.ReasonWaitingForData {
		t.Fatalf("master %s after %s, reason %s\n%s", w.master(), took, w.progress.Reason, w.story())
	}
	n := w.node("r-1")
	n.Replication.Lineage.Offset += 5000
	n.Contact, n.ContactSince = failover.ContactAnswering, w.now
	if w.replacedWithin(5*time.Second, nil); w.master() != "r-1" {
		t.Errorf("master %s, reason %s\n%s", w.master(), w.progress.Reason, w.story())
	}
}

func TestNoReplicaThatWentOnWithItsMasterIsWaitedForWithoutEnd(t *testing.T) {
	w := parted(t, failover.ContactSilent, 8*time.Second)
	if took := w.replacedWithin(
		2*aheadPatience, nil,
	); w.master() != "r-2" || took < aheadPatience ||
		took > aheadPatience+time.Second {
		t.Errorf("master %s after %s\n%s", w.master(), took, w.story())
	}
}

// The ordinary fault: what is lost is no more than the tail that every death may cost.
func TestASilentReplicaIsNotWaitedForWhenTheMasterWasLostAMomentAgo(t *testing.T) {
	w := parted(t, failover.ContactSilent, time.Second)
	if took := w.replacedWithin(10*time.Second, nil); w.master() != "r-2" || took > time.Second {
		t.Errorf("master %s after %s, state %s (%s)\n%s", w.master(), took, w.progress.State, w.progress.Reason, w.story())
	}
}

// The guard counts the two that share a machine, and has stopped the master when both were cut off: what r-1 holds is
// no more than the others have. The failover on silence is at its limit, so that it is the end of the container that is
// acted upon.
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
			w.progress.SoftFailovers = append(w.progress.SoftFailovers[:i:i], failover.SoftFailover{Pod: "r-1", At: w.now})
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
	for name, end := range map[string]func(w *world, n *failover.Node){
		"the kubelet tells": func(w *world, n *failover.Node) { n.Exited, n.ExitedAt = true, w.now },
		"its address refuses": func(w *world, n *failover.Node) {
			n.Contact, n.ContactSince, n.Heard.At = failover.ContactRefused, w.now, w.now
		},
		"its pod is gone":     func(w *world, n *failover.Node) { w.remove(n.Name) },
		"its machine is gone": func(_ *world, n *failover.Node) { n.NodeGone = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.erring("r-1", failover.ContactSilent)
			w.hang("r-0")
			w.node("r-2").Heard.At = w.now
			for range 40 {
				w.sleep(200 * time.Millisecond)
				w.link(w.node("r-2"), false, -1)
				w.run()
			}
			if w.master() != "r-0" || w.progress.State != failover.StateSuspected {
				t.Fatalf("master %s in state %s\n%s", w.master(), w.progress.State, w.story())
			}
			end(w, w.node("r-1"))
			took := w.replacedWithin(10*time.Second, func() { w.link(w.node("r-2"), false, -1) })
			if w.master() != "r-2" || took < failover.GuardMaxLag || took > w.downAfterAtMost()+time.Second {
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
					t.Errorf(
						"master %s after %s, state %s (%s)\n%s", w.master(), after, w.progress.State, w.progress.Reason, w.story(),
					)
				}
				return after
			}
			if with, without := took(true), took(false); with > without {
				t.Errorf("it took %s, and %s where none had gone", with, without)
			}
		})
	}
}
