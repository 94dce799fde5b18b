// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"slices"

	"github.com/redisha/redisha/failover"
)

// adoptHistory continues the lost history with what the candidate, now lost as well, has written under a name of its
// own: who follows it already goes by that name. A candidate that was not published, as far as we know, and shows
// nothing beyond the fork has written nothing; its name matters only if no node goes by the old one any more.
func (d *decider) adoptHistory(ref failover.NodeRef) {
	lost := d.next.Lineage
	if n, found := d.obs.Node(ref); found && d.exchanged(ref, n) {
		return // what it holds is not what became of the lost history
	}
	d.next.AddInterimMaster(ref.RunID)
	published := d.obs.Published.LeadsTo(ref)
	if published && d.policy.Persistent {
		d.next.RememberInterimMaster(ref.Pod) // a volume is that of whatever pod comes by that name
	}
	continued, found := d.continued(ref)
	wrote := published || continued.BeyondFork(lost)
	if wrote && d.policy.Persistent {
		d.next.RememberInterimMaster(ref.Pod)
	}
	if !found {
		return
	}
	d.next.Retire(continued.ReplID)
	if wrote || !d.heldBesides(ref, lost) {
		d.next.Lineage = continued
	}
}

// heldBesides reports that another node than ref holds a part of a history.
func (d *decider) heldBesides(ref failover.NodeRef, l failover.Lineage) bool {
	return slices.ContainsFunc(
		d.obs.Others(ref),
		func(n failover.Node) bool { return n.Answers() && l.Shared(n.Replication.Lineage) >= 0 },
	)
}

// continued is the history that the candidate went on with, as seen at itself, before its process ended too, or at one
// of its followers.
func (d *decider) continued(ref failover.NodeRef) (failover.Lineage, bool) {
	if n, found := d.obs.Node(ref); found {
		switch r := n.Replication; {
		case n.Sampled && r.Role == failover.RoleMaster && r.RunID == ref.RunID:
			return r.Lineage, true
		case n.Former.RunID == ref.RunID && n.Former.Lineage.ReplID2 == d.next.Lineage.ReplID:
			return n.Former.Lineage, true
		}
	}
	if continued, found := d.continuedByFollower(ref); found {
		return continued, true
	}
	return d.continuedOnVolume(ref)
}

// continuedOnVolume is the history by the name that the candidate's next process has found for it on its volume. Its
// followers, started anew as well, go by that name, and may hold more: it is as old as the last snapshot.
//
// Example: every Redis dies at once, before it was written down that cache-1 leads. What cache-1 and cache-2 then load
// goes by a replid that no status names.
func (d *decider) continuedOnVolume(ref failover.NodeRef) (failover.Lineage, bool) {
	i := slices.IndexFunc(d.obs.Nodes, func(n failover.Node) bool {
		r := n.Replication
		return n.Name == ref.Pod && n.Answers() && !r.Loading && r.RunID != ref.RunID && !d.next.IsForeign(n) &&
			d.next.LedUnseen(n)
	})
	if i < 0 {
		return failover.Lineage{}, false
	}
	return continuation(d.next.Lineage, d.obs.Nodes[i].Replication.Lineage), true
}

func (d *decider) continuedByFollower(ref failover.NodeRef) (failover.Lineage, bool) {
	for _, n := range d.obs.Others(ref) {
		r := n.Replication
		if n.Answers() && n.Follows(ref.IP) && r.Linked && !r.Syncing && r.Lineage.ReplID != d.next.Lineage.ReplID &&
			!d.next.IsForeign(n) {
			return continuation(d.next.Lineage, r.Lineage), true
		}
	}
	return failover.Lineage{}, false
}

// continuation is the history that continues lost, as a follower that goes by another name shows it. Where it forked is
// where the candidate stood when it was chosen. A follower tells where it took the name over itself, which is earlier
// if it was behind then: a process that was restarted with an old snapshot, say.
func continuation(lost, shown failover.Lineage) failover.Lineage {
	if lost.Shared(shown) >= 0 {
		if shown.ReplID2 == lost.ReplID {
			shown.SecondOffset = max(shown.SecondOffset, lost.Offset+1)
		}
		return shown
	}
	return failover.Lineage{
		ReplID:       shown.ReplID,
		ReplID2:      lost.ReplID,
		SecondOffset: lost.Offset + 1,
		Offset:       max(lost.Offset, shown.Offset),
	}
}

// recordNode remembers a process, in place of what was known of the pod of that name; but for data from elsewhere,
// which stays.
func (d *decider) recordNode(k failover.NodeRecord) {
	if before := d.foreignDataOf(k.Pod); before.Pod != "" && k.Ineligible != failover.IneligibleForeign {
		k.Ineligible = failover.IneligibleForeign
		if before.UID == k.UID && before.RunID == k.RunID {
			k.OtherReplID = before.OtherReplID
		}
	}
	if i := slices.IndexFunc(d.next.Nodes, func(o failover.NodeRecord) bool { return o.Pod == k.Pod }); i >= 0 {
		k.Restarts = restarts(d.next.Nodes[i], k)
	}
	d.next.Nodes = append(slices.DeleteFunc(d.next.Nodes, func(o failover.NodeRecord) bool { return o.Pod == k.Pod }), k)
}

// recordForeign remembers who is linked to a Redis that is none of our nodes, now or before: what it holds is that
// one's data, and once it is detached nothing tells any more.
func (d *decider) recordForeign() {
	for _, isElsewhere := range []func(failover.Node) bool{d.elsewhere, d.draggedAlong} {
		for _, n := range d.obs.Nodes {
			if isElsewhere(n) && !d.next.IsForeign(n) {
				d.recordNode(
					failover.NodeRecord{
						NodeRef:     n.Ref(),
						Version:     n.Replication.Version,
						Role:        failover.RoleReplica,
						LinkUp:      true,
						Ineligible:  failover.IneligibleForeign,
						OtherReplID: n.Replication.Lineage.ReplID,
					},
				)
			}
		}
	}
}

// draggedAlong reports a replica that got the data of another Redis by way of one of our nodes, whose history it goes
// by. Data that was found on a volume reached others over a link only; two that have found the same held it before.
func (d *decider) draggedAlong(n failover.Node) bool {
	r := n.Replication
	if !n.Answers() || r.Role != failover.RoleReplica || r.Syncing || d.next.Descends(r.Lineage) {
		return false
	}
	return slices.ContainsFunc(d.obs.Nodes, func(o failover.Node) bool {
		return o.UID != n.UID && o.Sampled && o.Replication.Lineage.ReplID == r.Lineage.ReplID && d.next.IsForeign(o) &&
			(n.HadLink() || !d.next.FoundEarlier(o))
	})
}

// elsewhere reports a replica that is in sync with an address that is none of our nodes', now or before, and got a
// history from there that is not ours.
func (d *decider) elsewhere(n failover.Node) bool {
	r := n.Replication
	return n.Answers() && r.Role == failover.RoleReplica && r.LinkUp && !r.Syncing && !d.ours(r.MasterHost) &&
		!d.next.Descends(r.Lineage)
}

// ours reports an address that is one of our nodes', was one, or is the fence. Who was one is told by the status, and
// by what is published where the status was lost.
func (d *decider) ours(host string) bool {
	has := func(n failover.Node) bool { return n.IP == host }
	if host == failover.FenceHost || slices.ContainsFunc(d.obs.Nodes, has) || slices.ContainsFunc(d.obs.Departed, has) {
		return true
	}
	p := d.next
	if p.Master == nil && d.obs.Published.IP == host {
		return true
	}
	for _, ref := range []*failover.NodeRef{p.OldMaster, p.Candidate} {
		if ref != nil && ref.IP == host {
			return true
		}
	}
	return p.Master != nil && p.Master.IP == host ||
		slices.ContainsFunc(p.Nodes, func(k failover.NodeRecord) bool { return k.IP == host })
}

// recordFollowers remembers who follows a master and holds data, and was not in the snapshot yet: once it is detached,
// nothing tells any more that it got its data in this life and did not find it on its volume.
func (d *decider) recordFollowers() {
	for _, n := range d.obs.Nodes {
		r := n.Replication
		before, known := d.lastKnown(n)
		if !n.Answers() || r.Role != failover.RoleReplica || r.Fenced() || r.Syncing || r.Keys == 0 ||
			known && before.RunID == r.RunID {
			continue
		}
		d.recordNode(failover.NodeRecord{
			NodeRef: n.Ref(), Version: r.Version, Role: failover.RoleReplica, LinkUp: r.LinkUp,
		})
	}
}
