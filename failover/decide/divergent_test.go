// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// foreignHost is the address of a Redis that is none of our nodes.
const foreignHost = "10.9.9.9"

// followForeignMaster has a person point a node at another RedisHA's master, whose data replaces what it had.
func (w *world) followForeignMaster(name string) {
	n := w.node(name)
	n.Replication.Role, n.Replication.MasterHost, n.Replication.MasterPort, n.Replication.Keys = failover.RoleReplica, foreignHost, 6379, 100000
	n.Replication.Lineage = failover.Lineage{
		ReplID:       "foreign",
		ReplID2:      failover.NoReplID,
		SecondOffset: -1,
		Offset:       9_000_000,
	}
	w.sample(0)
}

func TestTheDataOfAnotherRedisHAIsNeverPromoted(t *testing.T) {
	tests := map[string]struct {
		happen func(w *world)
		master string // empty: none
	}{
		"a replica that was led knownForeign, with its master lost": {func(w *world) {
			w.onAction = func(failover.Action) bool { return false } // no operator was there to lead it back
			w.followForeignMaster("r-0")
			w.followForeignMaster("r-1")
			w.onAction = nil
		}, "r-2"},
		"one that was restarted empty, like everybody, and led knownForeign": {func(w *world) {
			for _, name := range []string{"r-0", "r-1", "r-2"} {
				w.reboot(name, 0)
			}
			w.followForeignMaster("r-0")
		}, "r-1"},
		"one that has been ordered back and has nothing of ours yet": {func(w *world) {
			w.followForeignMaster("r-1")
			w.once()
			w.node("r-1").Replication.Lineage = failover.Lineage{
				ReplID:       "foreign",
				ReplID2:      failover.NoReplID,
				SecondOffset: -1,
				Offset:       9_000_000,
			}
			w.node("r-1").Replication.Keys = 100000
			w.reboot("r-0", 0)
			w.reboot("r-2", 0)
		}, "r-0"},
		"one that has been ordered back and has got what we have, by a name that its master gave it unseen": {func(w *world) {
			w.followForeignMaster("r-1")
			w.once()
			w.node("r-1").Replication.Lineage = failover.Lineage{
				ReplID:       "of our master",
				ReplID2:      failover.NoReplID,
				SecondOffset: -1,
				Offset:       700,
			}
			w.node("r-1").Replication.Keys = 5
			w.reboot("r-0", 0)
			w.reboot("r-2", 0)
		}, "r-1"},
		"one whose other master was replaced by its replica": {func(w *world) {
			w.followForeignMaster("r-1")
			w.once()
			w.node("r-1").Replication.Lineage = failover.Lineage{
				ReplID:       "replaced",
				ReplID2:      "foreign",
				SecondOffset: 9_000_001,
				Offset:       9_000_100,
			}
			w.node("r-1").Replication.Keys = 100000
			w.reboot("r-0", 0)
			w.reboot("r-2", 0)
		}, "r-0"},
		"one that has found what it got from there on its volume": {func(w *world) {
			w.policy.Persistent = true
			w.followForeignMaster("r-1")
			w.once()
			w.restart("r-1", false)
			w.restart("r-2", false)
			w.node("r-1").Replication.Keys, w.node("r-2").Replication.Keys = 100000, 5
			w.remove("r-0")
		}, "r-2"},
		"replicas of a master that was restarted and led knownForeign while no operator was there": {func(w *world) {
			w.reboot("r-0", 0)
			w.followForeignMaster("r-0")
			for i, name := range []string{"r-1", "r-2"} {
				w.progress.Nodes[i+1].Attached = false // the snapshot is from before they were
				w.node(name).Replication.Lineage, w.node(name).Replication.Keys = w.node("r-0").Replication.Lineage, 100000
			}
		}, ""},
		"no other left": {func(w *world) {
			w.followForeignMaster("r-0")
			w.remove("r-1")
			w.remove("r-2")
		}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.write(1000, nil)
			tc.happen(w)
			w.run()
			if tc.master == "" {
				if w.progress.State != failover.StateBlocked || w.progress.Reason != failover.ReasonNoCandidate {
					t.Errorf("state %s, reason %s\n%s", w.progress.State, w.progress.Reason, w.story())
				}
				return
			}
			if w.master() != tc.master || w.progress.State != failover.StateStable {
				t.Errorf("master %s in state %s, want %s\n%s", w.master(), w.progress.State, tc.master, w.story())
			}
		})
	}
}

func TestAReplicaThatFollowsWhereAFormerMasterWasHoldsOurData(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.followForeignMaster("r-1") // the address of a pod that two failovers have made us forget
	w.node("r-1").Replication.Lineage.ReplID = "former"
	w.progress.Retire("former")
	w.reboot("r-0", 0)
	w.reboot("r-2", 0)
	w.run()
	if w.progress.State != failover.StateBlocked || w.node("r-0").Replication.Role == failover.RoleMaster ||
		w.node("r-2").Replication.Role == failover.RoleMaster {
		t.Errorf(
			"master %s in state %s: an empty node replaces the only one with data\n%s", w.master(), w.progress.State,
			w.story(),
		)
	}
}

func TestASwitchoverDoesNotPromoteTheDataOfAnotherRedisHA(t *testing.T) {
	// The operator dies in the middle of a switchover; meanwhile a person points the demoted master elsewhere, and it
	// drags its replicas along.
	for _, state := range []failover.State{failover.StateSwitchingOver, failover.StatePromoting} {
		t.Run(string(state), func(t *testing.T) {
			w := settled(t, 3)
			w.write(1000, nil)
			w.request = &failover.Request{ID: "r-1", Target: "r-1"}
			w.onAction = func(a failover.Action) bool { _, promotes := a.(failover.Promote); return !promotes }
			for w.progress.State != state || !w.node("r-0").Replication.Fenced() {
				w.once()
				w.sleep(50 * time.Millisecond)
			}
			w.onAction = nil
			for _, name := range []string{"r-0", "r-1", "r-2"} {
				w.followForeignMaster(name)
			}
			w.node("r-0").Replication.MasterHost, w.node("r-0").Replication.MasterPort = failover.FenceHost, failover.FencePort // by our own order
			w.run()
			if w.progress.State != failover.StateBlocked || w.progress.Reason != failover.ReasonNoCandidate {
				t.Errorf("master %s in state %s, reason %s\n%s", w.master(), w.progress.State, w.progress.Reason, w.story())
			}
			if w.progress.Lineage.ReplID == "foreign" {
				t.Errorf("it is taken for the lost master's history: %+v", w.progress.Lineage)
			}
		})
	}
}

func TestWhatAFollowerOfALostCandidateGotElsewhereIsNotWhatTheCandidateWrote(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.onAction = func(a failover.Action) bool { _, follows := a.(failover.Follow); return !follows } // it has not synced from anybody since
	w.followForeignMaster("r-2")
	w.once()
	w.die("r-0")
	w.until(failover.StatePromoting)
	if w.progress.Candidate.Pod != "r-1" {
		t.Fatalf("candidate %s\n%s", w.progress.Candidate.Pod, w.story())
	}
	w.onAction = nil
	other := w.node("r-2") // has been ordered to follow the candidate, and begun to
	other.Replication.MasterHost, other.Replication.MasterPort, other.Replication.Linked = w.node("r-1").IP, 6379, true
	w.remove("r-1")
	w.run()
	if w.master() == "r-2" || w.progress.Lineage.ReplID == "foreign" {
		t.Errorf(
			"master %s, state %s, the lost history is %s\n%s", w.master(), w.progress.State, w.progress.Lineage.ReplID,
			w.story(),
		)
	}
}

func TestAForeignNodeIsItselfAgainOnceItIsAttached(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.followForeignMaster("r-1")
	w.run()
	for _, k := range w.progress.Nodes {
		if k.Pod == "r-1" && (k.Ineligible != failover.IneligibleForeign || k.Attached) {
			t.Errorf("while it has not settled: %+v", k)
		}
	}
	w.sleep(2 * snapshotSettles)
	w.run()
	for _, k := range w.progress.Nodes {
		if k.Ineligible != failover.Eligible || !k.Attached {
			t.Errorf("%+v\n%s", k, w.story())
		}
	}
}

func TestAReplicaOfAForeignMasterIsRememberedWhilePausedAsWell(t *testing.T) {
	w := settled(t, 2)
	w.policy.Persistent = true
	w.withKeys()
	w.policy.Mode = failover.ModePaused
	w.followForeignMaster("r-0")
	if d := w.run(); len(d.Actions) > 0 || d.Reason != failover.ReasonPaused {
		t.Errorf("paused: reason %s, %d action(s)", d.Reason, len(d.Actions))
	}
	w.restart("r-0", true) // from its volume, with no word of where it came from
	w.node("r-0").Replication.Lineage.ReplID = "anew"
	w.restart("r-1", true)
	w.node("r-1").Replication.Lineage.ReplID = "anew as well"
	w.policy.Mode = failover.ModeAutomatic
	w.run()
	if w.master() != "r-1" {
		t.Errorf("master %s in state %s, reason %s\n%s", w.master(), w.progress.State, w.progress.Reason, w.story())
	}
}

// anew replaces a pod: the one that comes again has its name, and its volume.
func (w *world) anew(name string) {
	w.restart(name, true)
	n := w.node(name)
	n.UID, n.Former, n.Replication.Lineage.ReplID = "uid-anew", failover.Former{}, "anew"
}

func TestAPodThatComesAgainHasOnItsVolumeWhatTheOneBeforeGotElsewhere(t *testing.T) {
	w := settled(t, 2)
	w.policy.Persistent = true
	w.withKeys()
	w.followForeignMaster("r-1")
	w.onAction = func(a failover.Action) bool { _, follows := a.(failover.Follow); return !follows } // it cannot be led back
	w.once()
	n := *w.node("r-1")
	w.remove("r-1")
	w.run()
	w.nodes = append(w.nodes, &n)
	w.anew("r-1")
	w.onAction = nil
	w.restart("r-0", false)
	w.run()
	if w.master() != "r-0" {
		t.Errorf("master %s in state %s, reason %s\n%s", w.master(), w.progress.State, w.progress.Reason, w.story())
	}
}

func TestAPodThatComesAgainEmptyIsForgivenWhatTheOneBeforeGotElsewhere(t *testing.T) {
	w := settled(t, 2)
	w.followForeignMaster("r-1")
	w.onAction = func(a failover.Action) bool { _, follows := a.(failover.Follow); return !follows }
	w.once()
	w.anew("r-1")
	w.node("r-1").Replication.Keys = 0
	w.once()
	w.once()
	for _, k := range w.progress.Nodes {
		if k.Ineligible == failover.IneligibleForeign {
			t.Errorf("%+v\n%s", k, w.story())
		}
	}
}

func TestTheStatusNamesEachPodOnce(
	t *testing.T,
) { // status.nodes is a list by pod; the API server refuses a name that is there twice
	w := settled(t, 3)
	w.withKeys()
	w.hang("r-0")
	w.hang("r-1")
	w.sleep(10 * time.Second)
	w.run()
	w.anew("r-2")
	w.followForeignMaster("r-2")
	w.run()
	named := map[string]bool{}
	for _, k := range w.progress.Nodes {
		if named[k.Pod] {
			t.Errorf("%s twice: %+v", k.Pod, w.progress.Nodes)
		}
		named[k.Pod] = true
	}
}
