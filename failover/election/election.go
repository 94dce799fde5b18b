// SPDX-License-Identifier: Apache-2.0

package election

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/redisha/redisha/failover"
)

// ByData orders candidates: most data first, then higher priority (a lower number, as in
// Redis), readiness, and the lowest ordinal.
//
// Example: cache-1 at offset 5000 comes before cache-2 at 4000; at the same offset the one with the lower
// replica-priority comes first.
func ByData(a, b failover.Node) int {
	return cmp.Or(
		cmp.Compare(b.Replication.Lineage.Offset, a.Replication.Lineage.Offset),
		cmp.Compare(a.Replication.Priority, b.Replication.Priority), CompareTrue(a.Ready, b.Ready),
		cmp.Compare(a.Ordinal, b.Ordinal),
	)
}

// CompareTrue orders true before false.
func CompareTrue(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// Result is the outcome of choosing: a candidate, or the reason why there is none.
type Result struct {
	Candidate  *failover.Node
	NewHistory bool // the candidate begins a new history, because no node has the lost one any more
	Reason     failover.Reason
	Sentence   string
}

// Elect chooses among the frozen nodes of a failover; of two with as much data, not one of givenUp.
func Elect(p failover.Progress, policy failover.Policy, obs failover.Observation, givenUp []string) Result {
	if p.ForcedPod != "" {
		return electForced(p, obs)
	}
	fit, limits := Candidates(p, policy, obs)
	if len(fit) == 0 {
		return electWithoutHistory(p, policy, obs, limits)
	}
	slices.SortFunc(fit, byHistory(p, fit, givenUp))
	best := fit[0]
	known := slices.DeleteFunc(slices.Clone(fit), func(n failover.Node) bool { return !p.WasInSync(n) })
	if wait, ok := mayComeWithMore(p, policy, obs, best); ok && len(known) == 0 {
		return Result{Reason: failover.ReasonWaitingForData, Sentence: wait}
	}
	if disk, ok := besideDisks(p, policy, obs, best, len(known) > 0); ok {
		return disk
	}
	if other, ok := besideRestarted(p, policy, obs, best); ok && len(known) == 0 {
		return other
	}
	detached := len(
		slices.DeleteFunc(known, func(n failover.Node) bool { return p.OldMaster != nil && n.UID == p.OldMaster.UID }),
	)
	if missing := strictlyMissing(p, policy, best, detached); missing > 0 {
		return Result{Reason: failover.ReasonTooFewReplicasFenced, Sentence: fmt.Sprintf(
			"consistency Strict needs %d more detached replica(s) to be sure that no write acknowledged by WAIT 1 is lost",
			missing,
		)}
	}
	return Result{Candidate: &best, Sentence: fmt.Sprintf("%s has the most data (offset %d) of %d candidate(s)",
		best.Name, best.Replication.Lineage.Offset, len(fit))}
}

// byHistory orders candidates: first who has what was written by one that led unseen since the history was lost, by a
// name that tells at one of them at least; then who holds most of the lost history; then who was not given up a moment
// ago.
func byHistory(p failover.Progress, fit []failover.Node, givenUp []string) func(a, b failover.Node) int {
	var names []string
	for _, n := range fit {
		if p.LedUnseen(n) {
			names = append(names, n.Replication.Lineage.ReplID)
		}
	}
	held := func(n failover.Node) int64 {
		if slices.Contains(names, n.Replication.Lineage.ReplID) {
			return math.MaxInt64
		}
		return p.Lineage.Shared(n.Replication.Lineage)
	}
	return func(a, b failover.Node) int {
		return cmp.Or(
			cmp.Compare(held(b), held(a)), cmp.Compare(b.Replication.Lineage.Offset, a.Replication.Lineage.Offset),
			CompareTrue(!slices.Contains(givenUp, a.Name), !slices.Contains(givenUp, b.Name)), ByData(a, b),
		)
	}
}

// Candidates returns the nodes that may be promoted, and why each of the others may not.
func Candidates(
	p failover.Progress, policy failover.Policy, obs failover.Observation,
) (fit []failover.Node, limits []string) {
	for _, n := range obs.Nodes {
		l := FrozenIneligibility(n, p.Lineage, policy)
		switch {
		case p.IsDivergent(n):
			l = failover.IneligibleDivergentMaster
		case l == failover.IneligibleNoLineage && p.FoundEarlier(n):
			l = failover.IneligibleEarlierData
		case l == failover.IneligibleNoLineage && p.IsForeign(n):
			l = failover.IneligibleForeign
		case l == failover.IneligibleNoLineage && p.WasInterimMaster(n) && n.Replication.Fenced():
			l = failover.Eligible // it was chosen for what it holds, and whatever its history is called by now, it is ours
		}
		if l == failover.Eligible {
			fit = append(fit, n)
			continue
		}
		limits = append(limits, fmt.Sprintf("%s is %s", n.Name, l))
	}
	return fit, limits
}

// electForced takes the node that a person named, as soon as it can be promoted at all.
func electForced(p failover.Progress, obs failover.Observation) Result {
	for _, n := range obs.Nodes {
		r := n.Replication
		if n.Name != p.ForcedPod || !n.Answers() || !r.Fenced() || r.Loading || r.Syncing {
			continue
		}
		return Result{
			Candidate: &n,
			Sentence:  fmt.Sprintf("%s is promoted with %d key(s) because a person accepted the loss of data", n.Name, r.Keys),
		}
	}
	return Result{
		Reason: failover.ReasonRequestedNodeIneligible,
		Sentence: fmt.Sprintf(
			"%s, which a person wants promoted, does not answer or holds no complete data yet", p.ForcedPod,
		),
	}
}

// strictlyMissing counts the replicas that Strict still wants to see detached. Of R replicas, a
// write acknowledged by WAIT 1 is on one at least; it is among the detached for sure only when
// all R are, and have been running since: a disk may have forgotten what its process acknowledged.
// The old master itself, once frozen, holds every write, unless another may have led after it.
//
// Example: of three pods the master is lost and cache-2 hangs. A write that WAIT 1 acknowledged may be on cache-2
// alone: one is missing.
func strictlyMissing(p failover.Progress, policy failover.Policy, best failover.Node, detached int) int {
	if policy.Consistency != failover.ConsistencyStrict || policy.Replicas < 2 {
		return 0
	}
	if p.OldMaster != nil && best.UID == p.OldMaster.UID && best.Replication.RunID == p.OldMaster.RunID &&
		len(p.InterimMasters) == 0 {
		return 0
	}
	return max(0, policy.Replicas-1-detached, attachedBeside(p)-detached)
}

// attachedBeside counts the replicas that were attached when all was well: a write may be on any one of them alone,
// whatever the spec says by now about how many there shall be.
//
// Example: the spec was lowered from three pods to two a moment ago. Two replicas were attached all the same.
func attachedBeside(p failover.Progress) int {
	count := 0
	for _, k := range p.Nodes {
		if k.Attached && (p.OldMaster == nil || k.UID != p.OldMaster.UID) {
			count++
		}
	}
	return count
}

// Awaited names a node that may come back with newer data than anybody present. It matters only
// after a full outage, when every process has been restarted.
//
// Example: all machines were restarted. cache-1 has loaded an old disk, and the pod of cache-0 is Pending, with a
// volume: cache-0 is waited for.
func Awaited(p failover.Progress, obs failover.Observation) (string, bool) {
	for _, n := range obs.Nodes {
		switch {
		case n.Answers() && !n.Replication.Loading:
			continue
		case n.Contact == failover.ContactAnswering:
			return fmt.Sprintf("%s is loading its data", n.Name), true
		case n.MayHoldData || p.MayReturn(n):
			return fmt.Sprintf("%s may hold newer data and does not answer%s", n.Name, howEnded(n)), true
		}
	}
	for _, a := range obs.Absent {
		if a.MayHoldData {
			return fmt.Sprintf("%s may hold newer data and has no pod yet", a.Name), true
		}
	}
	return "", false
}

// howEnded says of a node that does not answer what a person can find out about that.
func howEnded(n failover.Node) string {
	if !n.Crashed {
		return ""
	}
	return fmt.Sprintf(": its container has ended with an error; kubectl logs %s --previous tells why", n.Name)
}

// mayComeWithMore names a node that may come back with more than best holds.
func mayComeWithMore(
	p failover.Progress, policy failover.Policy, obs failover.Observation, best failover.Node,
) (string, bool) {
	wait, ok := Awaited(p, obs)
	if !ok && policy.Persistent {
		return leavingWithMore(p, obs, best)
	}
	return wait, ok
}

// besideRestarted looks at who holds more than best, which was restarted, and is no candidate by the rules.
//
// Example: cache-1 was restarted and has loaded its disk up to 4000; cache-2 has run on, holds 5000, and has priority
// 0. None is chosen, and a person is told.
func besideRestarted(
	p failover.Progress, policy failover.Policy, obs failover.Observation, best failover.Node,
) (Result, bool) {
	if former, ok := formerMaster(p, policy, obs, best); ok {
		return former, true
	}
	i := slices.IndexFunc(obs.Nodes, func(n failover.Node) bool { return heldBackByPriority(p, n, best) })
	if i < 0 {
		return Result{}, false
	}
	return Result{Reason: failover.ReasonNoCandidate, Sentence: fmt.Sprintf(
		"%s has been running and holds more than %s, which was restarted; but its priority is 0", obs.Nodes[i].Name,
		best.Name,
	)}, true
}

// heldBackByPriority reports a process that holds more than best and may not be promoted because of its priority.
//
// Example: that cache-2.
func heldBackByPriority(p failover.Progress, n, best failover.Node) bool {
	return n.Answers() && n.Replication.Priority == 0 &&
		p.Lineage.Shared(n.Replication.Lineage) > p.Lineage.Shared(best.Replication.Lineage)
}

// emptyBeside reports that best holds nothing although the master had written, and n holds something, whose history its
// volume did not keep: an append-only file knows none.
//
// Example: the master had 1000 keys. cache-1 was restarted and is empty; cache-2 has loaded 900 keys from an
// append-only file, under a replid that no status names.
func emptyBeside(p failover.Progress, best, n failover.Node) bool {
	ours := n.Answers() && !p.IsDivergent(n) && !p.IsForeign(n)
	behind := best.Replication.Keys == 0 && p.Lineage.Shared(best.Replication.Lineage) < p.Lineage.Offset
	return behind && ours && n.Replication.Keys > 0 && p.Lineage.Shared(n.Replication.Lineage) < 0
}

// besideDisks looks at what others have found on their volumes, of a history that their volumes did not keep the name
// of.
func besideDisks(
	p failover.Progress, policy failover.Policy, obs failover.Observation, best failover.Node, inMemory bool,
) (Result, bool) {
	if !policy.Persistent {
		return Result{}, false
	}
	if disk, ok := lastMastersDisk(p, policy, obs, best); ok && !inMemory {
		return disk, true
	}
	i := slices.IndexFunc(obs.Nodes, func(n failover.Node) bool { return emptyBeside(p, best, n) })
	if i < 0 {
		return Result{}, false
	}
	return Result{
		Reason: failover.ReasonNoCandidate,
		Sentence: fmt.Sprintf("%s is empty and had not caught up with the master, and %s has found %d key(s) on "+
			"its volume that cannot be compared with that; a person has to choose",
			best.Name, obs.Nodes[i].Name, obs.Nodes[i].Replication.Keys),
	}, true
}

// lastMastersDisk prefers what the last master has found on its volume to a restarted process that has less and is
// known to be behind. A master that never had a replica saves no name of its history with its data (RDB's repl-id needs
// a backlog).
//
// Example: cache-0 was master and has loaded 1000 keys; cache-1 was restarted and has loaded the 900 of an hour ago.
// cache-0 is chosen.
func lastMastersDisk(
	p failover.Progress, policy failover.Policy, obs failover.Observation, best failover.Node,
) (Result, bool) {
	behind := p.Lineage.Shared(best.Replication.Lineage) < p.Lineage.Offset
	i := slices.IndexFunc(obs.Nodes, func(n failover.Node) bool {
		return diskWithUnknownHistory(p, n) && n.Replication.Keys > best.Replication.Keys
	})
	if i < 0 || len(p.InterimMasters) > 0 || !behind {
		return Result{}, false
	}
	n := obs.Nodes[i]
	if n.Replication.Priority == 0 || policy.Consistency == failover.ConsistencyStrict {
		return Result{
			Reason: failover.ReasonNoCandidate,
			Sentence: fmt.Sprintf("%s was restarted and is behind what the master had, and %s, the last "+
				"master, has found %d key(s) on its volume that cannot be compared with that; a person has to choose",
				best.Name, n.Name, n.Replication.Keys),
		}, true
	}
	return Result{
		Candidate:  &n,
		NewHistory: true,
		Sentence: fmt.Sprintf("%s was the last master and has found %d key(s) on its volume; %s was "+
			"restarted, is behind, and has %d", n.Name, n.Replication.Keys, best.Name, best.Replication.Keys),
	}, true
}

// diskWithUnknownHistory reports the last master's pod, whose process has found data of a history without a name that
// we know.
//
// Example: that cache-0, whose replid no status names.
func diskWithUnknownHistory(p failover.Progress, n failover.Node) bool {
	r := n.Replication
	usable := n.Answers() && r.Fenced() && !r.Loading && !r.Syncing && !n.Terminating
	return usable && p.OldMaster != nil && n.Name == p.OldMaster.Pod && !p.IsForeign(n) && !p.Descends(r.Lineage)
}

// leavingWithMore names a node whose pod is being deleted and whose volume will come back with more than best holds.
//
// Example: all were restarted; cache-2 holds 5000 and is being drained, cache-1 holds 4000. The next pod of cache-2
// will find 5000 on its volume, and is waited for.
func leavingWithMore(p failover.Progress, obs failover.Observation, best failover.Node) (string, bool) {
	for _, n := range obs.Nodes {
		if n.Answers() && n.Terminating &&
			p.Lineage.Shared(n.Replication.Lineage) > p.Lineage.Shared(best.Replication.Lineage) {
			return fmt.Sprintf(
				"%s is being deleted and holds newer data than anybody else; waiting for its next pod", n.Name,
			), true
		}
	}
	return "", false
}

// Told lists for people why each node may not be promoted.
func Told(limits []string) string {
	if len(limits) == 0 {
		return "there is none"
	}
	return strings.Join(limits, ", ")
}
