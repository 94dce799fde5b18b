// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
)

func TestAFreshSetGetsOrdinalZeroAsItsMaster(t *testing.T) {
	w := newWorld(t, 3)
	w.run()
	if w.master() != "r-0" || w.progress.State != failover.StateStable || w.progress.Epoch != 1 {
		t.Fatalf("master %q, state %s, epoch %d", w.master(), w.progress.State, w.progress.Epoch)
	}
	for _, name := range []string{"r-1", "r-2"} {
		if !w.node(name).Follows("10.0.0.1") {
			t.Errorf("%s does not follow r-0", name)
		}
	}
	w.pass(2 * time.Second)
	if w.pub.Pod != "r-0" || w.node("r-0").RoleLabel != failover.RoleMaster ||
		w.node("r-1").RoleLabel != failover.RoleReplica {
		t.Errorf("published %+v, labels %q %q", w.pub, w.node("r-0").RoleLabel, w.node("r-1").RoleLabel)
	}
	if len(w.history) != 1 || w.history[0].Kind != failover.KindBootstrap {
		t.Errorf("history %+v", w.history)
	}
}

func TestASettledSetIsLeftAlone(t *testing.T) {
	w := settled(t, 3)
	writes := w.writes
	for range 20 {
		w.sleep(time.Second)
		w.write(1000, nil)
		if d, busy := w.once(); busy || d.Reason != failover.ReasonNone {
			t.Fatalf("something was done for nothing: %+v", d)
		}
	}
	if w.writes != writes {
		t.Errorf("%d writes of progress", w.writes-writes)
	}
}

func TestADeadProcessIsReplacedAtOnceByTheReplicaWithTheMostData(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, map[string]int64{"r-1": 10})
	w.die("r-0")
	w.run()
	if w.master() != "r-2" || w.progress.State != failover.StateStable || w.progress.Epoch != 2 {
		t.Fatalf(
			"master %q, state %s, epoch %d\n%s", w.master(), w.progress.State, w.progress.Epoch, strings.Join(w.log, "\n"),
		)
	}
	if !w.node("r-1").Follows("10.0.0.3") || w.pub.Pod != "r-2" {
		t.Errorf("r-1 follows %s, published %s", w.node("r-1").Replication.MasterHost, w.pub.Pod)
	}
	h := w.history[len(w.history)-1]
	if h.Kind != failover.KindFailover || h.From != "r-0" || h.To != "r-2" ||
		h.Cause != failover.Cause(failover.DiagnosisMasterProcessDead) ||
		len(h.Steps) < 5 {
		t.Errorf("history %+v", h)
	}
}

func TestNothingIsTouchedBeforeTheIntentIsPersisted(t *testing.T) {
	w := settled(t, 3)
	w.die("r-0")
	w.node("r-1").Stale = true
	d := Decide(w.now, w.policy, w.observe(), w.progress, nil)
	if d.Next.State != failover.StateFencing || d.Next.Epoch != 2 || d.Next.OldMaster.Pod != "r-0" ||
		d.Next.Lineage.ReplID == "" {
		t.Fatalf("intent %+v", d.Next)
	}
	for _, a := range d.Actions {
		if _, ok := a.(failover.Detach); !ok {
			t.Errorf("%T before anybody is detached", a)
		}
	}
}

func TestARestartedEmptyMasterIsNeitherServedNorFollowed(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.restart("r-0", false)
	w.run()
	if w.master() == "r-0" || w.progress.Epoch != 2 {
		t.Fatalf("master %q by epoch %d", w.master(), w.progress.Epoch)
	}
	if !w.node("r-0").Follows(w.node(w.master()).IP) {
		t.Error("the restarted pod does not follow the new master")
	}
}

func TestAWitnessThatStillReplicatesVetoes(t *testing.T) {
	w := settled(t, 3)
	w.node("r-0").Contact, w.node("r-0").ContactSince = failover.ContactSilent, w.now
	for range 10 {
		w.now = w.now.Add(time.Second)
		for _, name := range []string{"r-1", "r-2"} { // their links are fine
			n := w.node(name)
			n.SampledAt, n.LastAnswer, n.Replication.LastIO = w.now, w.now, 0
		}
		if d, _ := w.once(); d.Next.Running() {
			t.Fatalf("failed over against the veto: %s", d.Message)
		}
	}
	if w.progress.State != failover.StateSuspected || w.progress.Reason != failover.ReasonMasterUnreachableButReplicating {
		t.Errorf("state %s, reason %s", w.progress.State, w.progress.Reason)
	}
	w.node("r-0").Contact = failover.ContactAnswering
	w.run()
	if w.progress.State != failover.StateStable {
		t.Errorf("state %s after it answers again", w.progress.State)
	}
}

func TestASilentMasterIsReplacedAfterDownAfterAndItsPodDeleted(t *testing.T) {
	w := settled(t, 3)
	w.hang("r-0")
	w.sleep(2 * time.Second)
	w.run()
	if w.progress.State != failover.StateStable {
		t.Fatalf("acted before down-after: %s", w.progress.State)
	}
	w.sleep(2 * time.Second)
	w.run()
	if w.master() == "r-0" || w.progress.State != failover.StateStable {
		t.Fatalf("master %q, state %s\n%s", w.master(), w.progress.State, strings.Join(w.log, "\n"))
	}
	if w.node("r-0") != nil {
		t.Error("the hung pod was not deleted")
	}
}

// A library without a read timeout goes on waiting for a hung master until its pod has ended.
func TestTheHungMastersPodIsDeletedAsSoonAsItsSuccessorIsPublished(t *testing.T) {
	w := settled(t, 3)
	var published, deleted time.Time
	w.onAction = func(a failover.Action) bool {
		switch a.(type) {
		case failover.Publish:
			published = w.now
		case failover.DeletePod:
			deleted = w.now
		}
		return true
	}
	w.hang("r-0")
	w.sleep(4 * time.Second)
	w.run()
	if published.IsZero() || deleted.IsZero() || deleted.Before(published) || deleted.Sub(published) > clientsFirstFor/3 {
		t.Errorf("published at %s, deleted at %s\n%s", published, deleted, w.story())
	}
}

func TestNoReachableNodeMeansHold(t *testing.T) {
	w := settled(t, 3)
	for _, n := range w.nodes {
		n.Contact, n.ContactSince = failover.ContactSilent, w.now
	}
	w.sleep(time.Minute)
	w.run()
	if w.progress.State != failover.StateSuspected || w.progress.Reason != failover.ReasonMasterUnreachableNoWitness {
		t.Errorf("state %s, reason %s", w.progress.State, w.progress.Reason)
	}
}

func TestAMasterOutOfReachTogetherWithAReplicaIsLeftAlone(t *testing.T) {
	tests := map[string]struct {
		happen func(w *world)
		master string // afterwards
	}{
		"a replica that was attached": {func(w *world) { w.hang("r-2") }, "r-0"},
		"one that a successor has never heard": {func(w *world) {
			w.hang("r-2")
			w.node("r-2").Sampled = false
		}, "r-0"},
		"one that was attached after the last snapshot, by a predecessor": {func(w *world) {
			w.hang("r-2")
			w.node("r-2").Sampled = false
			w.progress.Nodes[2].Attached, w.progress.Nodes[2].LinkUp = false, false
		}, "r-0"},
		"one that was told to follow, and was not heard since": {func(w *world) {
			w.link(w.node("r-2"), false, -1)
			w.node("r-2").Replication.MasterHost = failover.FenceHost
			w.hang("r-2")
			w.node("r-2").Stale = true
		}, "r-0"},
		"one in the middle of a full sync": {func(w *world) {
			w.link(w.node("r-2"), false, -1)
			w.node("r-2").Replication.Syncing = true
			w.hang("r-2")
		}, "r-0"},
		"one that is proven dead is not counted": {func(w *world) {
			w.hang("r-2")
			w.node("r-2").Exited = true
		}, "r-1"},
		"nor one that had lost the master before": {func(w *world) {
			w.link(w.node("r-2"), false, -1)
			w.node("r-2").Contact = failover.ContactSilent
		}, "r-1"},
		"nor one that never had a pod to run in": {func(w *world) {
			n := w.node("r-2")
			n.IP, n.Contact, n.Sampled = "", failover.ContactNone, false
		}, "r-1"},
		"too few replicas for a master that asks for two": {func(w *world) {
			w.hang("r-2")
			w.node("r-0").Replication.MinReplicas = 2
			w.progress.Nodes[0].WriteGuard = 2
		}, "r-1"},
		"unless a person forces it": {func(w *world) {
			w.hang("r-2")
			w.request = &failover.Request{ID: "f", Verb: failover.VerbForce, Target: "r-1"}
		}, "r-1"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.write(1000, nil)
			w.hang("r-0")
			tc.happen(w)
			w.sleep(4 * time.Second)
			w.run()
			w.sleep(2 * time.Second)
			w.run()
			if w.master() != tc.master {
				t.Fatalf("master %s in state %s, want %s\n%s", w.master(), w.progress.State, tc.master, w.story())
			}
			if tc.master == "r-0" &&
				(w.progress.State != failover.StateSuspected || w.progress.Reason != failover.ReasonMasterUnreachableWithReplicas) {
				t.Errorf("state %s, reason %s", w.progress.State, w.progress.Reason)
			}
		})
	}
}

func TestASwitchoverPromotesOnlyWhoHasEveryWrite(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, map[string]int64{"r-1": 400, "r-2": 600})
	w.node("r-0").Terminating = true
	w.run()
	if w.master() != "r-1" || w.progress.State != failover.StateStable {
		t.Fatalf("master %q, state %s\n%s", w.master(), w.progress.State, strings.Join(w.log, "\n"))
	}
	if h := w.history[0]; h.Kind != failover.KindSwitchover || h.Outcome != failover.OutcomeSucceeded || h.GapBytes != 0 {
		t.Errorf("history %+v", h)
	}
}

func TestASwitchoverThatCannotCatchUpLeavesTheMasterInPeace(t *testing.T) {
	w := settled(t, 3)
	w.onAction = func(a failover.Action) bool { _, drain := a.(failover.Drain); return !drain }
	w.request = &failover.Request{ID: "r-2", Target: "r-2"}
	w.run()
	w.onAction = nil
	if w.master() != "r-0" || w.progress.State != failover.StateStable {
		t.Fatalf("master %q, state %s", w.master(), w.progress.State)
	}
	if h := w.history[0]; h.Outcome != failover.OutcomeAborted || h.Kind != failover.KindSwitchover {
		t.Errorf("history %+v", h)
	}
	if w.request != nil {
		t.Error("the request was not acknowledged")
	}
}

func TestARequestedSwitchoverGoesToTheRequestedNode(t *testing.T) {
	w := settled(t, 3)
	w.request = &failover.Request{ID: "r-2", Target: "r-2"}
	w.run()
	if w.master() != "r-2" || w.request != nil {
		t.Fatalf("master %q, request %v", w.master(), w.request)
	}
}

func TestACandidateThatDiesIsReplacedUnderANewEpoch(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, map[string]int64{"r-2": 10})
	w.onAction = func(a failover.Action) bool {
		if _, ok := a.(failover.Promote); ok && w.progress.Candidate.Pod == "r-1" {
			w.remove("r-1")
			return false
		}
		return true
	}
	w.die("r-0")
	w.run()
	if w.master() != "r-2" || w.progress.Epoch != 3 {
		t.Fatalf("master %q by epoch %d", w.master(), w.progress.Epoch)
	}
}

func TestEveryStepMayBeTheOperatorsLast(t *testing.T) {
	// Between any two actions the operator dies; the next one starts from the persisted progress
	// and a new observation alone. The same failover must come out, under the same epoch.
	for crash := range 12 {
		w := settled(t, 3)
		w.write(1000, map[string]int64{"r-1": 10})
		w.die("r-0")
		count := 0
		w.onAction = func(failover.Action) bool { count++; return count != crash+1 }
		w.run()
		if w.master() != "r-2" || w.progress.Epoch != 2 || w.progress.State != failover.StateStable {
			t.Errorf("crash at action %d: master %q, epoch %d, state %s", crash, w.master(), w.progress.Epoch, w.progress.State)
		}
	}
}

func TestNoCandidateMeansBlockedWithTheReason(t *testing.T) {
	tests := map[string]struct {
		spoil  func(w *world)
		reason failover.Reason
	}{
		"only priority 0": {
			func(w *world) { w.each(func(n *failover.Node) { n.Replication.Priority = 0 }) },
			failover.ReasonNoCandidate,
		},
		"only lagging": {
			func(w *world) { w.write(4<<20, map[string]int64{"r-1": 3 << 20, "r-2": 3 << 20}) },
			failover.ReasonNoCandidate,
		},
		"only syncing": {
			func(w *world) { w.each(func(n *failover.Node) { n.Replication.Syncing = true }) },
			failover.ReasonNoCandidate,
		},
		"strict with one detached": {
			func(w *world) { w.policy.Consistency = failover.ConsistencyStrict; w.remove("r-2") },
			failover.ReasonTooFewReplicasFenced,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			tc.spoil(w)
			if name == "only syncing" { // they cannot testify, so it takes a fact of Kubernetes
				w.remove("r-0")
			} else {
				w.die("r-0")
			}
			w.run()
			if w.progress.State != failover.StateBlocked || w.progress.Reason != tc.reason {
				t.Fatalf("state %s, reason %s\n%s", w.progress.State, w.progress.Reason, strings.Join(w.log, "\n"))
			}
			w.sleep(2 * time.Second)
			w.run()
			if w.pub.Pod != "" {
				t.Errorf("a master that is gone is still published: %+v", w.pub)
			}
		})
	}
}

func (w *world) each(f func(*failover.Node)) {
	for _, n := range w.nodes {
		if n.Name != w.master() {
			f(n)
		}
	}
}

func TestAFullOutageWaitsForWhoMayHoldData(t *testing.T) {
	w := settled(t, 3)
	w.policy.Persistent = true
	w.write(1000, nil)
	for _, n := range w.nodes {
		n.MayHoldData, n.Replication.Keys = true, 5
	}
	for _, name := range []string{"r-0", "r-1", "r-2"} {
		w.restart(name, true)
	}
	w.node("r-1").Replication.Lineage.Offset = 500 // an older disk
	w.node("r-0").Replication.Loading = true
	w.run()
	if w.progress.State != failover.StateBlocked || w.progress.Reason != failover.ReasonWaitingForData {
		t.Fatalf("state %s, reason %s", w.progress.State, w.progress.Reason)
	}
	w.node("r-0").Replication.Loading = false
	w.run()
	if w.master() == "r-1" || w.progress.State != failover.StateStable {
		t.Fatalf("master %q, state %s", w.master(), w.progress.State)
	}
}

func TestAFullOutageWithoutDisksStartsAnew(t *testing.T) {
	w := settled(t, 3)
	for _, name := range []string{"r-0", "r-1", "r-2"} {
		w.restart(name, false)
	}
	w.run()
	if w.progress.State != failover.StateStable || w.progress.Epoch != 2 {
		t.Fatalf("state %s, epoch %d\n%s", w.progress.State, w.progress.Epoch, strings.Join(w.log, "\n"))
	}
}

func TestTheDataOfADivergentMasterIsNeverOverwritten(t *testing.T) {
	w := settled(t, 3)
	n := w.node("r-2")
	n.Replication = failover.Replication{RunID: n.Replication.RunID, Role: failover.RoleMaster, Keys: 7, Priority: 100,
		Lineage: failover.Lineage{ReplID: "elsewhere", ReplID2: failover.NoReplID, SecondOffset: -1, Offset: 10}}
	w.sleep(time.Second)
	d := w.run()
	if d.Reason != failover.ReasonDivergentMaster || n.Replication.Role != failover.RoleMaster {
		t.Errorf("reason %s, role %s", d.Reason, n.Replication.Role)
	}
	if n.Replication.MinReplicas != failover.WriteGuardClosed {
		t.Errorf("it takes writes beside the master: min-replicas-to-write is %d", n.Replication.MinReplicas)
	}
	w.request = &failover.Request{ID: "asked", Verb: failover.VerbForce, Target: "r-2"}
	w.pass(3 * time.Second)
	if w.master() != "r-2" || n.Replication.MinReplicas > 2 || n.Replication.Keys != 7 {
		t.Errorf(
			"a person chose it: master %q, min-replicas-to-write %d\n%s",
			w.master(),
			n.Replication.MinReplicas,
			w.story(),
		)
	}
}

func TestAMasterThatRunsOnWithoutItsNodeIsSwitchedOver(t *testing.T) {
	for _, replicas := range []int{3, 1} {
		w := settled(t, replicas)
		w.write(1000, nil)
		w.node("r-0").NodeGone = true
		if replicas > 1 {
			w.node("r-1").NodeGone = true
		}
		w.run()
		if w.progress.State != failover.StateStable || w.progress.Epoch > 2 {
			t.Fatalf("%d pods: state %s, epoch %d\n%s", replicas, w.progress.State, w.progress.Epoch, w.story())
		}
		if replicas == 1 {
			if w.master() != "r-0" {
				t.Errorf("master %q\n%s", w.master(), w.story())
			}
			continue
		}
		if h := w.history[len(w.history)-1]; h.Kind != failover.KindSwitchover ||
			h.Cause != failover.Cause(failover.DiagnosisMasterNodeDraining) ||
			w.master() != "r-2" {
			t.Errorf(
				"%s because of %s, master %s; want it switched over to r-2, whose node is there\n%s", h.Kind, h.Cause, w.master(),
				w.story(),
			)
		}
	}
}

func TestADivergentMasterIsWhatAPersonIsToldOfThoughTheMasterIsToLeave(t *testing.T) {
	w := settled(t, 2)
	w.request = &failover.Request{ID: "to r-1", Target: "r-1"}
	w.run()
	w.policy.Replicas = 1 // r-1 is surplus, and no node can take over
	w.promoteByHand("r-0", 10)
	d := w.run()
	if w.master() != "r-1" || d.Reason != failover.ReasonDivergentMaster || !strings.Contains(d.Message, "scaled away") {
		t.Fatalf("master %s, reason %q: %s\n%s", w.master(), d.Reason, d.Message, w.story())
	}
	w.request = &failover.Request{ID: "discard r-0", Verb: failover.VerbDiscard, Target: "r-0"}
	w.run()
	if w.master() != "r-0" || w.progress.State != failover.StateStable {
		t.Errorf("master %s in state %s\n%s", w.master(), w.progress.State, w.story())
	}
}

func TestAMasterThatReturnsAfterTwoFailoversIsTakenBack(t *testing.T) {
	w := settled(t, 3)
	lost := *w.node("r-0")
	lost.Replication.Keys = 3
	w.hang("r-0")
	w.onAction = func(a failover.Action) bool { _, del := a.(failover.DeletePod); return !del }
	w.sleep(4 * time.Second)
	w.run()
	w.request = &failover.Request{ID: "again"}
	w.sleep(time.Minute)
	w.run()
	*w.node("r-0") = lost
	w.sleep(time.Second)
	w.run()
	if !w.node("r-0").Follows(w.node(w.master()).IP) {
		t.Errorf("the old master was not taken back\n%s", strings.Join(w.log[len(w.log)-10:], "\n"))
	}
}

func TestPausedObservesAndFinishesWhatWasBegun(t *testing.T) {
	w := settled(t, 3)
	w.policy.Mode = failover.ModePaused
	w.die("r-0")
	if d := w.run(); d.Reason != failover.ReasonPaused || w.master() != "r-0" {
		t.Fatalf("reason %s, master %s", d.Reason, w.master())
	}
	w.policy.Mode = failover.ModeAutomatic
	w.once()
	w.policy.Mode = failover.ModePaused
	w.run()
	if w.master() == "r-0" || w.progress.State != failover.StateStable {
		t.Errorf("what was begun is not finished: %s", w.progress.State)
	}
}

func TestManualModeWaitsForARequest(t *testing.T) {
	w := settled(t, 3)
	w.policy.Mode = failover.ModeManual
	w.die("r-0")
	if d := w.run(); d.Reason != failover.ReasonManualMode || w.master() != "r-0" {
		t.Fatalf("reason %s, master %s", d.Reason, w.master())
	}
	w.request = &failover.Request{ID: "go"}
	w.run()
	if w.master() == "r-0" {
		t.Error("the request was not honoured")
	}
}

func TestAPersonMayForceWhatIsRefused(t *testing.T) {
	w := settled(t, 3)
	w.each(func(n *failover.Node) { n.Replication.Priority = 0 })
	w.die("r-0")
	w.run()
	if w.progress.State != failover.StateBlocked {
		t.Fatalf("state %s", w.progress.State)
	}
	w.request = &failover.Request{ID: "force", Verb: failover.VerbForce, Target: "r-2"}
	w.run()
	if w.master() != "r-2" || w.request != nil || w.progress.ForcedPod != "" {
		t.Errorf("master %s, request %v, forced %q", w.master(), w.request, w.progress.ForcedPod)
	}
}

func TestAForcedFailoverNeverMakesASecondMaster(t *testing.T) {
	w := settled(t, 3)
	w.deaf["r-0"] = true
	w.request = &failover.Request{ID: "force", Verb: failover.VerbForce, Target: "r-2"}
	for range 40 {
		w.sleep(200 * time.Millisecond)
		if w.once(); len(w.observe().Masters()) != 1 {
			t.Fatalf("%d masters", len(w.observe().Masters()))
		}
	}
	if w.progress.State != failover.StateBlocked || w.progress.Reason != failover.ReasonOldMasterNotFenced {
		t.Errorf("state %s, reason %s", w.progress.State, w.progress.Reason)
	}
}

func TestAPersonMayDiscardTheDataOfADivergentMaster(t *testing.T) {
	w := settled(t, 3)
	n := w.node("r-2")
	n.Replication = failover.Replication{RunID: n.Replication.RunID, Role: failover.RoleMaster, Keys: 7, Priority: 100,
		Lineage: failover.Lineage{ReplID: "elsewhere", ReplID2: failover.NoReplID, SecondOffset: -1, Offset: 10}}
	w.sleep(time.Second)
	w.request = &failover.Request{ID: "discard", Verb: failover.VerbDiscard, Target: "r-2"}
	w.run()
	if n.Replication.Role != failover.RoleReplica || w.request != nil {
		t.Errorf("role %s, request %v", n.Replication.Role, w.request)
	}
}

func TestAMasterThatWouldNotStopByItselfIsNotReplacedOnAGuess(t *testing.T) {
	for name, tc := range map[string]struct {
		minReplicas int
		happen      func(w *world)
		master      string
	}{
		"it falls silent before its own fence is up":          {0, func(w *world) { w.hang("r-0") }, "r-0"},
		"it falls silent after":                               {1, func(w *world) { w.hang("r-0") }, "r-1"},
		"it is not known, since CONFIG is refused":            {-1, func(w *world) { w.hang("r-0") }, "r-1"},
		"it falls silent before, and the kubelet restarts it": {0, func(w *world) { w.restart("r-0", false) }, "r-1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 2)
			w.write(1000, nil)
			w.node("r-0").Replication.MinReplicas = tc.minReplicas
			tc.happen(w)
			w.sleep(time.Minute)
			w.run()
			if w.master() != tc.master ||
				tc.master == "r-0" && w.progress.Reason != failover.ReasonMasterUnreachableWithoutGuard {
				t.Errorf(
					"master %s in state %s, reason %s\n%s", w.master(), w.progress.State, w.progress.Reason,
					strings.Join(w.log, "\n"),
				)
			}
		})
	}
}

func TestWhatPeopleAreToldWaitsUntilSomethingFollowsFromASilence(t *testing.T) {
	for name, tt := range map[string]struct {
		contact   failover.Contact
		since     time.Duration
		cordoned  bool
		diagnosis failover.Diagnosis
		settling  bool
	}{
		"answering":                              {failover.ContactAnswering, 0, false, failover.DiagnosisHealthy, false},
		"refused just now":                       {failover.ContactRefused, 0, false, failover.DiagnosisHealthy, true},
		"refused just now, its node is cordoned": {failover.ContactRefused, 0, true, failover.DiagnosisMasterNodeDraining, true},
		"refused, and no witness":                {failover.ContactRefused, diagnosis.RefusedSettles, false, failover.DiagnosisMasterUnreachableButReplicating, false},
		"silent just now":                        {failover.ContactSilent, 0, false, failover.DiagnosisHealthy, true},
		"silent for a while":                     {failover.ContactSilent, snapshotSettles, false, failover.DiagnosisHealthy, false},
		"silent for long":                        {failover.ContactSilent, 3 * time.Second, false, failover.DiagnosisMasterUnreachableButReplicating, false},
		"its password is refused":                {failover.ContactDenied, 0, false, failover.DiagnosisMasterAccessDenied, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			m := w.node("r-0")
			m.Contact, m.ContactSince, m.LastAnswer, m.Cordoned = tt.contact, w.now, w.now, tt.cordoned
			w.now = w.now.Add(tt.since)
			for _, n := range []*failover.Node{w.node("r-1"), w.node("r-2")} { // their links are fine, as far as they know
				n.SampledAt, n.LastAnswer = w.now, w.now
			}
			d := Decide(w.now, w.policy, w.observe(), w.progress, nil)
			if d.Diagnosis != tt.diagnosis || d.Settling != tt.settling {
				t.Fatalf("%s, settling %t: %s", d.Diagnosis, d.Settling, d.Message)
			}
			if d.Settling && d.Again != failover.After(lookAgain).Sooner(d.Again) {
				t.Errorf("looked at again %s", d.Again)
			}
		})
	}
}
