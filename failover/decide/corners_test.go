// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// These corners were found by the simulator (failover/simulator); each is here as small as it could be made.

// story is what is printed when a corner is not mended.
func (w *world) story() string { return strings.Join(w.log, "\n") }

// reboot gives a pod another process, which found nothing or, with data, what its disk had.
func (w *world) reboot(name string, offset int64) {
	n := w.node(name)
	lineage := n.Replication.Lineage
	w.restart(name, false)
	if n = w.node(name); offset > 0 {
		n.Replication.Keys, n.Replication.Lineage = 5, lineage
		n.Replication.Lineage.Offset = offset
	}
}

// withKeys gives every node data.
func (w *world) withKeys() {
	for _, n := range w.nodes {
		n.Replication.Keys = 5
	}
}

// unknown forgets a node's process, as if it had come after the last snapshot, by a lineage that was not seen.
func (w *world) unknown(name string) {
	n := w.node(name)
	n.Replication.RunID, n.Replication.Lineage = "run-unseen", failover.Lineage{
		ReplID:       "unseen",
		ReplID2:      failover.NoReplID,
		SecondOffset: -1,
		Offset:       900,
	}
}

// twoDisksLeft leaves the master, with keys of a history without a name, and a replica that has come back with an old
// disk.
func (w *world) twoDisksLeft(masters, replicas int64) {
	w.policy.Persistent = true
	w.withKeys()
	w.remove("r-2")
	w.reboot("r-1", 800)
	w.restart("r-0", true)
	w.node("r-0").Replication.Lineage = failover.Lineage{ReplID: "anew", ReplID2: failover.NoReplID, SecondOffset: -1}
	w.node("r-0").Replication.Keys, w.node("r-1").Replication.Keys = masters, replicas
}

// disksNamed leaves three processes that have each found data on a disk, by these names of its history, and each more
// than the one before.
func (w *world) disksNamed(names ...string) {
	w.policy.Persistent = true
	w.progress.Retire("older")
	w.progress.Retire("newer")
	for i, name := range names {
		pod := w.nodes[i].Name
		w.reboot(pod, 0)
		r := &w.node(pod).Replication
		r.Keys = int64(5 + i)
		if name != "" {
			r.Lineage = failover.Lineage{ReplID: name, ReplID2: failover.NoReplID, SecondOffset: -1, Offset: 5000}
		}
	}
}

func TestTheElectionAfterAnOutage(t *testing.T) {
	tests := map[string]struct {
		happen func(w *world)
		master string // empty: none
		reason failover.Reason
	}{
		"Strict counts only processes that have been running since": {func(w *world) {
			w.policy.Consistency = failover.ConsistencyStrict
			w.reboot("r-1", 1000)
			w.die("r-0")
		}, "", failover.ReasonTooFewReplicasFenced},
		"Strict counts the replicas that were attached, not those that the spec wants by now": {func(w *world) {
			w.policy.Consistency = failover.ConsistencyStrict
			w.hang("r-1")
			w.die("r-0")
			w.run()
			w.policy.Replicas = 2
		}, "", failover.ReasonTooFewReplicasFenced},
		"a process out of reach that may have got the last copy is waited for": {func(w *world) {
			w.reboot("r-1", 0)
			w.reboot("r-0", 0)
			w.unknown("r-2")
			w.node("r-2").Contact, w.node("r-2").Replication.Keys = failover.ContactSilent, 5
		}, "", failover.ReasonWaitingForData},
		"an empty node is not promoted over one of priority 0 that holds data": {func(w *world) {
			w.reboot("r-1", 0)
			w.reboot("r-0", 0)
			w.unknown("r-2")
			w.node("r-2").Replication.Keys, w.node("r-2").Replication.Priority = 5, 0
		}, "", failover.ReasonNoCandidate},
		"the last copy wins over the lowest ordinal": {func(w *world) {
			n := w.node("r-2")
			n.Replication.Keys, n.Replication.Lineage.ReplID = 5, "unseen"
			for i := range w.progress.Nodes {
				w.progress.Nodes[i].Attached = false
			}
			w.reboot("r-1", 0)
			w.reboot("r-0", 0)
		}, "r-2", failover.ReasonNone},
		"Strict does not prefer a disk to more that lives on where it may not be promoted": {func(w *world) {
			w.policy.Consistency, w.policy.Persistent = failover.ConsistencyStrict, true
			w.reboot("r-1", 0)
			w.reboot("r-0", 0)
			w.unknown("r-2")
			w.node("r-2").Replication.Priority = 0
			for i, keys := range []int64{3, 4, 5} {
				w.nodes[i].Replication.Keys = keys
			}
		}, "", failover.ReasonNoCandidate},
		"a replica that follows another and was not in the snapshot holds no leftover of a volume": {func(w *world) {
			w.reboot("r-1", 0)
			w.reboot("r-0", 0)
			w.unknown("r-2")
			w.node("r-2").Replication.Keys = 5
		}, "r-2", failover.ReasonNone},
		"a pod that is being deleted and holds most is waited for": {func(w *world) {
			w.policy.Persistent = true
			w.withKeys()
			w.reboot("r-1", 900)
			w.remove("r-2")
			w.node("r-0").Terminating, w.node("r-0").Replication.Role = true, failover.RoleReplica
		}, "", failover.ReasonWaitingForData},
		"an empty replica that had not caught up is not promoted over what the master's file has kept": {func(w *world) {
			w.policy.Persistent = true
			w.node("r-1").Replication.Lineage.Offset, w.node("r-2").Replication.Lineage.Offset = 0, 0
			w.restart("r-0", false)
			w.node("r-0").Replication.Keys = 5
		}, "", failover.ReasonNoCandidate},
		"an empty replica that has everything is": {func(w *world) { // the master had been emptied
			w.policy.Persistent = true
			w.restart("r-0", false)
			w.node("r-0").Replication.Keys = 5
		}, "r-1", failover.ReasonNone},
		"a restarted node is not promoted over one that has been running and holds more": {func(w *world) {
			w.policy.Persistent = true
			w.withKeys()
			w.reboot("r-1", 900)
			w.node("r-2").Replication.Priority = 0
			w.die("r-0")
		}, "", failover.ReasonNoCandidate},
		"the last master's disk, though it does not know its history, wins over a restarted replica that was behind": {
			func(w *world) {
				w.twoDisksLeft(5, 4)
			},
			"r-0",
			failover.ReasonNone,
		},
		"but not if that one holds more": {func(w *world) {
			w.twoDisksLeft(4, 5)
		}, "r-1", failover.ReasonNone},
		"Strict leaves that to a person": {func(w *world) {
			w.policy.Consistency = failover.ConsistencyStrict
			w.twoDisksLeft(5, 4)
		}, "", failover.ReasonNoCandidate},
		"Strict does not prefer the old master's disk to one with more": {func(w *world) {
			w.policy.Consistency, w.policy.Persistent = failover.ConsistencyStrict, true
			for i, name := range []string{"r-0", "r-1", "r-2"} {
				w.reboot(name, 0)
				w.node(name).Replication.Keys = int64(5 + i)
			}
		}, "", failover.ReasonNoCandidate},
		"of disks that only former masters' names are known of, the one of the last retired history wins, whoever was master": {
			func(w *world) {
				w.disksNamed("older", "newer", "")
			},
			"r-1",
			failover.ReasonNone,
		},
		"nothing is newer than what the last master has found, if no name tells that it is old": {func(w *world) {
			w.disksNamed("", "newer", "older")
		}, "r-0", failover.ReasonNone},
		"the last master's disk that goes by an older name does not win over a restarted replica of the lost history": {
			func(w *world) {
				w.twoDisksLeft(5, 4)
				w.progress.Retire("anew")
			},
			"r-1",
			failover.ReasonNone,
		},
		"no empty node is promoted beside a master with data of its own": {func(w *world) {
			w.remove("r-1")
			w.unknown("r-2")
			w.node("r-2").Replication.Role, w.node("r-2").Replication.Keys = failover.RoleMaster, 5
			w.reboot("r-0", 0)
		}, "", failover.ReasonSplitBrain},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.write(1000, nil)
			tc.happen(w)
			w.run()
			switch {
			case tc.master == "" && (w.progress.State != failover.StateBlocked || w.progress.Reason != tc.reason):
				t.Errorf("state %s, reason %q, want %q\n%s", w.progress.State, w.progress.Reason, tc.reason, w.story())
			case tc.master != "" && (w.master() != tc.master || w.progress.State != failover.StateStable):
				t.Errorf("master %s in state %s, want %s\n%s", w.master(), w.progress.State, tc.master, w.story())
			}
		})
	}
}

func TestAReplicaCountsAsAttachedOnceItHasWhatWasAcknowledgedBeforeItCame(t *testing.T) {
	for _, behind := range []int64{100, 0} {
		w := settled(t, 2)
		w.policy.Consistency = failover.ConsistencyStrict
		w.write(1000, nil)
		w.die("r-0")
		w.run() // r-1 is master; what it acknowledged as a replica, no other has for sure
		w.reboot("r-0", 900)
		w.sleep(time.Second)
		w.run()
		w.node("r-0").Replication.Lineage.Offset = w.node("r-1").Replication.Lineage.Offset - behind
		w.sleep(2 * snapshotSettles)
		w.run()
		w.die("r-1")
		w.run()
		if refused := w.progress.Reason == failover.ReasonTooFewReplicasFenced; refused != (behind > 0) {
			t.Errorf(
				"%d bytes behind: master %s in state %s, reason %s\n%s", behind, w.master(), w.progress.State, w.progress.Reason,
				w.story(),
			)
		}
	}
}

func TestNoReplicaThatFellSilentInAFullSyncHoldsUpTheOthers(t *testing.T) {
	w := settled(t, 3)
	w.node("r-1").Replication.Syncing, w.node("r-1").Contact = true, failover.ContactSilent
	w.node("r-2").Replication = w.boot(2).Replication
	d := Decide(w.now, w.policy, w.observe(), w.progress, nil)
	for _, a := range d.Actions {
		if f, ok := a.(failover.Follow); ok && f.Node.Pod == "r-2" {
			return
		}
	}
	t.Errorf("r-2 is not attached: %+v", d.Actions)
}

func TestNoCandidateIsChosenBeforeEveryReplicaWasToldToDetach(t *testing.T) {
	// The API server took five seconds to answer that the intent is stored.
	w := settled(t, 3)
	w.write(1000, nil)
	w.reboot("r-1", 900)
	w.die("r-0")
	w.node("r-1").Stale = true
	d := Decide(w.now, w.policy, w.observe(), w.progress, nil)
	w.progress = d.Next
	w.now = w.now.Add(5 * time.Second)
	w.sample(0)
	if d = Decide(
		w.now, w.policy, w.observe(), w.progress, nil,
	); d.Next.State != failover.StateFencing ||
		len(d.Actions) == 0 {
		t.Errorf("state %s, %s", d.Next.State, d.Message)
	}
	w.run()
	if w.master() != "r-2" {
		t.Errorf("master %s\n%s", w.master(), w.story())
	}
}

func TestAFollowerThatASuccessorHearsLateHoldsNoLeftover(t *testing.T) {
	// The master had been promoted empty, and gave its history another name when its first replica came: that was not seen
	// before the operator died. Its pod is gone when the next one comes, which has not heard the replica yet.
	w := settled(t, 2)
	r1 := w.node("r-1")
	r1.Replication.RunID, r1.Replication.Keys = "run-later", 5
	r1.Replication.Lineage = failover.Lineage{ReplID: "renamed", ReplID2: failover.NoReplID, SecondOffset: -1, Offset: 700}
	w.remove("r-0")
	w.takeOver(7 * time.Second)
	w.once()
	fresh := w.boot(0)
	fresh.UID, fresh.IP = "uid-again", "10.0.0.9"
	w.nodes = append([]*failover.Node{fresh}, w.nodes...)
	w.heard("r-1", failover.ContactAnswering)
	w.run()
	if w.master() != "r-1" || w.progress.State != failover.StateStable {
		t.Errorf("master %s in state %s\n%s", w.master(), w.progress.State, w.story())
	}
}

// promoting is a world in which r-0 is lost and a candidate is chosen, but was not ordered to be master yet.
func promoting(t *testing.T) (w *world, candidate *failover.Node, other *failover.Node) {
	t.Helper()
	w = settled(t, 3)
	w.write(1000, map[string]int64{"r-2": 10})
	w.die("r-0")
	w.onAction = func(a failover.Action) bool { _, promotes := a.(failover.Promote); return !promotes }
	for w.progress.State != failover.StatePromoting {
		w.once()
	}
	w.onAction = nil
	return w, w.node("r-1"), w.node("r-2")
}

func TestAnInterruptedPromotionIsNotResumedOverAnOldMasterThatServes(t *testing.T) {
	w, _, _ := promoting(t)
	old := w.node("r-0") // its process had only been out of reach, and took writes since
	old.Contact, old.ContactSince, old.Replication.Lineage.Offset = failover.ContactAnswering, w.now, old.Replication.Lineage.Offset+500
	w.sample(0)
	w.run()
	if w.master() != "r-0" || w.progress.Epoch != 3 {
		t.Errorf("master %s by epoch %d\n%s", w.master(), w.progress.Epoch, w.story())
	}
}

func TestAnEmptyCandidateIsNotPromotedOverDataThatHasCome(t *testing.T) {
	for came, want := range map[string]string{"": "r-0", "lost": "r-2", "other": "r-0"} {
		w := settled(t, 2)
		w.policy.Persistent = true
		w.write(1000, nil)
		lost := w.node("r-0").Replication.Lineage
		w.reboot("r-0", 0)
		w.reboot("r-1", 0)
		w.onAction = func(a failover.Action) bool { _, promotes := a.(failover.Promote); return !promotes }
		for w.progress.State != failover.StatePromoting {
			w.once()
		}
		w.onAction = nil
		// No operator was there for a while. The set was scaled up, and the pod that came has a volume from before.
		w.policy.Replicas = 3
		if came != "" {
			late := w.boot(2)
			late.Replication.Keys, late.Replication.Lineage = 4, lost
			if came == "other" {
				late.Replication.Lineage.ReplID = "of no node"
			}
			w.nodes = append(w.nodes, late)
		}
		w.takeOver(time.Second)
		for _, n := range w.nodes {
			w.heard(n.Name, failover.ContactAnswering)
		}
		w.run()
		if w.master() != want || w.progress.State != failover.StateStable {
			t.Errorf("data %q came: master %s in state %s, want %s\n%s", came, w.master(), w.progress.State, want, w.story())
		}
	}
}

func TestALostCandidateHandsOnWhatItWrote(t *testing.T) {
	w, candidate, other := promoting(t)
	fork := candidate.Replication.Lineage
	// The operator that published the candidate has died before it could say so, and the candidate dies unseen.
	w.pub = failover.Published{Pod: candidate.Name, UID: candidate.UID, IP: candidate.IP, Epoch: w.progress.Epoch}
	candidate.Contact = failover.ContactRefused
	other.Replication.MasterHost, other.Replication.MasterPort, other.Replication.Linked = candidate.IP, 6379, true
	other.Replication.Lineage = failover.Lineage{
		ReplID:       "new",
		ReplID2:      fork.ReplID,
		SecondOffset: fork.Offset + 1,
		Offset:       fork.Offset + 200,
	}
	old := w.node("r-0") // it went on beside its successor
	old.Contact, old.Replication.Lineage.Offset = failover.ContactAnswering, fork.Offset+5000
	w.now = w.now.Add(time.Second)
	w.sample(0)
	w.run()
	if w.master() != "r-2" || w.progress.Epoch != 3 {
		t.Errorf("master %s by epoch %d\n%s", w.master(), w.progress.Epoch, w.story())
	}
	if h := w.history[len(w.history)-1]; h.Kind != failover.KindFailover {
		t.Errorf("history says %s", h.Kind)
	}
}

func TestWhatAPublishedCandidateLeftOnItsVolumeWinsOverAnOlderOne(t *testing.T) {
	const never = 0
	for _, published := range []int64{1, 2, never} { // by which epoch; from before, or by the one that was given up
		w, candidate, _ := promoting(t)
		w.policy.Persistent = true
		fork := candidate.Replication.Lineage
		if published != never {
			w.pub = failover.Published{Pod: candidate.Name, UID: candidate.UID, IP: candidate.IP, Epoch: published}
		}
		// It was not seen by which name it went on. Its process is another one by now, which has loaded what it wrote.
		w.reboot("r-1", 1)
		w.reboot("r-2", fork.Offset-500)
		w.node("r-1").Replication.Lineage = failover.Lineage{
			ReplID:       "unseen",
			ReplID2:      failover.NoReplID,
			SecondOffset: -1,
			Offset:       800,
		}
		w.run()
		if want := map[bool]string{true: "r-1", false: "r-2"}[published != never]; w.master() != want ||
			w.progress.State != failover.StateStable {
			t.Errorf(
				"published by epoch %d: master %s in state %s, want %s\n%s", published, w.master(), w.progress.State, want,
				w.story(),
			)
		}
		if len(w.progress.InterimMasters) > 0 {
			t.Errorf("%v led in a failover that is over", w.progress.InterimMasters)
		}
	}
}

func TestTheVolumeOfAPublishedCandidateIsComparedWithItsFollowerThoughItsPodIsAnother(t *testing.T) {
	for followed, want := range map[int64]string{300: "r-1", 700: "r-2"} { // bytes that the follower has of what the candidate wrote
		w, candidate, follower := promoting(t)
		w.policy.Persistent = true
		fork := candidate.Replication.Lineage
		w.pub = failover.Published{Pod: candidate.Name, UID: candidate.UID, IP: candidate.IP, Epoch: w.progress.Epoch}
		follower.Contact = failover.ContactSilent
		again := w.boot(1)
		again.UID, again.IP, again.Replication.Keys = "uid-again", "10.0.0.9", 9
		again.Replication.Lineage = failover.Lineage{
			ReplID:       "unseen",
			ReplID2:      failover.NoReplID,
			SecondOffset: -1,
			Offset:       fork.Offset + 500,
		}
		w.remove("r-1")
		w.sleep(failover.DetachWithin)
		w.until(failover.StateBlocked)
		w.nodes = append(w.nodes, again)
		w.node("r-2").Replication.Keys = 8
		w.node("r-2").Replication.Lineage = failover.Lineage{
			ReplID:       "unseen",
			ReplID2:      fork.ReplID,
			SecondOffset: fork.Offset + 1,
			Offset:       fork.Offset + followed,
		}
		w.heard("r-2", failover.ContactAnswering)
		w.run()
		if w.master() != want || w.progress.State != failover.StateStable {
			t.Errorf("%d bytes: master %s in state %s, want %s\n%s", followed, w.master(), w.progress.State, want, w.story())
		}
	}
}

// Every Redis has died at once, and what each has loaded is as old as its last snapshot. It goes by a name that no status
// has: it was not written down yet that the candidate leads, nor seen by the operator that comes after.
func TestTheVolumeOfAPublishedCandidateIsComparedWithThatOfItsFollower(t *testing.T) {
	for followed, want := range map[int64]string{300: "r-1", 700: "r-2"} { // bytes beyond the fork, of 500
		w, candidate, _ := promoting(t)
		w.policy.Persistent = true
		fork := candidate.Replication.Lineage
		w.pub = failover.Published{Pod: candidate.Name, UID: candidate.UID, IP: candidate.IP, Epoch: w.progress.Epoch}
		for pod, beyond := range map[string]int64{"r-1": 500, "r-2": followed} {
			w.reboot(pod, 1)
			w.node(pod).Replication.Lineage = failover.Lineage{
				ReplID: "unseen", ReplID2: failover.NoReplID, SecondOffset: -1, Offset: fork.Offset + beyond,
			}
		}
		w.run()
		if w.master() != want || w.progress.State != failover.StateStable {
			t.Errorf("%d bytes: master %s in state %s, want %s\n%s", followed, w.master(), w.progress.State, want, w.story())
		}
	}
}

func TestAFollowerThatWasBehindTheForkTellsNothingAboutWhereItWas(t *testing.T) {
	// The candidate was promoted, and dies with its pod right after. Its follower was restarted with an old snapshot, and
	// took the new name over far behind the fork: all that it has by now is what the candidate wrote. The candidate's own
	// snapshot is older.
	w, candidate, follower := promoting(t)
	w.policy.Persistent = true
	fork := candidate.Replication.Lineage
	w.once() // promoted
	w.pub = failover.Published{Pod: candidate.Name, UID: candidate.UID, IP: candidate.IP, Epoch: w.progress.Epoch}
	r := &follower.Replication
	r.MasterHost, r.MasterPort, r.LinkUp, r.Linked, r.Keys = candidate.IP, w.policy.Port, true, true, 9
	r.Lineage = failover.Lineage{
		ReplID:       "went on",
		ReplID2:      fork.ReplID,
		SecondOffset: fork.Offset - 400,
		Offset:       fork.Offset + 100,
	}
	again := w.boot(1)
	again.UID, again.IP, again.Replication.Keys = "uid-again", "10.0.0.9", 7
	again.Replication.Lineage = failover.Lineage{
		ReplID:       fork.ReplID,
		ReplID2:      failover.NoReplID,
		SecondOffset: -1,
		Offset:       fork.Offset - 200,
	}
	w.remove("r-1")
	w.until(failover.StateFencing)
	w.nodes = append(w.nodes, again)
	w.run()
	if w.master() != follower.Name || w.progress.State != failover.StateStable {
		t.Errorf(
			"master %s in state %s, want %s, which holds more\n%s", w.master(), w.progress.State, follower.Name, w.story(),
		)
	}
}

func TestACandidateThatHasWrittenIsFollowedThoughItIsNotKnownToBePublished(t *testing.T) {
	// The answer to the publication was lost. The candidate was killed after it had written, and has restarted; who
	// followed it has what it wrote by a name that only they and the last sample of it know.
	for _, wrote := range []int64{200, 0} {
		w, candidate, other := promoting(t)
		w.once() // promoted
		led := w.node(candidate.Name).Replication.Lineage
		led.Offset += wrote
		w.reboot("r-1", 0)
		w.node("r-1").Former.Lineage = led
		old := w.node("r-0") // restarted from a snapshot, with all that it had when it was lost
		old.Contact, old.Replication.RunID, old.Replication.Keys, old.Replication.Role = failover.ContactAnswering, "again", 4, failover.RoleReplica
		old.Replication.MasterHost, old.Replication.MasterPort = failover.FenceHost, failover.FencePort
		other.Replication.MasterHost, other.Replication.MasterPort = failover.FenceHost, failover.FencePort
		other.Replication.Lineage = failover.Lineage{
			ReplID:       led.ReplID,
			ReplID2:      failover.NoReplID,
			SecondOffset: -1,
			Offset:       led.Offset,
		}
		w.sample(0)
		w.run()
		if want := map[bool]string{true: "r-2", false: "r-0"}[wrote > 0]; w.master() != want ||
			w.progress.State != failover.StateStable {
			t.Errorf(
				"%d bytes written: master %s in state %s, want %s\n%s", wrote, w.master(), w.progress.State, want, w.story(),
			)
		}
	}
}

func TestWhatACandidateHadFromTheMasterIsNotTakenForItsOwnWriting(t *testing.T) {
	w, candidate, follower := promoting(t)
	w.progress.Lineage.Offset -= 100 // as it was when the master was last seen
	w.progress.State, w.progress.Candidate = failover.StateFencing, nil
	w.onAction = func(a failover.Action) bool { _, promotes := a.(failover.Promote); return !promotes }
	w.until(failover.StatePromoting)
	w.onAction = nil
	// Promoted and never published; its follower has got all of it anew, by its new name. The old master wakes, and has
	// served.
	w.takeOver(time.Second)
	candidate.Contact = failover.ContactSilent
	held := candidate.Replication.Lineage
	follower.Replication.MasterHost, follower.Replication.MasterPort, follower.Replication.Linked, follower.Replication.Priority = candidate.IP, 6379, true, 0
	follower.Replication.Lineage = failover.Lineage{
		ReplID:       "new",
		ReplID2:      failover.NoReplID,
		SecondOffset: -1,
		Offset:       held.Offset,
	}
	w.node("r-0").Replication.Lineage.Offset = held.Offset + 500
	w.heard("r-0", failover.ContactAnswering)
	w.heard("r-2", failover.ContactAnswering)
	w.heard("r-1", failover.ContactSilent)
	w.sleep(failover.PromoteWithin)
	w.run()
	w.heard("r-1", failover.ContactAnswering)
	w.run()
	if w.master() != "r-0" || w.progress.State != failover.StateStable {
		t.Errorf("master %s in state %s\n%s", w.master(), w.progress.State, w.story())
	}
}

func TestACandidateThatLedUnseenIsNotDivergent(t *testing.T) {
	w, candidate, other := promoting(t)
	candidate.Contact = failover.ContactSilent
	other.Contact = failover.ContactSilent
	w.sleep(failover.PromoteWithin)
	w.once() // given up
	candidate.Contact = failover.ContactAnswering
	candidate.Replication.Role, candidate.Replication.Keys = failover.RoleMaster, 5
	candidate.Replication.Lineage = failover.Lineage{
		ReplID:       "unseen",
		ReplID2:      failover.NoReplID,
		SecondOffset: -1,
		Offset:       1200,
	}
	w.sample(0)
	w.run()
	if w.master() != candidate.Name || w.progress.Epoch != 3 {
		t.Errorf("master %s by epoch %d, state %s\n%s", w.master(), w.progress.Epoch, w.progress.State, w.story())
	}
}

func TestAnOldMasterIsKnownByTheNewNameOfItsHistory(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.each(func(n *failover.Node) { n.Replication.Priority = 0 })
	w.die("r-0")
	w.run()
	if w.progress.State != failover.StateBlocked {
		t.Fatalf("state %s", w.progress.State)
	}
	old := w.node("r-0") // alone for so long that it has freed its backlog
	old.Contact, old.Replication.Lineage = failover.ContactAnswering, failover.Lineage{
		ReplID:       "renamed",
		ReplID2:      failover.NoReplID,
		SecondOffset: -1,
		Offset:       5000,
	}
	w.sample(0)
	w.run()
	if w.master() != "r-0" || w.progress.State != failover.StateStable {
		t.Errorf("master %s in state %s\n%s", w.master(), w.progress.State, w.story())
	}
}

func TestUnderStrictTheOldMasterDoesNotReplaceACandidateThatMayHaveLed(t *testing.T) {
	w := settled(t, 3)
	w.policy.Consistency = failover.ConsistencyStrict
	w.write(1000, nil)
	w.request = &failover.Request{ID: "r-1", Target: "r-1"}
	w.onAction = func(a failover.Action) bool { _, publishes := a.(failover.Publish); return !publishes }
	for w.node("r-1").Replication.Role != failover.RoleMaster {
		w.once()
	}
	// Whether it was published is not known, and it is out of reach together with the other replica.
	w.onAction = nil
	w.hang("r-1")
	w.hang("r-2")
	w.sleep(failover.PromoteWithin)
	w.run()
	w.sleep(failover.DetachWithin)
	w.run()
	if w.progress.State != failover.StateBlocked || w.progress.Reason != failover.ReasonTooFewReplicasFenced {
		t.Errorf("master %s in state %s, reason %s\n%s", w.master(), w.progress.State, w.progress.Reason, w.story())
	}
}

func TestASwitchoverWhoseCandidateIsLostIsAFailover(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.request = &failover.Request{ID: "r-1", Target: "r-1"}
	ordered := false
	w.onAction = func(a failover.Action) bool {
		_, promotes := a.(failover.Promote)
		ordered = ordered || promotes
		return !promotes
	}
	for !ordered {
		w.once()
	}
	w.onAction = nil
	w.remove("r-1")
	w.run()
	h := w.history[len(w.history)-1]
	if w.master() == "r-1" || h.Kind != failover.KindFailover {
		t.Errorf("master %s, history %+v\n%s", w.master(), h, w.story())
	}
}

func TestAReplicaThatNeverReachedTheMasterIsNoWitness(t *testing.T) {
	// Not the master may be cut off, but the replica; and the master, whose only attached replica is gone, goes on
	// writing.
	w := settled(t, 2)
	n := w.node("r-1")
	n.Replication.Linked, n.Replication.LinkUp, n.Replication.LastIO = false, false, -1
	w.hang("r-0")
	w.sleep(time.Minute)
	w.run()
	if w.progress.State != failover.StateSuspected || w.progress.Reason != failover.ReasonMasterUnreachableNoWitness {
		t.Errorf("state %s, reason %s\n%s", w.progress.State, w.progress.Reason, w.story())
	}
}

func TestEverybodyIsHeardBeforeALostCandidateIsGivenUp(t *testing.T) {
	w, candidate, other := promoting(t)
	w.takeOver(7 * time.Second)
	w.heard(candidate.Name, failover.ContactRefused)
	w.now = w.now.Add(failover.QuietenWithin)
	if d, _ := w.once(); d.Next.State != failover.StatePromoting || len(d.Actions) > 0 {
		t.Fatalf("%s was given up before %s was heard: %s", candidate.Name, other.Name, d.Message)
	}
	w.heard("r-0", failover.ContactRefused)
	w.heard(other.Name, failover.ContactAnswering)
	w.run()
	if w.master() != other.Name || w.progress.Epoch != 3 {
		t.Errorf("master %s by epoch %d\n%s", w.master(), w.progress.Epoch, w.story())
	}
}

func TestTwoThatWentOnWithTheSameHistoryShareItUpToTheFirstFork(t *testing.T) {
	ours := failover.Lineage{ReplID: "a", ReplID2: "lost", SecondOffset: 101, Offset: 150}
	for name, tc := range map[string]struct {
		other failover.Lineage
		want  int64
	}{
		"it forked before":          {failover.Lineage{ReplID: "b", ReplID2: "lost", SecondOffset: 51, Offset: 80}, 50},
		"it forked at once":         {failover.Lineage{ReplID: "b", ReplID2: "lost", SecondOffset: 101, Offset: 300}, 100},
		"it forked after":           {failover.Lineage{ReplID: "b", ReplID2: "lost", SecondOffset: 121, Offset: 300}, 100},
		"neither continues another": {failover.Lineage{ReplID: "b", ReplID2: failover.NoReplID, SecondOffset: -1, Offset: 80}, -1},
		"it continues another":      {failover.Lineage{ReplID: "b", ReplID2: "other", SecondOffset: 51, Offset: 80}, -1},
	} {
		if got := ours.Shared(tc.other); got != tc.want {
			t.Errorf("%s: %d bytes are shared, want %d", name, got, tc.want)
		}
	}
	if got := (failover.Lineage{ReplID: "a", ReplID2: failover.NoReplID, SecondOffset: -1, Offset: 9}).Shared(
		failover.Lineage{ReplID: "b", ReplID2: failover.NoReplID, SecondOffset: -1},
	); got != -1 {
		t.Errorf("two histories that continue none share %d bytes", got)
	}
}

// Seed 713021273: a candidate was given up, its promotion came late, and it has followed its successor's master only by
// halves since.
func TestWhoWasPromotedLateIsPreferredToAnOlderDiskOfTheSameHistory(t *testing.T) {
	w := settled(t, 3)
	w.policy.Persistent = true
	w.write(1000, nil)
	lost := w.node("r-0").Replication.Lineage
	w.die("r-0")
	w.run()
	if w.master() != "r-1" {
		t.Fatalf("master %s, want r-1", w.master())
	}
	w.sleep(2 * time.Second)
	w.run()
	late := w.node("r-2")
	late.Replication.Keys = 371
	w.restart("r-1", false)
	late.Replication.Lineage = failover.Lineage{
		ReplID:       "late",
		ReplID2:      lost.ReplID,
		SecondOffset: lost.Offset + 1,
		Offset:       lost.Offset,
	}
	late.Replication.LinkUp, late.Replication.MasterHost = false, failover.FenceHost
	disk := w.node("r-1")
	disk.Replication.Lineage, disk.Replication.Keys = failover.Lineage{
		ReplID:       lost.ReplID,
		ReplID2:      failover.NoReplID,
		SecondOffset: -1,
		Offset:       600,
	}, 315
	w.run()
	if w.master() != "r-2" {
		t.Errorf("master %s, want r-2, which holds more\n%s", w.master(), strings.Join(w.log, "\n"))
	}
}
