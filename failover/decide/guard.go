// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"slices"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
)

// recordGuard writes down that the guard of the master is about to become lower: should the master be cut off then, a
// successor that never hears it has to know. Where that is on record already, it says so: applications wait for the
// guard, and nothing is to be written before it.
func (d *decider) recordGuard(master failover.NodeRef, value int) {
	for i, k := range d.next.Nodes {
		if k.UID == master.UID && k.RunID == master.RunID {
			d.guardOnRecord = k.WriteGuardOff && value == 0
			d.next.Nodes[i].WriteGuardOff = k.WriteGuardOff || value == 0
			d.next.Nodes[i].WriteGuard = min(k.WriteGuard, aboveOne(value))
		}
	}
}

// aboveOne is a guard as it is recorded: one of a single replica is the usual case, and not written down.
func aboveOne(guard int) int {
	if guard > 1 {
		return guard
	}
	return 0
}

// closeGuards has the masters among the nodes that were not elected refuse writes beside the elected one: clients may
// be connected to them, from a time that no status tells of. A write guard that no number of replicas opens leaves
// their data as it is, until a person has saved it.
func closeGuards(nodes []failover.Node, divergent func(failover.Node) bool) []failover.Action {
	var actions []failover.Action
	for _, n := range nodes {
		if is := n.Replication.MinReplicas; divergent(n) && is >= 0 && is < failover.WriteGuardClosed {
			actions = append(actions, failover.SetMinReplicas{Node: n.Ref(), MinReplicas: failover.WriteGuardClosed})
		}
	}
	return actions
}

// guard sets the master's write guard, if it is not what it should be.
func (d *decider) guard(v diagnosis.View) []failover.Action {
	is, want := v.Master.Replication.MinReplicas, v.WriteGuard()
	if v.Master.Replication.Fresh < v.Master.Replication.Followers {
		d.dueIn(v.Master.FreshSince, diagnosis.GuardSettles)
	}
	if want == is || is < 0 {
		return nil
	}
	if want < is {
		if pointedSince(v) {
			return nil
		}
		d.recordGuard(v.Ref, want)
	}
	return []failover.Action{failover.SetMinReplicas{Node: v.Ref, MinReplicas: want}}
}

// pointedSince reports that a replica was given an order after the master was looked at: the master may hear it by now,
// and the network may hold up what would tell.
func pointedSince(v diagnosis.View) bool {
	return slices.ContainsFunc(v.Others, func(n failover.Node) bool { return n.OrderedAt.After(v.Master.SampledAt) })
}

// guardOf is the write guard of a node as it is to be recorded. Of one that does not answer, what was known stays. That
// it is about to be off is written down while the last replicas are being ended, before anybody waits for it.
func guardOf(v diagnosis.View, n failover.Node, before failover.NodeRecord) (guard int, writeGuardOff bool) {
	switch value := n.Replication.MinReplicas; {
	case n.UID != v.Ref.UID:
		return 0, false
	case !n.Answers():
		if before.UID != n.UID {
			return 0, false
		}
		return before.WriteGuard, before.WriteGuardOff
	case value < 0:
		return 0, false
	default:
		value = min(value, v.WriteGuard())
		return aboveOne(value), value == 0 || v.Deserted()
	}
}
