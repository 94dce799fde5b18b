// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// alone is a settled world of one pod with data on a volume, which is told to hibernate.
func alone(t *testing.T) *world {
	t.Helper()
	w := settled(t, 1)
	w.policy.Persistent = true
	n := w.node("r-0")
	n.MayHoldData, n.Replication.Keys = true, 1000
	w.write(5000, nil)
	w.policy.Hibernate = "r-0"
	return w
}

// hibernated is that world when its pod has gone.
func hibernated(t *testing.T) *world {
	t.Helper()
	w := alone(t)
	w.run()
	w.remove("r-0")
	w.pass(3 * time.Second)
	return w
}

// returns has the pod of an ordinal come with a volume that has so many keys by the name of a history.
func (w *world) returns(ordinal int, keys int64, lineage failover.Lineage) *failover.Node {
	w.log = append(w.log, "a pod returns")
	n := w.boot(ordinal)
	n.MayHoldData, n.Replication.Keys = true, keys
	if lineage.ReplID != "" {
		n.Replication.Lineage = lineage
	}
	w.nodes = append(w.nodes, n)
	slices.SortFunc(w.nodes, func(a, b *failover.Node) int { return a.Ordinal - b.Ordinal })
	w.sample(0)
	return n
}

// wakeTo tells it to have so many pods.
func (w *world) wakeTo(replicas int) { w.policy.Hibernate, w.policy.Replicas = "", replicas }

func (w *world) mustBeStable(t *testing.T, master string) {
	t.Helper()
	if w.progress.State != failover.StateStable || w.master() != master {
		t.Fatalf("state %s, master %q, want %q\n%s", w.progress.State, w.master(), master, strings.Join(w.log, "\n"))
	}
}

func TestAMasterThatIsToHibernateTakesNoWritesBeforeItEnds(t *testing.T) {
	w := alone(t)
	epoch := w.progress.Epoch
	w.run()
	n := w.node("r-0")
	if !n.Replication.Fenced() || w.pub.Pod != "" {
		t.Errorf("it is %s of %s, and clients are led to %q", n.Replication.Role, n.Replication.MasterHost, w.pub.Pod)
	}
	n.Terminating = true
	w.pass(2 * time.Second)
	w.die("r-0")
	w.pass(2 * time.Second)
	w.remove("r-0")
	writes := w.writes
	d := w.run()
	if w.progress.State != failover.StateHibernated || w.progress.Master != nil || w.progress.Epoch != epoch {
		t.Errorf("state %s, master %v, epoch %d", w.progress.State, w.progress.Master, w.progress.Epoch)
	}
	if d.Reason != failover.ReasonNone || !strings.Contains(d.Message, "r-0") || len(w.history) > 0 {
		t.Errorf("reason %q, %s, history %+v", d.Reason, d.Message, w.history)
	}
	w.pass(time.Minute)
	if _, timed := w.run().Again.Wait(); timed || w.writes != writes {
		t.Errorf("a set that hibernates costs %d writes, or is looked at without a cause", w.writes-writes)
	}
}

func TestASetWakesWithTheDataOfThePodThatHadItWhateverOthersHave(t *testing.T) {
	for name, tc := range map[string]struct {
		keys   int64
		others func(w *world, was failover.Lineage)
	}{
		"it is alone": {1000, func(*world, failover.Lineage) {}},
		"others have more, by names of their own": {10, func(w *world, _ failover.Lineage) {
			w.returns(1, 9000, failover.Lineage{})
			w.returns(2, 8000, failover.Lineage{})
		}},
		"others have an older part of the same history": {1000, func(w *world, was failover.Lineage) {
			was.Offset = 100
			w.returns(1, 900, was)
		}},
		"it has nothing, because everything was deleted": {0, func(w *world, was failover.Lineage) {
			was.Offset = 100
			w.returns(1, 900, was)
			w.returns(2, 8000, failover.Lineage{})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := hibernated(t)
			was, epoch := w.progress.Lineage, w.progress.Epoch
			w.wakeTo(3)
			tc.others(w, was)
			w.absent = []failover.AbsentNode{{Name: "r-0", MayHoldData: true}}
			d := w.run()
			w.pass(time.Minute) // the others do not take its place, however long it takes
			if w.progress.State != failover.StateBootstrapping || d.Reason != failover.ReasonNone {
				t.Fatalf("state %s, reason %s", w.progress.State, d.Reason)
			}
			w.absent = nil
			n := w.returns(0, tc.keys, failover.Lineage{})
			n.Replication.Loading = true
			w.pass(time.Second)
			n.Replication.Loading = false
			w.run()
			w.pass(5 * time.Second)
			w.mustBeStable(t, "r-0")
			for _, o := range w.nodes {
				if o.Replication.Keys != tc.keys {
					t.Errorf("%s has %d keys, want %d", o.Name, o.Replication.Keys, tc.keys)
				}
			}
			last := w.history[len(w.history)-1]
			if last.Kind != failover.KindBootstrap || last.Cause != failover.CauseWoken || w.progress.Epoch != epoch+1 ||
				len(w.history) != 1 {
				t.Errorf("history %+v, epoch %d after %d", w.history, w.progress.Epoch, epoch)
			}
		})
	}
}

func TestAnEmptyVolumeInThePlaceOfTheOneWithTheDataIsNotContinuedUnasked(t *testing.T) {
	for name, asked := range map[string]string{
		"by the empty one":         "r-0",
		"by one with an older one": "r-1",
	} {
		t.Run(name, func(t *testing.T) {
			w := hibernated(t)
			w.wakeTo(3)
			w.returns(0, 0, failover.Lineage{}).MayHoldData = false
			w.returns(1, 900, failover.Lineage{})
			d := w.run()
			if d.Reason != failover.ReasonNoCandidate || !strings.Contains(d.Message, "ForceFailover") || w.master() != "" {
				t.Fatalf("reason %s: %s; master %q", d.Reason, d.Message, w.master())
			}
			w.request = &failover.Request{ID: "a", Verb: failover.VerbForce, Target: asked}
			w.run()
			w.pass(5 * time.Second)
			w.mustBeStable(t, asked)
			if w.request != nil {
				t.Error("the request was not acknowledged")
			}
		})
	}
}

func TestASetThatIsWokenWhileItsPodEndsWaitsForTheNext(t *testing.T) {
	w := alone(t)
	w.run()
	w.node("r-0").Terminating = true
	w.wakeTo(3)
	w.returns(1, 900, failover.Lineage{})
	w.pass(5 * time.Second)
	if w.master() != "" || w.progress.State != failover.StateBootstrapping {
		t.Fatalf("state %s, master %q", w.progress.State, w.master())
	}
	w.policy.Hibernate = "r-0" // back again
	w.pass(time.Second)
	if w.progress.State != failover.StateHibernated {
		t.Fatalf("state %s", w.progress.State)
	}
	w.remove("r-0")
	w.wakeTo(3)
	w.pass(time.Second)
	w.returns(0, 1000, failover.Lineage{})
	w.pass(5 * time.Second)
	w.mustBeStable(t, "r-0")
	if got := w.node("r-1").Replication.Keys; got != 1000 {
		t.Errorf("r-1 has %d keys", got)
	}
}

func TestASetThatIsWokenBeforeItsPodWasToldToEndServesOn(t *testing.T) {
	w := alone(t)
	w.run()
	w.wakeTo(1)
	w.run()
	w.pass(2 * time.Second)
	w.mustBeStable(t, "r-0")
	if got := w.node("r-0").Replication.Keys; got != 1000 || w.pub.Pod != "r-0" {
		t.Errorf("%d keys; clients are led to %q", got, w.pub.Pod)
	}
}

func TestAPodThatIsLostOnItsWayToSleepOrFromItIsNoneElses(t *testing.T) {
	t.Run("when it is told to go", func(t *testing.T) {
		w := alone(t)
		w.policy.Hibernate = ""
		w.node("r-0").Terminating = true
		w.restart("r-0", true)
		w.node("r-0").Terminating = true
		w.run()
		w.policy.Hibernate = "r-0"
		w.remove("r-0")
		w.pass(3 * time.Second)
		if w.progress.State != failover.StateHibernated {
			t.Errorf("state %s\n%s", w.progress.State, strings.Join(w.log, "\n"))
		}
	})
	t.Run("when it is promoted", func(t *testing.T) {
		w := hibernated(t)
		w.wakeTo(2)
		w.returns(0, 1000, failover.Lineage{})
		w.returns(1, 9000, failover.Lineage{})
		w.onAction = func(a failover.Action) bool { _, is := a.(failover.Promote); return !is }
		w.once()
		w.once()
		w.restart("r-0", true)
		w.onAction = nil
		w.pass(5 * time.Second)
		w.mustBeStable(t, "r-0")
		if got := w.node("r-1").Replication.Keys; got != 1000 {
			t.Errorf("r-1 has %d keys", got)
		}
	})
}

func TestEveryStepOfHibernatingAndWakingMayBeTheOperatorsLast(t *testing.T) {
	for crash := range 8 {
		w := alone(t)
		count := 0
		w.onAction = func(failover.Action) bool { count++; return count != crash+1 }
		w.run()
		w.remove("r-0")
		w.pass(2 * time.Second)
		if w.progress.State != failover.StateHibernated || w.pub.Pod != "" {
			t.Fatalf("crash at action %d: state %s, published %+v", crash, w.progress.State, w.pub)
		}
		w.wakeTo(2)
		w.returns(1, 9000, failover.Lineage{})
		w.returns(0, 1000, failover.Lineage{})
		count = 0
		w.pass(5 * time.Second)
		w.mustBeStable(t, "r-0")
	}
}

// A person who scales the StatefulSet to 0 by hand stops every pod at once, whoever is master. Its data may be on any
// volume then, and is waited for as after an outage.
func TestAStatefulSetThatIsEmptiedByHandIsAnOutage(t *testing.T) {
	w := settled(t, 2)
	w.policy.Persistent = true
	w.request = &failover.Request{ID: "a", Verb: failover.VerbSwitchover, Target: "r-1"}
	w.run()
	w.pass(2 * time.Second)
	w.mustBeStable(t, "r-1")
	w.policy.Hibernate = "r-0"
	w.remove("r-0")
	w.remove("r-1")
	w.absent = []failover.AbsentNode{{Name: "r-1", MayHoldData: true}}
	w.pass(2 * time.Second)
	if w.progress.State != failover.StateBlocked || w.progress.Reason != failover.ReasonWaitingForData {
		t.Errorf("state %s, reason %s", w.progress.State, w.progress.Reason)
	}
}

func TestASetWithoutAMasterBeforeIsBootstrappedWhenItWakes(t *testing.T) {
	w := newWorld(t, 0)
	w.policy.Hibernate = "r-0"
	w.run()
	if w.progress.State != failover.StateHibernated || w.progress.Initialized {
		t.Fatalf("state %s", w.progress.State)
	}
	w.wakeTo(2)
	w.policy.Persistent = true
	w.returns(0, 0, failover.Lineage{}).MayHoldData = false
	w.returns(1, 500, failover.Lineage{}) // restored by a person
	w.run()
	w.pass(5 * time.Second)
	w.mustBeStable(t, "r-1")
}

func TestAPausedSetNeitherHibernatesNorWakes(t *testing.T) {
	w := alone(t)
	w.policy.Mode = failover.ModePaused
	w.run()
	if w.node("r-0").Replication.Role != failover.RoleMaster || w.progress.State != failover.StateStable {
		t.Errorf("state %s", w.progress.State)
	}
	w = hibernated(t)
	w.policy.Mode = failover.ModePaused
	w.wakeTo(1)
	w.returns(0, 1000, failover.Lineage{})
	w.pass(time.Second)
	if w.master() != "" || w.progress.State != failover.StateHibernated {
		t.Errorf("state %s, master %q", w.progress.State, w.master())
	}
}

// What others have of the last master's history, or of one before, is older than an empty volume that it left.
func TestAnEmptySetThatWakesIsNotGivenUpForOlderData(t *testing.T) {
	w := alone(t)
	w.progress.Retire("a former history")
	was, epoch := w.node("r-0").Replication.Lineage, w.progress.Epoch
	w.run()
	w.remove("r-0")
	w.run()
	w.wakeTo(3)
	was.Offset = 100
	w.returns(1, 900, was)
	w.returns(2, 800, failover.Lineage{ReplID: "a former history", Offset: 100})
	w.returns(0, 0, failover.Lineage{})
	dropped := false
	w.onAction = func(a failover.Action) bool { // the first order does not arrive
		_, is := a.(failover.Promote)
		first := is && !dropped
		dropped = dropped || is
		return !first
	}
	w.run()
	w.pass(5 * time.Second)
	w.mustBeStable(t, "r-0")
	if got := w.node("r-1").Replication.Keys + w.node("r-2").Replication.Keys; got != 0 || !dropped ||
		w.progress.Epoch != epoch+1 {
		t.Errorf("the others have %d keys, and it took %d promotions", got, w.progress.Epoch-epoch)
	}
}
