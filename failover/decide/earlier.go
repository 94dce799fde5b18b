// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"
	"slices"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
)

// This file is about data that is older than the set's first master: a volume that a person has restored, in a pod that
// came too late to be heard when the first master was chosen.

// notHeard names the pods whose volume has not been looked into: what they hold cannot have been weighed in the choice
// of the first master. One that is being deleted comes again with its volume.
func notHeard(obs failover.Observation) []string {
	var pods []string
	for _, n := range obs.Nodes {
		if !n.Answers() || n.Replication.Loading || n.Terminating {
			pods = append(pods, n.Name)
		}
	}
	for _, a := range obs.Absent {
		pods = append(pods, a.Name)
	}
	return pods
}

// meet strikes off the pods that have been seen to hold nothing of their own: empty, or with the set's data.
func (d *decider) meet() {
	if len(d.next.UnheardPods) == 0 {
		return
	}
	v := d.view()
	d.next.UnheardPods = slices.DeleteFunc(d.next.UnheardPods, func(pod string) bool {
		i := slices.IndexFunc(d.obs.Nodes, func(n failover.Node) bool { return n.Name == pod })
		return i >= 0 && met(v, d.next, d.obs.Nodes[i])
	})
}

func met(v diagnosis.View, p failover.Progress, n failover.Node) bool {
	r := n.Replication
	switch {
	case !n.Answers() || r.Loading || r.Syncing:
		return false
	case n.UID == v.Ref.UID: // a person has made it master
		return true
	}
	return r.Keys == 0 || v.Attached(n) || n.HadLink() || p.MasterLineage().Shared(r.Lineage) >= 0 || p.Descends(r.Lineage)
}

// strange says which pod holds data that is not the master's, and that is left alone until a person decides.
func (d *decider) strange(v diagnosis.View) (failover.Reason, string) {
	if divergent, found := d.divergentMaster(v); found {
		return failover.ReasonDivergentMaster, fmt.Sprintf(
			"%s is a master with data of its own that does not descend from %s; it refuses writes and is otherwise "+
				"left alone: save its data, then request %s of it",
			divergent.Name, v.Ref.Pod, failover.VerbDiscard,
		)
	}
	for _, n := range v.Others {
		if n.Answers() && d.next.FoundEarlier(n) {
			return failover.ReasonEarlierData, fmt.Sprintf(
				"%s has found data on its volume, and came after the first master had been chosen; it is left alone and does "+
					"not follow: request %s of it, which gives up what the master holds, or %s, which gives up its own",
				n.Name, failover.VerbForce, failover.VerbDiscard,
			)
		}
	}
	return failover.ReasonNone, ""
}
