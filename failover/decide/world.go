// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"
	"slices"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
	"github.com/redisha/redisha/failover/election"
)

// This file is about a status that the world contradicts: it was lost, restored from a backup, or written by hand. What
// was published outlives it, in the EndpointSlice, with its epoch; and so do the processes, with their roles and
// histories.

// outdated reports a status that is older than what is published. The status names an epoch, and whom it chose, before
// anything is published by it; so what the status does not know is later than the status.
func (d *decider) outdated() bool {
	p, published := d.next, d.obs.Published
	switch {
	case published.Epoch > p.Epoch:
		return true
	case published.Pod == "":
		return false
	}
	switch p.State {
	case failover.StateFencing, failover.StateBlocked:
		return published.Epoch == p.Epoch
	case failover.StateSwitchingOver:
		return published.Epoch == p.Epoch && (p.Candidate == nil || !published.LeadsTo(*p.Candidate))
	case failover.StateStable, failover.StateSuspected, failover.StateReattaching:
		return p.Master == nil || published.Epoch > p.Master.Epoch
	case failover.StateBootstrapping, failover.StatePromoting, failover.StateHibernated:
	}
	return false
}

// overrule takes the world's word in the place of the status. It writes the status only: what is to be done about the
// master is decided on that, from the next decision on.
func (d *decider) overrule() failover.Decision {
	published := d.obs.Published
	ref := failover.NodeRef{Pod: published.Pod, UID: published.UID, IP: published.IP}
	n, _ := d.obs.Node(ref)
	serves := n.Answers() && n.Replication.Role == failover.RoleMaster
	sentence := fmt.Sprintf(
		"the status (epoch %d, %s) is from before epoch %d was published", d.next.Epoch, d.next.State, published.Epoch,
	)
	if !serves &&
		slices.ContainsFunc(
			d.obs.Nodes,
			func(n failover.Node) bool { return notYetSampled(n) && d.waitedFor(n) < failover.DetachWithin },
		) {
		return failover.Decision{
			Next:    d.prev,
			Reason:  failover.ReasonWaitingForPods,
			Message: sentence + "; hearing everybody first",
			Again:   failover.After(lookAgainSoon),
		}
	}
	d.forgetPlans()
	d.next.Epoch = max(d.next.Epoch, published.Epoch)
	d.next.Initialized = true
	// who is linked to another Redis has no word in what became of this one, and neither has who got that from it
	d.recordForeign()
	switch {
	case published.Pod == "":
		return d.overruleWithoutMaster(sentence + ", and leads nowhere")
	case !serves && d.next.IsForeign(n):
		return d.overruleWithoutMaster(
			fmt.Sprintf("%s, and leads to %s, which holds the data of another Redis", sentence, ref.Pod),
		)
	}
	since, seen := d.now, n.Sampled && n.Replication.Role == failover.RoleMaster
	if seen {
		ref, since = n.Ref(), n.RoleSince
	}
	d.next.Master = &failover.Master{
		NodeRef: ref,
		Epoch:   published.Epoch,
		Since:   failover.Stamp(since),
		Lineage: d.lineageOf(ref, n, seen),
	}
	d.next.Nodes = d.nodeSnapshot(d.view(), true)
	if !serves {
		d.next.UnheardPods = nil // they may have been in sync since the time that the status is from
		d.recordFollowersOf(ref)
		return d.overruled(EventAdopt, fmt.Sprintf("%s, and leads to %s, which does not answer as master", sentence, ref.Pod))
	}
	return d.overruled(EventAdopt, fmt.Sprintf("%s, and leads to %s, which is master; adopting it", sentence, ref.Pod))
}

// overruleWithoutMaster begins anew where a failover was blocked for so long that the Service leads nowhere, or to what
// is no master of ours: with the master that there is by now, or with whoever holds the data.
func (d *decider) overruleWithoutMaster(sentence string) failover.Decision {
	if len(d.obs.Masters()) > 0 {
		return d.overruled(EventRestart, sentence)
	}
	d.next.UnheardPods = nil // they may have been in sync since the time that the status is from
	d.begin(failover.CauseAdopted, diagnosis.View{})
	d.next.Steps = failover.WithStep(d.next.Steps, failover.StepIntent, d.now)
	return d.overruled(EventOrphan, sentence+"; looking for who holds the data")
}

// adoptable names the one master that has been heard since the status was lost and who holds the data was looked for:
// the Service leads nowhere, and nothing else tells who led. It takes writes of those who are connected to it, so that
// another must not be promoted next to it. Of several, a person chooses; who may be one more is heard first. Where
// another holds data that the master lacks, for all that is known, a person chooses as well: it may have led later.
func (d *decider) adoptable() (pod string, is bool) {
	lost := d.next.Cause == failover.CauseAdopted && d.next.OldMaster == nil && d.next.Lineage == failover.Lineage{}
	masters := d.obs.Masters()
	if !lost || d.next.ForcedPod != "" || len(masters) != 1 {
		return "", false
	}
	master := masters[0].Replication.Lineage
	beyond := slices.ContainsFunc(d.obs.Nodes, func(n failover.Node) bool {
		l := n.Replication.Lineage
		held := l.ReplID == master.ReplID && l.Offset <= master.Offset || master.Holds(l.ReplID, l.Offset)
		return n.UID != masters[0].UID && n.Replication.Keys > 0 && !held
	})
	_, awaited := election.Awaited(d.next, d.obs)
	return masters[0].Name, !awaited && !beyond
}

// adoptLate begins anew with the master that there is by now.
func (d *decider) adoptLate(pod string) failover.Decision {
	sentence := pod + " is master already, and no status tells of another"
	d.move(EventRestart, sentence)
	return failover.Decision{Next: d.next, Message: sentence, Again: failover.Now()}
}

func (d *decider) overruled(event Event, sentence string) failover.Decision {
	d.move(event, sentence)
	return failover.Decision{Next: d.next, Message: sentence, Overruled: true, Again: failover.After(lookAgainSoon)}
}

// forgetPlans drops what an outdated status wanted to do. The histories that it names are old ones: who goes by them is
// none of another set's.
func (d *decider) forgetPlans() {
	for _, replID := range []string{d.next.Lineage.ReplID, d.next.MasterLineage().ReplID} {
		if replID != "" {
			d.next.Retire(replID)
		}
	}
	d.next.Master, d.next.OldMaster, d.next.Candidate = nil, nil, nil
	d.next.Nodes, d.next.InterimMasters, d.next.Steps = nil, nil, nil
	d.next.Lineage, d.next.ForcedPod, d.next.Cause = failover.Lineage{}, "", failover.CauseAdopted
}

// lineageOf is the history of a master that is published: as it was seen itself, or as that one of its followers shows
// it which has got furthest.
func (d *decider) lineageOf(ref failover.NodeRef, n failover.Node, seen bool) failover.Lineage {
	var furthest failover.Lineage
	if seen {
		furthest = n.Replication.Lineage
	}
	for _, n := range d.obs.Others(ref) {
		if l := n.Replication.Lineage; d.followed(ref, n) && l.Offset > furthest.Offset {
			furthest = l
		}
	}
	return furthest
}

// followed reports a process that holds what it got from ref: it follows ref, or did until it was fenced in a failover
// that the status does not tell of any more. Whom it followed then only an operator knows that watched it.
func (d *decider) followed(ref failover.NodeRef, n failover.Node) bool {
	r := n.Replication
	until := r.Fenced() && n.Heard.RunID == r.RunID && !n.Heard.At.IsZero() &&
		(n.Heard.Master == ref.IP || n.Heard.Master == failover.FenceHost)
	return n.Answers() && (n.Follows(ref.IP) && r.Linked || until) && !r.Syncing && !r.Loading && !d.next.IsForeign(n)
}

// recordFollowersOf writes down who holds what it got from a published master that does not answer as one.
func (d *decider) recordFollowersOf(ref failover.NodeRef) {
	for i, k := range d.next.Nodes {
		if n, found := d.obs.Node(k.NodeRef); found && d.followed(ref, n) {
			d.next.Nodes[i].Attached, d.next.Nodes[i].CatchUpOffset = true, 0
		}
	}
}
