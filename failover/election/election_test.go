// SPDX-License-Identifier: Apache-2.0

package election

import (
	"testing"

	"github.com/redisha/redisha/failover"
)

// Seed 964011186: it called itself another process each time, so that it was taken for restarted, and an empty node was
// preferred to it.
func TestWithoutDisksWhoHoldsDataOfTheSetHasBeenRunning(t *testing.T) {
	p := failover.Progress{Retired: []string{"lost"}}
	empty := failover.Node{Name: "r-0", Replication: failover.Replication{Priority: 100, Lineage: failover.Lineage{ReplID: "new"}}}
	holds := failover.Node{Name: "r-1", Ordinal: 1, Replication: failover.Replication{RunID: "another", Priority: 100, Keys: 7, Lineage: failover.Lineage{ReplID: "lost"}}}
	if BySeed(holds, empty, p, failover.Policy{}) >= 0 || BySeed(empty, holds, p, failover.Policy{}) <= 0 {
		t.Error("the empty one is preferred")
	}
	holds.Replication.Lineage.ReplID = "of another RedisHA"
	if BySeed(holds, empty, p, failover.Policy{}) <= 0 {
		t.Error("data that is not the set's is preferred")
	}
}

// Which of the two holds what was acknowledged, Strict leaves to a person; otherwise the former master is preferred.
func TestStrictDoesNotChooseBetweenAFormerMasterAndAnOldSnapshot(t *testing.T) {
	node := func(name, replID string, offset int64) failover.Node {
		return failover.Node{Name: name, UID: name, Contact: failover.ContactAnswering, Sampled: true, Replication: failover.Replication{
			RunID: name, Role: failover.RoleReplica, MasterHost: failover.FenceHost, MasterPort: failover.FencePort, Priority: 100, Keys: 1,
			Lineage: failover.Lineage{ReplID: replID, ReplID2: failover.NoReplID, SecondOffset: -1, Offset: offset},
		}}
	}
	p := failover.Progress{Lineage: failover.Lineage{ReplID: "new", ReplID2: "old", SecondOffset: 101, Offset: 120}}
	snapshot, former := node("snapshot", "old", 50), node("former", "old", 110)
	obs := failover.Observation{Nodes: []failover.Node{snapshot, former}}
	if e, ok := formerMaster(p, failover.Policy{}, obs, snapshot); !ok || e.Candidate == nil || e.Candidate.Name != "former" {
		t.Errorf("the old snapshot is preferred: %+v", e)
	}
	if e, ok := formerMaster(p, failover.Policy{Consistency: failover.ConsistencyStrict}, obs, snapshot); !ok || e.Reason != failover.ReasonNoCandidate {
		t.Errorf("Strict guesses: %+v", e)
	}
	if e, ok := formerMaster(p, failover.Policy{}, obs, node("complete", "new", 120)); ok {
		t.Errorf("a former master is preferred to one that holds more: %+v", e)
	}
}
