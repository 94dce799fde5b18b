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
func (d *decider) nodeSnapshot(v diagnosis.View, atOnce bool) []failover.NodeRecord {
	snapshot := make([]failover.NodeRecord, 0, len(d.obs.Nodes))
	for _, n := range d.obs.Nodes {
		before, known := d.lastKnown(n)
		if known && !atOnce && !d.changeSettled(n) {
			before.WriteGuard, before.WriteGuardOff = guardOf(v, n, before) // what is certain of it does not wait
			snapshot = append(snapshot, before)
			continue
		}
		if !known {
			before = d.foreignDataOf(n.Name)
		}
		now := nodeStatus(v, n, before)
		if d.next.FoundEarlier(n) {
			now.Ineligible = failover.IneligibleEarlierData
		}
		snapshot = append(snapshot, now)
	}
	for _, k := range d.next.Nodes { // a pod that comes again may find on its volume what the one before it got elsewhere
		if !slices.ContainsFunc(snapshot, func(o failover.NodeRecord) bool { return o.Pod == k.Pod }) &&
			k.Ineligible == failover.IneligibleForeign {
			snapshot = append(snapshot, k)
		}
	}
	return snapshot
}

// foreignDataOf is what is known of data from elsewhere that a pod of this name held, or nothing.
func (d *decider) foreignDataOf(pod string) failover.NodeRecord {
	for _, k := range d.next.Nodes {
		if k.Pod == pod && k.Ineligible == failover.IneligibleForeign {
			return k
		}
	}
	return failover.NodeRecord{}
}

// nodeStatus describes a node as it is now; before is what was known of its pod, or nothing.
func nodeStatus(v diagnosis.View, n failover.Node, before failover.NodeRecord) failover.NodeRecord {
	now := failover.NodeRecord{NodeRef: n.Ref()}
	if now.RunID == "" && before.UID == now.UID {
		now.RunID = before.RunID
	}
	now.Restarts = restarts(before, now)
	sameProcess := before.UID == now.UID && before.RunID == now.RunID
	now.Version = recordedVersion(n, now, before)
	now.Attached = n.UID == v.Ref.UID || (sameProcess && before.Attached)
	if !now.Attached && v.Attached(n) && v.Master.Sampled {
		now.Attached, now.CatchUpOffset = caughtUp(v, n, before)
	}
	now.WriteGuard, now.WriteGuardOff = guardOf(v, n, before)
	now.Ineligible = recordedIneligibility(v, n, before)
	now.OtherReplID = recordedForeign(now, before)
	if n.Contact == failover.ContactAnswering {
		now.Role = n.Replication.Role
		now.LinkUp = n.Replication.LinkUp && now.Role == failover.RoleReplica
	}
	return now
}

// recordedVersion is that of a process as it said first: no process changes it.
func recordedVersion(n failover.Node, now, before failover.NodeRecord) string {
	if before.UID == now.UID && before.RunID == now.RunID && before.Version != "" {
		return before.Version
	}
	return n.Replication.Version
}

// restarts counts the processes that were met in a pod in the place of another. A pod that was made anew begins at
// none.
func restarts(before, now failover.NodeRecord) int {
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
func caughtUp(v diagnosis.View, n failover.Node, before failover.NodeRecord) (bool, int64) {
	goal := v.Master.Replication.Lineage.Offset
	if before.RunID == n.Replication.RunID && before.CatchUpOffset > 0 {
		goal = before.CatchUpOffset
	}
	if n.Replication.Lineage.Offset >= goal {
		return true, 0
	}
	return false, goal
}

// recordedIneligibility is why n may not be promoted. What it got elsewhere it keeps, on its volume too, until it is
// attached to ours.
func recordedIneligibility(v diagnosis.View, n failover.Node, before failover.NodeRecord) failover.Ineligibility {
	switch {
	case n.UID == v.Ref.UID:
		return failover.Eligible
	case before.Ineligible == failover.IneligibleForeign && !v.Attached(n) && !startedEmpty(n, before):
		return failover.IneligibleForeign
	}
	return plannedIneligibility(v, n)
}

// recordedForeign is the name of what a process got elsewhere. Another process in its pod may have found that by any
// name.
func recordedForeign(now, before failover.NodeRecord) string {
	if now.Ineligible != failover.IneligibleForeign || now.UID != before.UID || now.RunID != before.RunID {
		return ""
	}
	return before.OtherReplID
}

// startedEmpty reports that n is another process than the one before, and has no data.
func startedEmpty(n failover.Node, before failover.NodeRecord) bool {
	return n.Sampled && n.Replication.RunID != before.RunID && n.Replication.Keys == 0
}

func (d *decider) lastKnown(n failover.Node) (failover.NodeRecord, bool) {
	for _, k := range d.next.Nodes {
		if k.UID == n.UID {
			return k, true
		}
	}
	return failover.NodeRecord{}, false
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
	catchingUp := slices.ContainsFunc(d.next.Nodes, func(k failover.NodeRecord) bool { return k.CatchUpOffset > 0 })
	if catchingUp || slices.ContainsFunc(d.obs.Nodes, func(n failover.Node) bool { return !d.changeSettled(n) }) {
		return failover.After(snapshotSettles)
	}
	return failover.OnEvent()
}
