// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// What is off the main road: each way that a decision can take has a test that takes it.

func TestAStatusThatContradictsItselfIsLeftAlone(t *testing.T) {
	for name, spoil := range map[string]func(p *failover.Progress){
		"a master before the first":      func(p *failover.Progress) { p.State = failover.StateBootstrapping },
		"no master in Stable":            func(p *failover.Progress) { p.Master = nil },
		"no candidate in Promoting":      func(p *failover.Progress) { p.State = failover.StatePromoting },
		"no master in Reattaching":       func(p *failover.Progress) { p.State, p.Master = failover.StateReattaching, nil },
		"a state of a later version":     func(p *failover.Progress) { p.State = "Tomorrow's" },
		"no master in Suspected":         func(p *failover.Progress) { p.State, p.Master = failover.StateSuspected, nil },
		"nothing but the name of one":    func(p *failover.Progress) { *p = failover.Progress{State: failover.StatePromoting} },
		"a state that no step may leave": func(p *failover.Progress) { *p = failover.Progress{State: "Tomorrow's", Master: p.Master} },
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.pub = failover.Published{} // else that would be believed
			spoil(&w.progress)
			before := w.progress.Clone()
			w.followForeignMaster("r-1") // what is seen now would be written down otherwise
			w.request = &failover.Request{ID: before.Request, Verb: failover.VerbSwitchover}
			if d, _ := w.once(); before.State == "Tomorrow's" && !reflect.DeepEqual(d.Next, before) {
				t.Errorf("a status of another version is written: %+v became %+v", before, d.Next)
			}
			if d, _ := w.once(); d.Reason != failover.ReasonUnknownState || len(d.Actions) > 0 || d.Message == "" {
				t.Errorf("reason %q, %d actions: %s", d.Reason, len(d.Actions), d.Message)
			}
		})
	}
}

func TestALoneMasterIsAdopted(t *testing.T) {
	w := newWorld(t, 3)
	w.command(w.node("r-1"), failover.Promote{})
	w.node("r-1").Replication.Keys = 7
	w.run()
	if w.master() != "r-1" || w.history[0].Cause != failover.CauseAdopted || w.history[0].Kind != failover.KindBootstrap {
		t.Errorf("master %s, %+v", w.master(), w.history)
	}
}

func TestTheFirstMasterWaitsForWhoeverMayHoldData(t *testing.T) {
	w := newWorld(t, 3)
	n := w.node("r-2")
	n.Contact, n.MayHoldData = failover.ContactSilent, true
	w.sleep(time.Minute)
	if d := w.run(); d.Reason != failover.ReasonWaitingForData || w.progress.State != failover.StateBootstrapping {
		t.Errorf("reason %s: %s", d.Reason, d.Message)
	}
}

func TestTheFirstPlaceIsKeptForOrdinalZeroForAWhile(t *testing.T) {
	w := newWorld(t, 3)
	w.node("r-0").Contact = failover.ContactRefused
	if d := w.run(); d.Reason != failover.ReasonWaitingForPods {
		t.Errorf("reason %s: %s", d.Reason, d.Message)
	}
	w.sleep(bootstrapPatience)
	w.run()
	if w.master() != "r-1" {
		t.Errorf("master %q", w.master())
	}
}

func TestAFirstMasterThatIsLostOnTheWayIsReplacedByAnother(t *testing.T) {
	w := newWorld(t, 3)
	w.onAction = func(a failover.Action) bool { _, promote := a.(failover.Promote); return !promote }
	w.once()
	w.remove("r-0")
	w.onAction = nil
	w.run()
	if w.master() != "r-1" || w.progress.Epoch != 2 {
		t.Errorf("master %q by epoch %d", w.master(), w.progress.Epoch)
	}
}

func TestACandidateThatIsNotWhatItWasIsReplaced(t *testing.T) {
	for name, spoil := range map[string]func(w *world, name string){
		"restarted":  func(w *world, name string) { w.restart(name, false) },
		"unanswered": func(w *world, name string) { w.hang(name); w.sleep(failover.PromoteWithin) },
		"refusing":   func(w *world, name string) { w.die(name); w.sleep(failover.QuietenWithin) },
		"gone":       func(w *world, name string) { w.remove(name) },
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.write(1000, nil)
			w.die("r-0")
			w.onAction = func(a failover.Action) bool { _, promote := a.(failover.Promote); return !promote }
			w.until(failover.StatePromoting)
			first := w.progress.Candidate.Pod
			spoil(w, first)
			w.onAction = nil
			w.run()
			if w.master() == first || w.master() == "r-0" || w.progress.Epoch != 3 {
				t.Errorf("master %q by epoch %d\n%s", w.master(), w.progress.Epoch, strings.Join(w.log, "\n"))
			}
		})
	}
}

func TestASwitchoverThatIsOvertakenByEvents(t *testing.T) {
	for name, tc := range map[string]struct {
		happen func(w *world)
		from   bool // away from r-0
	}{
		"the master's pod goes":     {func(w *world) { w.remove("r-0") }, true},
		"the master's process dies": {func(w *world) { w.die("r-0") }, true},
		"it is restarted, empty":    {func(w *world) { w.restart("r-0", false) }, true},
		"the candidate goes":        {func(w *world) { w.remove(w.progress.Candidate.Pod) }, false},
		"the candidate hangs":       {func(w *world) { w.hang(w.progress.Candidate.Pod); w.sleep(time.Second) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.write(1000, nil)
			w.request = &failover.Request{ID: "switchover", Verb: failover.VerbSwitchover}
			w.onAction = func(a failover.Action) bool { _, drain := a.(failover.Drain); return !drain }
			w.once()
			tc.happen(w)
			w.onAction = nil
			w.run()
			w.sleep(time.Second)
			w.run()
			if got := w.master() != "r-0"; got != tc.from || w.progress.State != failover.StateStable {
				t.Errorf("master %s, state %s\n%s", w.master(), w.progress.State, strings.Join(w.log, "\n"))
			}
		})
	}
}

func TestInManualModeASilentMasterIsNamedAndLeft(t *testing.T) {
	w := settled(t, 3)
	w.policy.Mode = failover.ModeManual
	w.hang("r-0")
	w.sleep(4 * time.Second)
	if d := w.run(); d.Reason != failover.ReasonManualMode || w.master() != "r-0" {
		t.Errorf("reason %s, master %s", d.Reason, w.master())
	}
}

func TestTheOnlyPodIsLetGo(t *testing.T) {
	w := settled(t, 1)
	w.node("r-0").Terminating = true
	w.run()
	if !w.node("r-0").Replication.Fenced() {
		t.Errorf("its preStop hook waits for a successor that will never be: %s", w.progress.Message)
	}
}

func TestARequestForTheMasterItselfIsDone(t *testing.T) {
	w := settled(t, 3)
	w.request = &failover.Request{ID: "switchover:r-0", Verb: failover.VerbSwitchover, Target: "r-0"}
	w.run()
	if w.request != nil || w.progress.Epoch != 1 {
		t.Errorf("request %v, epoch %d", w.request, w.progress.Epoch)
	}
}

func TestASwitchoverWaitsForTheMastersAnswer(t *testing.T) {
	w := settled(t, 3)
	w.hang("r-0")
	w.node("r-0").Terminating = true
	if d, _ := w.once(); d.Next.State != failover.StateStable || !strings.Contains(d.Message, "waiting") {
		t.Errorf("state %s: %s", d.Next.State, d.Message)
	}
}

func TestASwitchoverThatWasAbortedIsNotTriedAgainAtOnce(t *testing.T) {
	w := settled(t, 3)
	w.progress.CooldownUntil = w.now.Add(failover.SwitchoverRetry)
	w.node("r-0").Cordoned = true
	if d := w.run(); d.Reason != failover.ReasonCooldown || w.master() != "r-0" {
		t.Errorf("reason %s, master %s", d.Reason, w.master())
	}
	w.sleep(failover.SwitchoverRetry)
	w.run()
	if w.master() == "r-0" {
		t.Error("the cordoned node is not left")
	}
}

func TestOneWitnessIsEnoughToHold(t *testing.T) {
	for name, contact := range map[string]failover.Contact{"refused": failover.ContactRefused, "silent": failover.ContactSilent} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			n := w.node("r-0")
			n.Contact, n.ContactSince = contact, w.now
			for range 5 {
				w.now = w.now.Add(time.Second)
				w.link(w.node("r-1"), false, -1)
				w.node("r-1").SampledAt = w.now
				w.node("r-2").SampledAt, w.node("r-2").Replication.LinkUp, w.node("r-2").Replication.LastIO = w.now, true, 0
				if d := Decide(w.now, w.policy, w.observe(), w.progress, nil); d.Next.Running() {
					t.Fatalf("%s", d.Message)
				}
			}
		})
	}
}

func TestAMasterIsOutdatedOnlyWhenItIsTheLast(t *testing.T) {
	w := settled(t, 3)
	w.node("r-0").Outdated, w.node("r-2").Outdated = true, true
	w.run()
	if w.master() != "r-0" {
		t.Errorf("switched over before the replicas were replaced")
	}
}

func TestAnOutdatedMasterIsKeptUntilThoseThatWereReplacedHaveStayedWell(t *testing.T) {
	w := settled(t, 2)
	w.node("r-0").Outdated, w.node("r-1").Unproven = true, true
	if d := w.run(); w.master() != "r-0" || d.Again == failover.OnEvent() {
		t.Fatalf("the master is %s, and it is looked at again %s", w.master(), d.Again)
	}
	w.node("r-1").Unproven = false
	w.run()
	if w.master() != "r-1" {
		t.Errorf("the master is still %s", w.master())
	}
}

func TestAMasterThatIsHeldIsNotMovedByAPlanAndByAllElse(t *testing.T) {
	held := func(t *testing.T) *world {
		w := settled(t, 3)
		w.node("r-0").Held = true
		return w
	}
	outdated := func(w *world) { w.node("r-0").Outdated = true }
	surplus := func(w *world) { w.node("r-0").Ordinal = 3 }
	for name, plan := range map[string]func(*world){"outdated": outdated, "to be scaled away": surplus} {
		w := held(t)
		plan(w)
		d := w.run()
		if w.master() != "r-0" || d.Next.State != failover.StateStable {
			t.Errorf("%s, the master is %s: %s", name, w.master(), d.Message)
		}
		if name == "outdated" && d.Again != failover.OnEvent() {
			t.Errorf("while it is held it is looked at again %s", d.Again)
		}
		w.node("r-0").Held = false
		if w.run(); w.master() == "r-0" {
			t.Errorf("%s, and held no more, the master stays", name)
		}
	}
	for name, change := range map[string]func(*world){
		"its machine is drained": func(w *world) { w.node("r-0").Cordoned = true },
		"its pod is evicted":     func(w *world) { w.node("r-0").Terminating = true },
		"its process dies":       func(w *world) { w.die("r-0") },
		"a person asks":          func(w *world) { w.request = &failover.Request{ID: "1", Verb: failover.VerbSwitchover} },
		"a switchover has begun": func(w *world) {
			w.node("r-0").Held = false
			w.once()
			w.node("r-0").Held = true
		},
	} {
		w := held(t)
		outdated(w)
		change(w)
		if w.run(); w.master() == "r-0" {
			t.Errorf("%s, and the master stays", name)
		}
	}
}

func TestAMasterThatLeavesIsFollowedByAPodThatIsWell(t *testing.T) {
	w := settled(t, 3)
	w.node("r-0").Cordoned = true
	w.node("r-1").Unproven, w.node("r-2").Outdated = true, true
	w.run()
	if w.master() != "r-2" {
		t.Errorf("the master is %s", w.master())
	}
	w.node("r-2").Cordoned, w.node("r-0").Unproven, w.node("r-1").Unproven = true, true, true
	w.pass(time.Minute)
	w.run()
	if w.master() == "r-2" {
		t.Error("where no pod is well, the master does not leave")
	}
}

// A replica whose own Kubernetes node is to be left soon has every write, and a failover might lose the last of them.
func TestAMasterWhosePodEndsIsFollowedByAReplicaOnANodeThatIsLeftWhereThereIsNoOther(t *testing.T) {
	cordoned := func(t *testing.T) *world {
		w := settled(t, 3)
		for _, n := range w.nodes {
			n.Cordoned = true
		}
		return w
	}
	w := cordoned(t)
	if d := w.run(); w.master() != "r-0" || d.Reason != failover.ReasonNoCandidate {
		t.Errorf("no pod ends, and the master is %s: %s", w.master(), d.Message)
	}
	w.node("r-0").Terminating = true
	w.run()
	if w.master() == "r-0" || len(w.history) != 1 || w.history[0].Kind != failover.KindSwitchover {
		t.Errorf("the pod of the master ends, and %s is master: %+v", w.master(), w.history)
	}

	w = cordoned(t)
	w.node("r-0").Terminating, w.node("r-1").Cordoned = true, false
	w.write(100, map[string]int64{"r-1": 10})
	if w.run(); w.master() != "r-1" {
		t.Errorf("%s is master, and r-1 is on a node that stays", w.master())
	}
}

func TestAForcedNodeThatDoesNotAnswerIsNotPromoted(t *testing.T) {
	w := settled(t, 3)
	w.hang("r-2")
	w.request = &failover.Request{ID: "force", Verb: failover.VerbForce, Target: "r-2"}
	for range 30 {
		w.once()
		w.sleep(100 * time.Millisecond)
	}
	if w.progress.State != failover.StateBlocked || w.progress.Reason != failover.ReasonRequestedNodeIneligible {
		t.Errorf("state %s, reason %s", w.progress.State, w.progress.Reason)
	}
}

func TestStrictNeedsNoOtherReplicaWhenTheOldMasterItselfIsFrozen(t *testing.T) {
	w := settled(t, 3)
	w.policy.Consistency = failover.ConsistencyStrict
	w.write(1000, nil)
	w.remove("r-1")
	w.remove("r-2")
	w.command(w.node("r-0"), failover.Detach{})
	w.run()
	if w.master() != "r-0" || w.progress.Epoch != 2 {
		t.Errorf("master %s by epoch %d, %s", w.master(), w.progress.Epoch, w.progress.Message)
	}
}

func TestAfterAFullOutageTheLastMastersDiskWinsThenTheFullest(t *testing.T) {
	for name, tc := range map[string]struct {
		keys [3]int64
		want string
	}{
		"the last master's":              {[3]int64{5, 9, 9}, "r-0"},
		"the fullest when that is empty": {[3]int64{0, 4, 9}, "r-2"},
		"ordinal zero when all are":      {[3]int64{0, 0, 0}, "r-0"},
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.policy.Persistent = true
			for i, n := range w.nodes {
				w.restart(n.Name, false) // an append-only file has its data and a new replid
				w.nodes[i].Replication.Keys, w.nodes[i].MayHoldData = tc.keys[i], true
			}
			w.run()
			if w.master() != tc.want {
				t.Errorf("master %s, want %s: %s", w.master(), tc.want, w.progress.Message)
			}
		})
	}
}

func TestAMasterThatDiesWhileTheOthersAreAttachedIsSuperseded(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.die("r-0")
	w.onAction = func(a failover.Action) bool { _, label := a.(failover.Label); return !label } // something is left to be done
	w.until(failover.StateReattaching)
	second := w.master()
	w.restart(second, false)
	w.onAction = nil
	w.run()
	if w.master() == second || w.history[0].Outcome != failover.OutcomeSuperseded ||
		w.progress.State != failover.StateStable {
		t.Errorf("master %s, state %s, %+v", w.master(), w.progress.State, w.history)
	}
}

func TestAMasterThatChangesItsHistoryIsStillKnown(t *testing.T) {
	w := settled(t, 3)
	before := w.node("r-0").Replication.Lineage.ReplID
	w.node("r-0").Replication.Lineage.ReplID = "its backlog was freed"
	w.sleep(time.Second)
	w.run()
	if w.progress.Master.Lineage.ReplID != "its backlog was freed" || len(w.progress.Retired) == 0 ||
		w.progress.Retired[0] != before {
		t.Errorf("lineage %+v, retired %v", w.progress.Master.Lineage, w.progress.Retired)
	}
}

func TestAnEndpointEditedByHandIsPutRight(t *testing.T) {
	w := settled(t, 3)
	right := w.pub
	w.pub = failover.Published{Epoch: right.Epoch}
	if w.run(); w.pub != right {
		t.Errorf("published %+v, want %+v", w.pub, right)
	}
}

func TestFullSyncsGoOneAfterTheOther(t *testing.T) {
	w := settled(t, 3)
	for _, name := range []string{"r-1", "r-2"} {
		w.restart(name, false)
	}
	w.node("r-0").Replication.Lineage.Offset = 1 << 20
	count := func() (follows int) {
		for _, a := range Decide(w.now, w.policy, w.observe(), w.progress, nil).Actions {
			if _, ok := a.(failover.Follow); ok {
				follows++
			}
		}
		return follows
	}
	if got := count(); got != 1 {
		t.Errorf("%d full syncs are begun at once", got)
	}
	w.node("r-1").Replication.MasterHost, w.node("r-1").Replication.Syncing = w.node("r-0").IP, true
	if got := count(); got != 0 {
		t.Errorf("%d more are begun while one runs", got)
	}
}

func TestAProcessThatWasStartedAnewIsCountedForAsLongAsItsPodLives(t *testing.T) {
	w := settled(t, 3)
	counted := func(want ...int) {
		t.Helper()
		for range 2 {
			w.sleep(2 * time.Second)
			w.run()
		}
		for i, k := range w.progress.Nodes {
			if k.Restarts != want[i] {
				t.Errorf("%s: %d restarts, want %d\n%s", k.Pod, k.Restarts, want[i], strings.Join(w.log, "\n"))
			}
		}
	}
	w.restart("r-2", false) // a replica
	counted(0, 0, 1)
	w.restart("r-0", false) // the master, which brings a failover
	counted(1, 0, 1)
	if w.master() == "r-0" {
		t.Error("no failover")
	}
	w.restart("r-2", false)
	counted(1, 0, 2)
	*w.node("r-2") = *w.boot(2) // another pod
	w.node("r-2").UID = "uid-of-another"
	counted(1, 0, 0)
}

// A server that says another version each time costs no writes of the status.
func TestTheVersionOfAProcessIsRecordedOnce(t *testing.T) {
	w := settled(t, 3)
	recorded := func(want string) {
		t.Helper()
		w.sleep(2 * time.Second)
		w.run()
		for _, k := range w.progress.Nodes {
			if k.Pod == "r-2" && k.Version != want {
				t.Errorf("it is recorded as %q, want %q", k.Version, want)
			}
		}
	}
	w.node("r-2").Replication.Version = "7.4.1"
	recorded("7.4.1")
	w.node("r-2").Replication.Version = "6.6.6"
	recorded("7.4.1")
	w.restart("r-2", false)
	w.node("r-2").Replication.Version = "7.4.2"
	recorded("7.4.2")
}
