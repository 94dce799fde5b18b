// SPDX-License-Identifier: Apache-2.0

package election

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/redisha/redisha/failover"
)

// electWithoutHistory chooses when no node holds a part of the lost lineage. As long as one may come back
// with it, none is chosen. Otherwise the data that exists wins: the newest as far as names
// tell (age), then the node with the most keys; and where no disks are, the lowest ordinal, empty as all are.
func electWithoutHistory(
	p failover.Progress, policy failover.Policy, obs failover.Observation, limits []string,
) Result {
	if wait, ok := Awaited(p, obs); ok {
		return Result{Reason: failover.ReasonWaitingForData, Sentence: wait}
	}
	fit, unfit, inMemory := seeds(p, policy, obs)
	if i := slices.IndexFunc(obs.Nodes, p.IsDivergent); i >= 0 && !inMemory {
		return Result{
			Reason: failover.ReasonSplitBrain,
			Sentence: fmt.Sprintf("%s is a master with data of its own, and no node holds the history that was lost; "+
				"a person has to choose", obs.Nodes[i].Name),
		}
	}
	refused := Result{Reason: failover.ReasonNoCandidate, Sentence: "no node may be promoted: " + Told(limits)}
	if inMemory || len(fit) == 0 {
		return refused
	}
	seed := Seed(fit, p, policy)
	if ineligibleHoldsMore(policy, seed, unfit) || wouldBeGuess(p, policy, seed, fit) {
		return refused
	}
	return Result{Candidate: &seed, NewHistory: true, Sentence: fmt.Sprintf(
		"every process was restarted and no lineage survived; %s starts a new one with %d key(s)", seed.Name,
		seed.Replication.Keys,
	)}
}

// seeds returns the nodes that a new lineage may begin with, and those that may not be promoted. If one holds the lost
// history, its data is not ours to overrule by an empty or an older one. Where the disks of all others are empty, those
// are asked whose data counts as older than the first master: a choice that begins anew is made as the first one is.
//
// Example: cache-0, the first master, and cache-1 are killed, and cache-0 has found nothing on its volume. The status
// is from a backup of before cache-1 was met, so that what cache-1 has on its volume counts as older. It is cache-1.
func seeds(
	p failover.Progress, policy failover.Policy, obs failover.Observation,
) (fit, unfit []failover.Node, inMemory bool) {
	hasHistory := func(n failover.Node) bool { return p.WasInSync(n) || p.Lineage.Shared(n.Replication.Lineage) >= 0 }
	ours, earlier := byOwner(p, obs)
	inMemory = slices.ContainsFunc(ours, hasHistory)
	if policy.Persistent && !inMemory && len(earlier) > 0 && !slices.ContainsFunc(ours, hasKeys) {
		ours = earlier
	}
	for _, n := range ours {
		switch {
		case hasHistory(n):
		case mayBegin(n):
			fit = append(fit, n)
		default:
			unfit = append(unfit, n)
		}
	}
	return fit, unfit, inMemory
}

// byOwner are the nodes that answer, without those that hold another Redis's data: those with data of the set, and
// those whose data counts as older than its first master.
func byOwner(p failover.Progress, obs failover.Observation) (ours, earlier []failover.Node) {
	for _, n := range obs.Nodes {
		switch {
		case !n.Answers() || p.IsOfAnother(n):
		case p.FoundEarlier(n):
			earlier = append(earlier, n)
		default:
			ours = append(ours, n)
		}
	}
	return ours, earlier
}

func hasKeys(n failover.Node) bool { return n.Replication.Keys > 0 }

func mayBegin(n failover.Node) bool {
	return !n.Terminating && !n.Replication.Syncing && n.Replication.Priority != 0
}

// ineligibleHoldsMore reports that one who may not be promoted holds more than best, and that it is not for us to
// prefer best all the same: because best is empty, or because it would be a guess under Strict.
//
// Example: cache-1 is empty, and cache-2, whose priority is 0, has 1000 keys. None is chosen.
func ineligibleHoldsMore(policy failover.Policy, best failover.Node, unfit []failover.Node) bool {
	return slices.ContainsFunc(unfit, func(n failover.Node) bool {
		return n.Replication.Keys > best.Replication.Keys &&
			(best.Replication.Keys == 0 || policy.Consistency == failover.ConsistencyStrict)
	})
}

// wouldBeGuess reports that to choose the first means to prefer it to one with more data, or that no status tells who
// had all, which Strict leaves to a person.
//
// Example: under Strict the status was lost, and cache-1 and cache-2 have loaded 1000 and 990 keys.
func wouldBeGuess(p failover.Progress, policy failover.Policy, seed failover.Node, fit []failover.Node) bool {
	untold := p.Initialized && p.OldMaster == nil // the status was lost
	return policy.Consistency == failover.ConsistencyStrict &&
		(untold || slices.ContainsFunc(fit, func(n failover.Node) bool {
			return n.Replication.Keys > seed.Replication.Keys
		}))
}

// Seed returns the node that a new lineage begins with; fit has one at least. Without disks it is the one that has kept
// most in its memory. With disks it is one whose data no other node holds as well; of several such nodes the newest as
// far as names tell.
//
// Example: the status was lost, and the last master was cache-1. It has found an old snapshot of 109 keys on its
// volume, cache-0 a later one of 117 keys by the same name, and cache-2 has 147 keys by a name that continues that one
// after all of them. It is cache-2, which holds all that the others do.
func Seed(fit []failover.Node, p failover.Progress, policy failover.Policy) failover.Node {
	if !policy.Persistent {
		return slices.MinFunc(fit, func(a, b failover.Node) int { return byMemory(a, b, p) })
	}
	origins := make([]origin, len(fit))
	for i, n := range fit {
		origins[i] = origin{Node: n, followed: p.FollowedUntold(n), age: age(p, n)}
	}
	for range fit { // what is said of one is handed on to who holds its data, and from there again
		for i := range origins {
			for _, other := range fit {
				if holdsAll(origins[i].Node, other) {
					j := slices.IndexFunc(origins, func(o origin) bool { return o.UID == other.UID })
					origins[i].followed = origins[i].followed || origins[j].followed
					origins[i].age = min(origins[i].age, origins[j].age)
				}
			}
		}
	}
	latest := slices.DeleteFunc(slices.Clone(origins), func(o origin) bool {
		return slices.ContainsFunc(fit, func(n failover.Node) bool { return n.UID != o.UID && holdsAll(n, o.Node) })
	})
	if len(latest) == 0 { // they contradict each other
		latest = origins
	}
	return slices.MinFunc(latest, byOrigin).Node
}

// origin is a node with what is known of where its data comes from.
type origin struct {
	failover.Node

	followed bool // a process of the set got it from a master, and which one that was is not on record
	age      int
}

// holdsAll reports that a has all data of b: of the same history as much or more, or of one that continues it. Of two
// with equal data it is one only.
func holdsAll(a, b failover.Node) bool {
	of, in := b.Replication.Lineage, a.Replication.Lineage
	if of.ReplID == in.ReplID {
		return ByData(a, b) < 0
	}
	return a.Replication.Keys > 0 && in.Holds(of.ReplID, of.Offset)
}

// byOrigin orders nodes of which none holds the other's data. It compares what each is by itself, so that the order of
// many does not depend on which two are compared first.
func byOrigin(a, b origin) int {
	return cmp.Or(
		CompareTrue(a.followed, b.followed), cmp.Compare(a.age, b.age), cmp.Compare(b.Replication.Keys, a.Replication.Keys),
		CompareTrue(a.Replication.Priority != 0, b.Replication.Priority != 0), ByData(a.Node, b.Node),
	)
}

// byMemory orders processes by what they have kept in memory.
func byMemory(a, b failover.Node, p failover.Progress) int {
	return cmp.Or(
		cmp.Compare(kept(p, b), kept(p, a)), CompareTrue(holdsLost(p, a), holdsLost(p, b)),
		CompareTrue(a.Replication.Priority != 0, b.Replication.Priority != 0), cmp.Compare(a.Ordinal, b.Ordinal),
	)
}

// holdsLost reports a node with data of a former master's history. Without disks it has been running, whatever it calls
// itself.
//
// Example: without disks cache-2 has 1000 keys under the replid of the master before the last.
func holdsLost(p failover.Progress, n failover.Node) bool {
	return n.Replication.Keys > 0 && p.Descends(n.Replication.Lineage)
}

// age orders what disks held after a full outage, newest first: what the last master has found, unless it goes by an
// older name; what goes by the name of a former master's history, the last retired first; what goes by no name that we
// know; and nothing at all.
//
// Example: cache-0, the last master, comes before cache-1, which goes by the name of the master before; then comes one
// with a name of its own, then an empty one.
func age(p failover.Progress, n failover.Node) int {
	retired := slices.Index(p.Retired, n.Replication.Lineage.ReplID)
	switch {
	case n.Replication.Keys == 0:
		return failover.MaxRetired + 1
	case retired >= 0:
		return retired
	case p.OldMaster != nil && n.Name == p.OldMaster.Pod:
		return -1
	}
	return failover.MaxRetired
}

// kept is how many keys a process has kept in its memory; what it may have found on a volume that is not meant to
// persist is none. One that has followed a master in its life has its data from there, whether the status tells of it
// or is from before it was met.
func kept(p failover.Progress, n failover.Node) int64 {
	if n.HadLink() || p.InMemorySinceBeforeLoss(n) {
		return n.Replication.Keys
	}
	return 0
}
