// SPDX-License-Identifier: Apache-2.0

package failover

// Limitation says why a node may not be promoted.
type Limitation string

// The limitations, in the order in which they are looked for.
const (
	LimitNone            Limitation = ""
	LimitUnreachable     Limitation = "Unreachable"     // it does not answer
	LimitTerminating     Limitation = "Terminating"     // its pod is being deleted
	LimitLoading         Limitation = "Loading"         // it still loads its disk
	LimitSyncing         Limitation = "Syncing"         // a full sync has replaced its data, and has not ended
	LimitPriorityZero    Limitation = "PriorityZero"    // replica-priority 0
	LimitSurplus         Limitation = "Surplus"         // its ordinal is about to be scaled away
	LimitDivergentMaster Limitation = "DivergentMaster" // a master that was not elected, with data of its own
	LimitNoLineage       Limitation = "NoLineage"       // its data does not descend from the master's
	LimitEarlier         Limitation = "EarlierData"     // it has found data that is older than the first master, and came after that was chosen
	LimitForeign         Limitation = "Foreign"         // it was in sync with a Redis that is none of our nodes; what it holds is that one's data
	LimitLagging         Limitation = "Lagging"         // further behind than maxLagBytes
	LimitAttached        Limitation = "StillAttached"   // its offset may still move
	LimitNotLinked       Limitation = "NotLinked"       // planned only: its link to the master is down
	LimitLeaving         Limitation = "Leaving"         // planned only: drained or outdated like the master
)

// limitation says why n may not be promoted out of lineage, whoever it is; offsets may still move.
func limitation(n Node, lineage Lineage, policy Policy) Limitation {
	r := n.Replication
	switch {
	case !n.Answers():
		return LimitUnreachable
	case r.Loading:
		return LimitLoading
	case r.Syncing:
		return LimitSyncing
	case n.Terminating:
		return LimitTerminating
	case r.Priority == 0:
		return LimitPriorityZero
	case lineage.Shared(r.Lineage) < 0:
		return LimitNoLineage
	case policy.MaxLagBytes > 0 && lineage.Offset-lineage.Shared(r.Lineage) > policy.MaxLagBytes:
		return LimitLagging
	}
	return LimitNone
}

// frozenLimitation is limitation for a failover, where offsets must stand still.
func frozenLimitation(n Node, lineage Lineage, policy Policy) Limitation {
	if l := limitation(n, lineage, policy); l != LimitNone {
		return l
	}
	if !n.Replication.Fenced() {
		return LimitAttached
	}
	return LimitNone
}

// isDivergent reports a divergent master among the nodes of a failover. It is neither fenced nor promoted: its data is not the operator's to give up,
// unless a person named it.
//
// Example: a person runs REPLICAOF NO ONE on cache-2 and writes to it; then cache-0, the master, is killed.
func (p Progress) isDivergent(n Node) bool {
	ours := (p.Old != nil && n.UID == p.Old.UID) || (p.Candidate != nil && n.UID == p.Candidate.UID) || n.Name == p.Forced
	return !ours && n.Answers() && p.isDivergentFrom(p.Lineage, n)
}

// plannedLimitation is limitation for a switchover, where the master lives and can be waited for.
func plannedLimitation(v view, n Node) Limitation {
	lineage := v.master.Replication.Lineage
	if l := limitation(n, lineage, v.policy); l != LimitNone {
		return l
	}
	switch {
	case !v.attached(n):
		return LimitNotLinked
	case n.Ordinal >= v.policy.Replicas:
		return LimitSurplus
	case n.Cordoned || n.NodeGone:
		return LimitLeaving
	}
	return LimitNone
}
