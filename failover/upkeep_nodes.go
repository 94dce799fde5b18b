// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"math"
	"slices"
	"time"
)

// snapshotSettles is how long a change must stand before it is written to the status: a failover
// moves every link within milliseconds, and must not pay for writing that down.
const snapshotSettles = time.Second

// nodeSnapshot is the settled view of all nodes, for people and for the next failover.
func (d *decider) nodeSnapshot(v view, atOnce bool) []KnownNode {
	snapshot := make([]KnownNode, 0, len(d.obs.Nodes))
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
		if d.next.foundEarlier(n) {
			now.Limitation = LimitEarlier
		}
		snapshot = append(snapshot, now)
	}
	for _, k := range d.next.Known { // a pod that comes again may find on its volume what the one before it got elsewhere
		if !slices.ContainsFunc(snapshot, func(o KnownNode) bool { return o.Pod == k.Pod }) && k.Limitation == LimitForeign {
			snapshot = append(snapshot, k)
		}
	}
	return snapshot
}

// foreignDataOf is what is known of data from elsewhere that a pod of this name held, or nothing.
func (d *decider) foreignDataOf(pod string) KnownNode {
	for _, k := range d.next.Known {
		if k.Pod == pod && k.Limitation == LimitForeign {
			return k
		}
	}
	return KnownNode{}
}

// nodeStatus describes a node as it is now; before is what was known of its pod, or nothing.
func nodeStatus(v view, n Node, before KnownNode) KnownNode {
	now := KnownNode{NodeRef: n.Ref()}
	if now.RunID == "" && before.UID == now.UID {
		now.RunID = before.RunID
	}
	now.Restarts = restarts(before, now)
	sameProcess := before.UID == now.UID && before.RunID == now.RunID
	now.Attached = n.UID == v.ref.UID || (sameProcess && before.Attached)
	if !now.Attached && v.attached(n) && v.master.Sampled {
		now.Attached, now.Goal = caughtUp(v, n, before)
	}
	now.Guard, now.WriteGuardOff = guardOf(v, n, before)
	now.Limitation = recordedLimitation(v, n, before)
	now.Foreign = recordedForeign(now, before)
	if n.Contact == ContactAnswering {
		now.Role = n.Replication.Role
		now.LinkUp = n.Replication.LinkUp && now.Role == RoleReplica
	}
	return now
}

// restarts counts the processes that were met in a pod in the place of another. A pod that was made anew begins at none.
func restarts(before, now KnownNode) int {
	switch {
	case before.UID != now.UID:
		return 0
	case before.RunID == "" || now.RunID == "" || before.RunID == now.RunID:
		return before.Restarts
	}
	return min(before.Restarts, math.MaxInt32-1) + 1
}

// caughtUp reports whether a replica whose link is up has what was acknowledged before it came; if not, up to where it has to get.
func caughtUp(v view, n Node, before KnownNode) (bool, int64) {
	goal := v.master.Replication.Lineage.Offset
	if before.RunID == n.Replication.RunID && before.Goal > 0 {
		goal = before.Goal
	}
	if n.Replication.Lineage.Offset >= goal {
		return true, 0
	}
	return false, goal
}

// recordedLimitation is why n may not be promoted. What it got elsewhere it keeps, on its volume too, until it is attached to ours.
func recordedLimitation(v view, n Node, before KnownNode) Limitation {
	switch {
	case n.UID == v.ref.UID:
		return LimitNone
	case before.Limitation == LimitForeign && !v.attached(n) && !startedEmpty(n, before):
		return LimitForeign
	}
	return plannedLimitation(v, n)
}

// recordedForeign is the name of what a process got elsewhere. Another process in its pod may have found that by any name.
func recordedForeign(now, before KnownNode) string {
	if now.Limitation != LimitForeign || now.UID != before.UID || now.RunID != before.RunID {
		return ""
	}
	return before.Foreign
}

// startedEmpty reports that n is another process than the one before, and has no data.
func startedEmpty(n Node, before KnownNode) bool {
	return n.Sampled && n.Replication.RunID != before.RunID && n.Replication.Keys == 0
}

func (d *decider) lastKnown(n Node) (KnownNode, bool) {
	for _, k := range d.next.Known {
		if k.UID == n.UID {
			return k, true
		}
	}
	return KnownNode{}, false
}

// changeSettled reports that nothing about n moved for a while.
func (d *decider) changeSettled(n Node) bool {
	for _, t := range []time.Time{n.ContactSince, n.RoleSince, n.LinkSince} {
		if d.now.Sub(t) < snapshotSettles {
			return false
		}
	}
	return true
}

// pending says when the snapshot must be looked at again because a change has not settled yet.
func (d *decider) pending() time.Duration {
	catchingUp := slices.ContainsFunc(d.next.Known, func(k KnownNode) bool { return k.Goal > 0 })
	if catchingUp || slices.ContainsFunc(d.obs.Nodes, func(n Node) bool { return !d.changeSettled(n) }) {
		return snapshotSettles
	}
	return 0
}
