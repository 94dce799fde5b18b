// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"math"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
)

// snapshotSettles is how long a change must stand before it is written to the status: a failover
// moves every link within milliseconds, and must not pay for writing that down.
const snapshotSettles = time.Second

// nodeSnapshot is the settled view of all nodes, for people and for the next failover.
func (d *decider) nodeSnapshot(v diagnosis.View, atOnce bool) []failover.KnownNode {
	snapshot := make([]failover.KnownNode, 0, len(d.obs.Nodes))
	for _, n := range d.obs.Nodes {
		before, known := d.lastKnown(n)
		if known && !atOnce && !d.changeSettled(n) {
			before.Guard, before.WriteGuardOff = guardOf(v, n, before) // what is certain of it does not wait
			snapshot = append(snapshot, before)
			continue
		}
		if !known {
			before = d.foreignDataOf(n.Name)
		}
		now := nodeStatus(v, n, before)
		if d.next.FoundEarlier(n) {
			now.Limitation = failover.LimitEarlier
		}
		snapshot = append(snapshot, now)
	}
	for _, k := range d.next.Known { // a pod that comes again may find on its volume what the one before it got elsewhere
		if !slices.ContainsFunc(snapshot, func(o failover.KnownNode) bool { return o.Pod == k.Pod }) && k.Limitation == failover.LimitForeign {
			snapshot = append(snapshot, k)
		}
	}
	return snapshot
}

// foreignDataOf is what is known of data from elsewhere that a pod of this name held, or nothing.
func (d *decider) foreignDataOf(pod string) failover.KnownNode {
	for _, k := range d.next.Known {
		if k.Pod == pod && k.Limitation == failover.LimitForeign {
			return k
		}
	}
	return failover.KnownNode{}
}

// nodeStatus describes a node as it is now; before is what was known of its pod, or nothing.
func nodeStatus(v diagnosis.View, n failover.Node, before failover.KnownNode) failover.KnownNode {
	now := failover.KnownNode{NodeRef: n.Ref()}
	if now.RunID == "" && before.UID == now.UID {
		now.RunID = before.RunID
	}
	now.Restarts = restarts(before, now)
	sameProcess := before.UID == now.UID && before.RunID == now.RunID
	now.Attached = n.UID == v.Ref.UID || (sameProcess && before.Attached)
	if !now.Attached && v.Attached(n) && v.Master.Sampled {
		now.Attached, now.Goal = caughtUp(v, n, before)
	}
	now.Guard, now.WriteGuardOff = guardOf(v, n, before)
	now.Limitation = recordedLimitation(v, n, before)
	now.Foreign = recordedForeign(now, before)
	if n.Contact == failover.ContactAnswering {
		now.Role = n.Replication.Role
		now.LinkUp = n.Replication.LinkUp && now.Role == failover.RoleReplica
	}
	return now
}

// restarts counts the processes that were met in a pod in the place of another. A pod that was made anew begins at
// none.
func restarts(before, now failover.KnownNode) int {
	switch {
	case before.UID != now.UID:
		return 0
	case before.RunID == "" || now.RunID == "" || before.RunID == now.RunID:
		return before.Restarts
	}
	return min(before.Restarts, math.MaxInt32-1) + 1
}

// caughtUp reports whether a replica whose link is up has what was acknowledged before it came; if not, up to where it
// has to get.
func caughtUp(v diagnosis.View, n failover.Node, before failover.KnownNode) (bool, int64) {
	goal := v.Master.Replication.Lineage.Offset
	if before.RunID == n.Replication.RunID && before.Goal > 0 {
		goal = before.Goal
	}
	if n.Replication.Lineage.Offset >= goal {
		return true, 0
	}
	return false, goal
}

// recordedLimitation is why n may not be promoted. What it got elsewhere it keeps, on its volume too, until it is
// attached to ours.
func recordedLimitation(v diagnosis.View, n failover.Node, before failover.KnownNode) failover.Limitation {
	switch {
	case n.UID == v.Ref.UID:
		return failover.LimitNone
	case before.Limitation == failover.LimitForeign && !v.Attached(n) && !startedEmpty(n, before):
		return failover.LimitForeign
	}
	return plannedLimitation(v, n)
}

// recordedForeign is the name of what a process got elsewhere. Another process in its pod may have found that by any
// name.
func recordedForeign(now, before failover.KnownNode) string {
	if now.Limitation != failover.LimitForeign || now.UID != before.UID || now.RunID != before.RunID {
		return ""
	}
	return before.Foreign
}

// startedEmpty reports that n is another process than the one before, and has no data.
func startedEmpty(n failover.Node, before failover.KnownNode) bool {
	return n.Sampled && n.Replication.RunID != before.RunID && n.Replication.Keys == 0
}

func (d *decider) lastKnown(n failover.Node) (failover.KnownNode, bool) {
	for _, k := range d.next.Known {
		if k.UID == n.UID {
			return k, true
		}
	}
	return failover.KnownNode{}, false
}

// changeSettled reports that nothing about n moved for a while.
func (d *decider) changeSettled(n failover.Node) bool {
	for _, t := range []time.Time{n.ContactSince, n.RoleSince, n.LinkSince} {
		if d.now.Sub(t) < snapshotSettles {
			return false
		}
	}
	return true
}

// pending says when the snapshot must be looked at again because a change has not settled yet.
func (d *decider) pending() failover.Again {
	catchingUp := slices.ContainsFunc(d.next.Known, func(k failover.KnownNode) bool { return k.Goal > 0 })
	if catchingUp || slices.ContainsFunc(d.obs.Nodes, func(n failover.Node) bool { return !d.changeSettled(n) }) {
		return failover.After(snapshotSettles)
	}
	return failover.OnEvent()
}
