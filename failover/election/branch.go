// SPDX-License-Identifier: Apache-2.0

package election

import (
	"fmt"
	"slices"

	"github.com/redisha/redisha/failover"
)

// before is how much n holds of the lost history from before its fork, where n has gone on with the history that it
// forked from: a former master, with the tail that its replacement gave up. -1 where it has not.
//
// Example: cache-0 was cut off and went on alone from 4900 on; its successor forked there. It holds 4900 of the lost
// history.
func before(l failover.Lineage, n failover.Lineage) int64 {
	if l.ReplID2 == "" || l.ReplID2 == failover.NoReplID || n.ReplID != l.ReplID2 || n.Offset < l.SecondOffset {
		return -1
	}
	return l.SecondOffset - 1
}

// formerMaster prefers a former master, which holds the lost history up to the fork, to a restarted process that has
// less of it. What it has beyond the fork was given up when it was replaced, and comes back: its successor, which would
// hold it against that, has lost its memory.
//
// Example: that cache-0 answers again, and its successor was restarted with the 4000 that its disk held.
func formerMaster(
	p failover.Progress, policy failover.Policy, obs failover.Observation, best failover.Node,
) (Result, bool) {
	i := slices.IndexFunc(obs.Nodes, func(n failover.Node) bool {
		r := n.Replication
		usable := n.Answers() && r.Fenced() && !r.Loading && !r.Syncing && !n.Terminating && !p.IsForeign(n)
		return usable && before(p.Lineage, r.Lineage) > p.Lineage.Shared(best.Replication.Lineage)
	})
	if i < 0 {
		return Result{}, false
	}
	n := obs.Nodes[i]
	if n.Replication.Priority == 0 || policy.Consistency == failover.ConsistencyStrict {
		return Result{
			Reason: failover.ReasonNoCandidate,
			Sentence: fmt.Sprintf("%s was restarted with less than %s, a former master, which also holds writes that "+
				"were given up when it was replaced; a person has to choose", best.Name, n.Name),
		}, true
	}
	return Result{
		Candidate:  &n,
		NewHistory: true,
		Sentence: fmt.Sprintf("%s was restarted and holds less than %s, which was master before (%d key(s))",
			best.Name, n.Name, n.Replication.Keys),
	}, true
}
