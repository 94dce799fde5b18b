// SPDX-License-Identifier: Apache-2.0

package failover

// Ineligibility says why a node may not be promoted.
type Ineligibility string

// The causes, in the order in which they are looked for.
const (
	Eligible                  Ineligibility = ""
	IneligibleUnreachable     Ineligibility = "Unreachable"     // it does not answer
	IneligibleTerminating     Ineligibility = "Terminating"     // its pod is being deleted
	IneligibleLoading         Ineligibility = "Loading"         // it still loads its disk
	IneligibleSyncing         Ineligibility = "Syncing"         // a full sync has replaced its data, and has not ended
	IneligiblePriorityZero    Ineligibility = "PriorityZero"    // replica-priority 0
	IneligibleSurplus         Ineligibility = "Surplus"         // its ordinal is about to be scaled away
	IneligibleDivergentMaster Ineligibility = "DivergentMaster" // a master that was not elected, with data of its own
	IneligibleNoLineage       Ineligibility = "NoLineage"       // its data does not descend from the master's
	// it has found data that is older than the first master, and came after that was chosen.
	IneligibleEarlierData Ineligibility = "EarlierData"
	// it was in sync with a Redis that is none of our nodes; what it holds is that one's data.
	IneligibleForeign       Ineligibility = "Foreign"
	IneligibleLagging       Ineligibility = "Lagging"       // further behind than maxLagBytes
	IneligibleStillAttached Ineligibility = "StillAttached" // its offset may still move
	IneligibleNotLinked     Ineligibility = "NotLinked"     // planned only: its link to the master is down
	IneligibleLeaving       Ineligibility = "Leaving"       // planned only: its Kubernetes node is to be left, or is gone
)
