// SPDX-License-Identifier: Apache-2.0

package election

import (
	"github.com/redisha/redisha/failover"
)

// LimitationOf says why n may not be promoted out of lineage, whoever it is; offsets may still move.
func LimitationOf(n failover.Node, lineage failover.Lineage, policy failover.Policy) failover.Limitation {
	r := n.Replication
	switch {
	case !n.Answers():
		return failover.LimitUnreachable
	case r.Loading:
		return failover.LimitLoading
	case r.Syncing:
		return failover.LimitSyncing
	case n.Terminating:
		return failover.LimitTerminating
	case r.Priority == 0:
		return failover.LimitPriorityZero
	case lineage.Shared(r.Lineage) < 0:
		return failover.LimitNoLineage
	case policy.MaxLagBytes > 0 && lineage.Offset-lineage.Shared(r.Lineage) > policy.MaxLagBytes:
		return failover.LimitLagging
	}
	return failover.LimitNone
}

// FrozenLimitation is limitation for a failover, where offsets must stand still.
func FrozenLimitation(n failover.Node, lineage failover.Lineage, policy failover.Policy) failover.Limitation {
	if l := LimitationOf(n, lineage, policy); l != failover.LimitNone {
		return l
	}
	if !n.Replication.Fenced() {
		return failover.LimitAttached
	}
	return failover.LimitNone
}
