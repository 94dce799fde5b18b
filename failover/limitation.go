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
