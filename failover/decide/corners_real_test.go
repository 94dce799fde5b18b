// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// What the scenarios on real Redis (e2e/scenarios) have shown, in the lowest layer that shows it.

func TestTheIntentIsAStepOfItsOwnThoughNoNodeIsLeftToFence(t *testing.T) {
	w := settled(t, 3)
	for _, name := range []string{"r-0", "r-1", "r-2"} {
		w.restart(name, false)
	}
	if d, _ := w.once(); d.Next.State != failover.StateFencing || len(d.Actions) != 0 {
		t.Errorf("state %s with %d actions, want the intent alone", d.Next.State, len(d.Actions))
	}
	if w.run(); w.progress.State != failover.StateStable {
		t.Errorf("state %s", w.progress.State)
	}
	for _, state := range []failover.State{failover.StateFencing, failover.StatePromoting, failover.StateReattaching} {
		if !strings.Contains(strings.Join(w.log, "\n"), "→"+string(state)) {
			t.Errorf("never %s", state)
		}
	}
}

// promoteByHand is REPLICAOF NO ONE on a replica, and so many bytes written to it.
func (w *world) promoteByHand(name string, bytes int64) *failover.Node {
	n := w.node(name)
	n.Replication.Keys = 5
	w.command(n, failover.Promote{Node: n.Ref()})
	n.Replication.Lineage.Offset += bytes
	return n
}

func TestAReplicaPromotedByHandIsTakenBackWhileItHasNothingOfItsOwn(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	n := w.promoteByHand("r-2", 0)
	w.sleep(time.Second)
	w.run()
	if !n.Follows(w.node("r-0").IP) {
		t.Errorf("it was not taken back\n%s", strings.Join(w.log, "\n"))
	}
}

func TestAReplicaPromotedByHandAndWrittenToIsLeftAlone(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	n := w.promoteByHand("r-2", 40)
	w.sleep(time.Second)
	d := w.run()
	if d.Reason != failover.ReasonDivergentMaster || n.Replication.Role != failover.RoleMaster || w.master() != "r-0" {
		t.Fatalf("reason %q, role %s\n%s", d.Reason, n.Replication.Role, strings.Join(w.log, "\n"))
	}
	w.request = &failover.Request{ID: "discard", Verb: failover.VerbDiscard, Target: "r-2"}
	w.run()
	w.sleep(time.Second)
	if d := w.run(); d.Reason != failover.ReasonNone || !n.Follows(w.node("r-0").IP) {
		t.Errorf("reason %q; it was not taken back though a person gave its data up", d.Reason)
	}
}

func TestACandidateThatDiesBeforeItIsPublishedLeavesItsFollowersAsCandidates(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.onAction = func(a failover.Action) bool { _, publish := a.(failover.Publish); return !publish }
	w.restart("r-0", false)
	for range 20 {
		w.once()
	}
	if w.progress.State != failover.StatePromoting || w.progress.Candidate == nil {
		t.Fatalf("state %s\n%s", w.progress.State, strings.Join(w.log, "\n"))
	}
	w.onAction = nil
	w.die(w.progress.Candidate.Pod)
	w.now = w.now.Add(time.Second)
	w.run()
	w.sleep(time.Second)
	w.run()
	if w.progress.State != failover.StateStable {
		t.Errorf("state %s, %s\n%s", w.progress.State, w.progress.Message, strings.Join(w.log[len(w.log)-10:], "\n"))
	}
}

func TestAFailoverLeavesADivergentMasterAlone(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.promoteByHand("r-2", 40)
	w.sleep(time.Second)
	w.run()
	w.restart("r-0", false)
	d := w.run()
	w.sleep(time.Second)
	w.run()
	if divergent := w.node(
		"r-2",
	); w.master() != "r-1" || divergent.Replication.Role != failover.RoleMaster ||
		divergent.Replication.Lineage.Offset != 1040 {
		t.Errorf(
			"master %s, the divergent one is a %s at %d; %s\n%s", w.master(), divergent.Replication.Role,
			divergent.Replication.Lineage.Offset, d.Message, strings.Join(w.log, "\n"),
		)
	}
}

// heardAll lets a successor hear from everybody.
func (w *world) heardAll() {
	for _, n := range w.nodes {
		w.heard(n.Name, failover.ContactAnswering)
	}
}

// until decides until the progress is in that state.
func (w *world) until(s failover.State) {
	w.t.Helper()
	for range 50 {
		if w.once(); w.progress.State == s {
			return
		}
		w.sleep(10 * time.Millisecond)
	}
	w.t.Fatalf("never %s\n%s", s, strings.Join(w.log, "\n"))
}

func TestASuccessorGivesASwitchoverTheTimeThatItsPredecessorDidNotUse(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.request = &failover.Request{ID: "switchover", Verb: failover.VerbSwitchover}
	w.onAction = func(failover.Action) bool { return false } // the predecessor dies right after it has persisted
	w.once()
	if w.progress.State != failover.StateSwitchingOver {
		t.Fatalf("state %s", w.progress.State)
	}
	w.onAction = nil
	w.takeOver(7 * time.Second)
	w.once()
	w.heardAll()
	w.run()
	if w.master() == "r-0" || w.history[0].Outcome != failover.OutcomeSucceeded {
		t.Errorf("master %s, %+v", w.master(), w.history)
	}
}

func TestASuccessorSettlesNothingBeforeItHasHeardEverybody(t *testing.T) {
	w := settled(t, 3)
	w.restart("r-0", false)
	w.until(failover.StateReattaching)
	w.takeOver(7 * time.Second)
	if w.once(); w.progress.State != failover.StateReattaching {
		t.Errorf("state %s, and no node has been heard\n%s", w.progress.State, strings.Join(w.log, "\n"))
	}
	w.heardAll()
	w.run()
	if w.progress.State != failover.StateStable || w.node(w.master()).RoleLabel != failover.RoleMaster {
		t.Errorf("state %s, the master is labelled %q", w.progress.State, w.node(w.master()).RoleLabel)
	}
}

func TestAnEmptyMasterIsNotPromotedOverReplicasThatMayNotBe(t *testing.T) {
	for name, limit := range map[string]func(*failover.Node){
		"priority 0":      func(n *failover.Node) { n.Replication.Priority = 0 },
		"being deleted":   func(n *failover.Node) { n.Terminating = true },
		"syncing":         func(n *failover.Node) { n.Replication.Syncing = true },
		"too far behind":  func(n *failover.Node) { n.Replication.Lineage.Offset = 1 },
		"does not answer": func(n *failover.Node) { n.Contact = failover.ContactSilent },
		"does not let in": func(n *failover.Node) { n.Contact = failover.ContactDenied },
		"was never heard": func(n *failover.Node) {
			n.Contact, n.Sampled, n.Replication = failover.ContactSilent, false, failover.Replication{}
		},
		"of other lineage": func(n *failover.Node) { n.Replication.Lineage.ReplID = "changed" },
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.write(1<<21, nil)
			w.sleep(time.Second)
			w.once()
			w.each(func(n *failover.Node) {
				if n.Name != "r-0" {
					limit(n)
				}
			})
			w.restart("r-0", false)
			for range 30 {
				w.sleep(100 * time.Millisecond)
				w.once()
			}
			if w.progress.State != failover.StateBlocked || w.node("r-0").Replication.Role == failover.RoleMaster {
				t.Errorf("state %s: %s\n%s", w.progress.State, w.progress.Message, strings.Join(w.log, "\n"))
			}
		})
	}
}

func TestNoTwoPodsAreLabelledAsMasterAtAnyInstant(t *testing.T) {
	w := settled(t, 3)
	w.onAction = func(a failover.Action) bool {
		if l, ok := a.(failover.Label); ok && l.Role == failover.RoleMaster {
			for _, n := range w.nodes {
				if n.RoleLabel == failover.RoleMaster && n.UID != l.Node.UID {
					t.Errorf("%s gets the label while %s has it", l.Node.Pod, n.Name)
				}
			}
		}
		return true
	}
	w.node("r-0").Terminating = true // the former master's pod may be on its way out, and keeps its label until told
	w.run()
	w.pass(2 * time.Second)
	if w.master() == "r-0" || w.node(w.master()).RoleLabel != failover.RoleMaster ||
		w.node("r-0").RoleLabel == failover.RoleMaster {
		t.Errorf("master %s labelled %q, r-0 labelled %q", w.master(), w.node(w.master()).RoleLabel, w.node("r-0").RoleLabel)
	}
}

func TestAPersonMayKeepWhatADivergentMasterHolds(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	divergent := w.promoteByHand("r-2", 40)
	w.write(500, nil)
	w.sleep(time.Second)
	w.run()
	w.request = &failover.Request{ID: "force", Verb: failover.VerbForce, Target: "r-2"}
	w.run()
	w.sleep(time.Second)
	if d := w.run(); w.master() != "r-2" || divergent.Replication.Lineage.Offset != 1040 ||
		d.Reason != failover.ReasonNone ||
		!w.node("r-0").Follows(divergent.IP) {
		t.Errorf(
			"master %s at %d, reason %q\n%s", w.master(), divergent.Replication.Lineage.Offset, d.Reason,
			strings.Join(w.log, "\n"),
		)
	}
}

func TestTheRequestedNodeIsWaitedForWhenAnotherIsCompleteBefore(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.request = &failover.Request{ID: "switchover", Verb: failover.VerbSwitchover, Target: "r-2"}
	w.onAction = func(a failover.Action) bool {
		if _, drain := a.(failover.Drain); drain { // every replica has every write, and the sample of the requested one is older
			w.command(w.node("r-0"), failover.Detach{})
			w.node("r-2").Replication.Lineage.Offset -= 10
			return false
		}
		return true
	}
	w.once()
	w.once()
	w.node("r-2").Replication.Lineage.Offset += 10
	w.sleep(10 * time.Millisecond)
	if w.run(); w.master() != "r-2" {
		t.Errorf("switched over to %s\n%s", w.master(), strings.Join(w.log, "\n"))
	}
}

// A new master with no replica yet is lost, and is back with a snapshot from before its promotion. Its predecessor has
// all that was written until then, and a tail that the failover gave up.
func TestAFormerMasterIsPreferredToItsSuccessorsOldSnapshot(t *testing.T) {
	for consistency, want := range map[failover.Consistency]string{failover.ConsistencyBounded: "r-0", failover.ConsistencyStrict: ""} {
		t.Run(string(consistency), func(t *testing.T) {
			w := settled(t, 2)
			w.policy.Persistent, w.policy.Consistency = true, consistency
			w.write(25000, nil)
			old := w.node("r-1").Replication.Lineage
			w.write(20000, map[string]int64{"r-1": 900})
			tail := w.node("r-0").Replication.Lineage
			w.die("r-0")
			w.onAction = func(a failover.Action) bool { _, follows := a.(failover.Follow); return !follows } // no node gets to follow the new master
			for range 100 {
				if w.once(); w.progress.State == failover.StateReattaching {
					break
				}
				w.sleep(10 * time.Millisecond)
			}
			w.restart("r-0", false)
			w.node("r-0").Replication.Lineage, w.node("r-0").Replication.Keys = tail, 450
			w.once()
			w.restart("r-1", false)
			w.node("r-1").Replication.Lineage, w.node("r-1").Replication.Keys = old, 250
			w.onAction = nil
			w.pass(5 * time.Second)
			m := w.master()
			if want == "" {
				if w.progress.State != failover.StateBlocked {
					t.Errorf("Strict guesses: master %q, state %s\n%s", m, w.progress.State, w.story())
				}
				return
			}
			if m != want || w.node("r-1").Replication.MasterHost != w.node(want).IP {
				t.Errorf("master %q, state %s (%s)\n%s", m, w.progress.State, w.progress.Reason, w.story())
			}
		})
	}
}
