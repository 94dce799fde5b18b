// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"
	"slices"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/election"
)

// This file is about a set of which no Redis is to run for a while. The workload controller lets the last pod go once
// that is the master at ordinal 0, alone and well. From then on the pod is no loss: what it has is on its volume when
// it has ended, and no other data counts until its next pod is master.

// hibernates reports a set of which no Redis is to run, and whose data is on the volume of the pod that the policy
// names. Where another led last, the StatefulSet was emptied by hand: then the pods that may hold the data are waited
// for as after any outage.
func (d *decider) hibernates() bool {
	if d.policy.Hibernate == "" {
		return false
	}
	switch d.next.State {
	case failover.StateHibernated:
		return true
	case failover.StateStable, failover.StateSuspected:
		return d.next.Master != nil && d.next.Master.Pod == d.policy.Hibernate
	case failover.StateFencing, failover.StateBlocked: // it was lost in the instant in which it was told to go
		return len(d.obs.Nodes) == 0 && d.lostLast(d.policy.Hibernate)
	case failover.StateBootstrapping:
		return d.next.Master == nil && (!d.next.Initialized || d.wakes())
	case failover.StateSwitchingOver, failover.StatePromoting, failover.StateReattaching:
	}
	return false // it leads to one of the above by itself
}

// lostLast reports that a pod was master when it was lost, and that none has led since.
func (d *decider) lostLast(pod string) bool {
	return d.next.OldMaster != nil && d.next.OldMaster.Pod == pod && len(d.next.InterimMasters) == 0
}

// hibernating has the last master accept no write any more, so that all it has acknowledged is on its volume when it
// has ended, and the Service lead nowhere.
func (d *decider) hibernating() failover.Decision {
	if d.next.State != failover.StateHibernated {
		d.fallAsleep()
	}
	var actions []failover.Action
	for _, n := range d.obs.Masters() {
		actions = append(actions, failover.Detach{Node: n.Ref(), Quieten: true, Within: failover.QuietenWithin})
	}
	if d.obs.Published.Pod != "" {
		actions = append(actions, failover.Withdraw{Epoch: d.next.Epoch})
	}
	again := failover.OnEvent()
	if len(actions) > 0 {
		again = failover.After(lookAgain)
	}
	return failover.Decision{Next: d.next, Actions: actions, Message: d.next.Message, Again: again}
}

// fallAsleep writes down that there is no master any more, and keeps what tells whose data is whose. The lineage stays
// that of the last master: what others hold of it is older than what its volume has.
func (d *decider) fallAsleep() {
	if v := d.view(); d.next.Master != nil {
		d.next.Lineage = d.next.Master.Lineage
		if l, seen := v.LastSeen(v.Ref.RunID, d.next.Lineage); seen {
			d.next.Lineage = l
		}
	}
	if id := d.next.Lineage.ReplID; id != "" {
		d.next.Retire(id)
	}
	if !d.wakes() {
		d.next.StartedAt = failover.Stamp(d.now)
	}
	d.refused = d.next.ForcedPod != ""
	d.move(EventHibernate, "no Redis is to run; the data is on the volume of "+d.policy.Hibernate)
	d.next.Master, d.next.OldMaster, d.next.Candidate = nil, nil, nil
	d.next.Steps, d.next.InterimMasters, d.next.AheadPods, d.next.ForcedPod = nil, nil, nil, ""
	d.next.Nodes = slices.DeleteFunc(d.next.Nodes, func(k failover.NodeRecord) bool {
		return k.Ineligible != failover.IneligibleForeign
	})
}

// wake begins to look for the pod that has the data. A set that never had a master is bootstrapped.
func (d *decider) wake() failover.Decision {
	d.move(EventWake, "a Redis is to run again")
	if d.next.Cause = failover.CauseBootstrap; d.next.Initialized {
		d.next.Cause = failover.CauseWoken
	}
	return failover.Decision{Next: d.next, Message: d.next.Message, Again: failover.Now()}
}

// wakes reports a set that has hibernated and has no master yet.
func (d *decider) wakes() bool {
	return d.next.State == failover.StateBootstrapping && d.next.Initialized && d.next.Cause == failover.CauseWoken
}

// woken chooses who had the data when the set began to hibernate: the pod at ordinal 0, whatever others have on their
// volumes, and however much. They were scaled away before it. It is not chosen where its volume is another one; then a
// person says what is to be continued.
func (d *decider) woken() election.Result {
	named := d.next
	if d.forced() {
		named.ForcedPod = d.request.Target
	}
	if named.ForcedPod != "" {
		return election.Elect(named, d.policy, d.obs, nil)
	}
	i := slices.IndexFunc(d.obs.Nodes, func(n failover.Node) bool { return n.Ordinal == 0 })
	if i < 0 {
		return election.Result{Sentence: "waking; waiting for the pod that has the data"}
	}
	n := d.obs.Nodes[i]
	switch r := n.Replication; {
	case !n.Answers() || n.Terminating:
		return election.Result{Sentence: fmt.Sprintf("waking; waiting for %s, whose volume has the data", n.Name)}
	case r.Loading:
		return election.Result{Sentence: fmt.Sprintf("waking; %s is loading its data", n.Name)}
	case r.Keys == 0 && !n.MayHoldData:
		return election.Result{Reason: failover.ReasonNoCandidate, Sentence: fmt.Sprintf(
			"%s is empty, and its volume was made after the set had hibernated, so that the data was elsewhere: restore its "+
				"claim, or request %s of the pod whose data is to be continued",
			n.Name, failover.VerbForce,
		)}
	}
	return election.Result{
		Candidate: &n,
		Sentence:  fmt.Sprintf("%s has the data from before the set hibernated, %d key(s)", n.Name, n.Replication.Keys),
	}
}
