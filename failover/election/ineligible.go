// SPDX-License-Identifier: Apache-2.0

package election

import (
	"github.com/redisha/redisha/failover"
)

// IneligibilityOf says why n may not be promoted out of lineage, whoever it is; offsets may still move.
func IneligibilityOf(n failover.Node, lineage failover.Lineage, policy failover.Policy) failover.Ineligibility {
	r := n.Replication
	switch {
	case !n.Answers():
		return failover.IneligibleUnreachable
	case r.Loading:
		return failover.IneligibleLoading
	case r.Syncing:
		return failover.IneligibleSyncing
	case n.Terminating:
		return failover.IneligibleTerminating
	case r.Priority == 0:
		return failover.IneligiblePriorityZero
	case lineage.Shared(r.Lineage) < 0:
		return failover.IneligibleNoLineage
	case policy.MaxLagBytes > 0 && lineage.Offset-lineage.Shared(r.Lineage) > policy.MaxLagBytes:
		return failover.IneligibleLagging
	}
	return failover.Eligible
}

// FrozenIneligibility is why a node may not be promoted in a failover, where offsets must stand still.
func FrozenIneligibility(n failover.Node, lineage failover.Lineage, policy failover.Policy) failover.Ineligibility {
	if l := IneligibilityOf(n, lineage, policy); l != failover.Eligible {
		return l
	}
	if !n.Replication.Fenced() {
		return failover.IneligibleStillAttached
	}
	return failover.Eligible
}
