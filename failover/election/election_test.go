// SPDX-License-Identifier: Apache-2.0

package election

import (
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// Seed 964011186: it called itself another process each time, so that it was taken for restarted, and an empty node was
// preferred to it.
func TestWithoutDisksWhoHoldsDataOfTheSetHasBeenRunning(t *testing.T) {
	p := failover.Progress{Retired: []string{"lost"}}
	empty := failover.Node{
		Name: "r-0",
		RedisFacts: failover.RedisFacts{
			Replication: failover.Replication{Priority: 100, Lineage: failover.Lineage{ReplID: "new"}},
		},
	}
	holds := failover.Node{
		Name:    "r-1",
		Ordinal: 1,
		RedisFacts: failover.RedisFacts{
			Replication: failover.Replication{
				RunID:    "another",
				Priority: 100,
				Keys:     7,
				Lineage:  failover.Lineage{ReplID: "lost"},
			},
		},
	}
	if Seed([]failover.Node{empty, holds}, p, failover.Policy{}).Name != "r-1" ||
		Seed([]failover.Node{holds, empty}, p, failover.Policy{}).Name != "r-1" {
		t.Error("the empty one is preferred")
	}
	holds.Replication.Lineage.ReplID = "of another RedisHA"
	if Seed([]failover.Node{holds, empty}, p, failover.Policy{}).Name != "r-0" {
		t.Error("data that is not the set's is preferred")
	}
}

// Seed 973050761: a status from before it was met was restored, which names neither its process nor its history.
func TestWithoutDisksWhoHasFollowedInItsLifeHoldsDataOfTheSet(t *testing.T) {
	p := failover.Progress{OldMaster: &failover.NodeRef{Pod: "r-0", RunID: "before"}}
	empty, holds := onDisk("r-0", "new", "", -1, 0, 0), onDisk("r-1", "renamed", "", -1, 7570, 75)
	holds.Replication.RunID = "running"
	if got := Seed([]failover.Node{empty, holds}, p, failover.Policy{}).Name; got != "r-0" {
		t.Errorf("%s is preferred, whose data may be from its volume", got)
	}
	holds.Heard = failover.Heard{Master: failover.FenceHost, At: time.Now(), RunID: "running"}
	if got := Seed([]failover.Node{empty, holds}, p, failover.Policy{}).Name; got != "r-1" {
		t.Errorf("the empty %s is preferred", got)
	}
}

// onDisk is a node with disks, whose history continues that of replID2 from an offset on.
func onDisk(name, replID, replID2 string, second, offset, keys int64) failover.Node {
	return failover.Node{
		Name:    name,
		UID:     name,
		Ordinal: int(name[2] - '0'),
		RedisFacts: failover.RedisFacts{
			Replication: failover.Replication{Priority: 100, Keys: keys, Lineage: failover.Lineage{
				ReplID: replID, ReplID2: replID2, SecondOffset: second, Offset: offset,
			}},
		},
	}
}

// Seed 971184853: of each two of three another one was preferred, and which of them was chosen depended on their order.
func TestANewLineageBeginsWithWhoHoldsAllInWhateverOrderTheyAreMet(t *testing.T) {
	policy := failover.Policy{Persistent: true}
	for name, tc := range map[string]struct {
		last  string // master
		nodes [3]failover.Node
		want  string
	}{
		"one continues the history of the others": {"r-1", [3]failover.Node{
			onDisk("r-0", "a", failover.NoReplID, -1, 11756, 117), onDisk("r-1", "a", failover.NoReplID, -1, 10956, 109), onDisk("r-2", "b", "a", 12757, 14770, 147),
		}, "r-2"},
		"one continues it from before what another has": {"r-1", [3]failover.Node{
			onDisk("r-0", "a", failover.NoReplID, -1, 13756, 137), onDisk("r-1", "a", failover.NoReplID, -1, 10956, 109), onDisk("r-2", "b", "a", 12757, 14770, 147),
		}, "r-2"},
		"the last master has an older name's data, and another has more of it": {"r-1", [3]failover.Node{
			onDisk("r-0", "a", failover.NoReplID, -1, 11756, 117), onDisk("r-1", "a", failover.NoReplID, -1, 10956, 109), onDisk("r-2", "c", failover.NoReplID, -1, 14770, 147),
		}, "r-0"},
		"a third generation holds all": {"r-0", [3]failover.Node{
			onDisk("r-0", "a", failover.NoReplID, -1, 11756, 117), onDisk("r-1", "b", "a", 12757, 13000, 130), onDisk("r-2", "c", "b", 13001, 13100, 131),
		}, "r-2"},
		"one is empty and says that it continues the others": {"r-1", [3]failover.Node{
			onDisk("r-0", "a", failover.NoReplID, -1, 11756, 117), onDisk("r-1", "a", failover.NoReplID, -1, 10956, 109), onDisk("r-2", "b", "a", 12757, 12800, 0),
		}, "r-0"},
		"each says that it continues another": {"r-2", [3]failover.Node{
			onDisk("r-0", "a", "b", 500, 100, 10), onDisk("r-1", "b", "c", 500, 100, 10), onDisk("r-2", "c", "a", 500, 100, 10),
		}, "r-0"},
	} {
		p := failover.Progress{OldMaster: &failover.NodeRef{Pod: tc.last}}
		for _, order := range [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
			fit := []failover.Node{tc.nodes[order[0]], tc.nodes[order[1]], tc.nodes[order[2]]}
			if got := Seed(fit, p, policy).Name; got != tc.want {
				t.Errorf("%s: %s begins in the order %v, want %s", name, got, order, tc.want)
			}
		}
	}
}

// Which of the two holds what was acknowledged, Strict leaves to a person; otherwise the former master is preferred.
func TestStrictDoesNotChooseBetweenAFormerMasterAndAnOldSnapshot(t *testing.T) {
	node := func(name, replID string, offset int64) failover.Node {
		return failover.Node{
			Name: name, UID: name,
			RedisFacts: failover.RedisFacts{Contact: failover.ContactAnswering, Sampled: true, Replication: failover.Replication{
				RunID:      name,
				Role:       failover.RoleReplica,
				MasterHost: failover.FenceHost,
				MasterPort: failover.FencePort,
				Priority:   100,
				Keys:       1,
				Lineage:    failover.Lineage{ReplID: replID, ReplID2: failover.NoReplID, SecondOffset: -1, Offset: offset},
			}},
		}
	}
	p := failover.Progress{Lineage: failover.Lineage{ReplID: "new", ReplID2: "old", SecondOffset: 101, Offset: 120}}
	snapshot, former := node("snapshot", "old", 50), node("former", "old", 110)
	obs := failover.Observation{Nodes: []failover.Node{snapshot, former}}
	if e, ok := formerMaster(
		p, failover.Policy{}, obs, snapshot,
	); !ok || e.Candidate == nil ||
		e.Candidate.Name != "former" {
		t.Errorf("the old snapshot is preferred: %+v", e)
	}
	if e, ok := formerMaster(
		p, failover.Policy{Consistency: failover.ConsistencyStrict}, obs, snapshot,
	); !ok ||
		e.Reason != failover.ReasonNoCandidate {
		t.Errorf("Strict guesses: %+v", e)
	}
	if e, ok := formerMaster(p, failover.Policy{}, obs, node("complete", "new", 120)); ok {
		t.Errorf("a former master is preferred to one that holds more: %+v", e)
	}
}
