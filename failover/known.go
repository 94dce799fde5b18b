// SPDX-License-Identifier: Apache-2.0

package failover

import "slices"

// WasInSync reports whether n is an incarnation that was attached when all was well: its memory
// holds what it replicated, whatever its disk says. Of one that was never heard it has to be supposed.
//
// Example: cache-1 was attached when its master was killed, and answers with the same run_id. What it holds counts,
// though its disk is empty.
func (p Progress) WasInSync(n Node) bool {
	for _, k := range p.Nodes {
		if k.Attached && k.UID == n.UID && k.RunID != "" && (k.RunID == n.Replication.RunID || !n.Sampled) {
			return true
		}
	}
	return false
}

// IsWriteGuardOff reports a process that may be a master which accepts writes without a replica, for all that was
// written down. How one was promoted that is not written down as master yet, only its promoter knew; and nothing of one
// whose process was never seen.
//
// Example: the guard of cache-0 was lowered as its only replica hung; then cache-0 is out of sight. It may go on taking
// writes, and a successor waits.
func (p Progress) IsWriteGuardOff(ref NodeRef) bool {
	if p.Master == nil || p.Master.UID != ref.UID || p.Master.RunID != ref.RunID || ref.RunID == "" {
		return true
	}
	return slices.ContainsFunc(
		p.Nodes,
		func(k NodeRecord) bool { return k.UID == ref.UID && k.RunID == ref.RunID && k.WriteGuardOff },
	)
}

// IsForeign reports a process whose data is not the set's: it has found data that is older than the first master; or it
// was seen in sync with a Redis that is none of our nodes, and has not got another history since; or it is one in the
// same pod that has found data on its volume. A master may name its history anew for its first replica, when no
// operator watches (Redis does when it creates its backlog), so the name that tells is that of what came from
// elsewhere, and not only ours.
//
// Example: a person lets cache-2 follow another Redis for a while. What it has got from there is that Redis's data, and
// it is not promoted.
func (p Progress) IsForeign(n Node) bool { return p.FoundEarlier(n) || p.IsOfAnother(n) }

// IsOfAnother reports a process whose data is another Redis's; see IsForeign.
func (p Progress) IsOfAnother(n Node) bool {
	r := n.Replication
	return !p.Descends(r.Lineage) && slices.ContainsFunc(p.Nodes, func(k NodeRecord) bool {
		switch {
		case k.Ineligible != IneligibleForeign || k.Pod != n.Name:
			return false
		case k.RunID == r.RunID && k.UID == n.UID:
			return k.OtherReplID == "" || k.OtherReplID == r.Lineage.ReplID || k.OtherReplID == r.Lineage.ReplID2
		}
		return r.Keys > 0
	})
}

// Descends reports a history that is the lost one, or was a former master's of ours, whatever address it was got from:
// of where they were, no node keeps more than the last.
//
// Example: cache-2 was away during two failovers. Its replid is that of the first master, which is among Retired.
func (p Progress) Descends(l Lineage) bool {
	return p.Lineage.Shared(l) >= 0 || slices.Contains(p.Retired, l.ReplID)
}

// WasInterimMaster reports a process that we made a master in the running failover, or were about to, or the one that
// has loaded what such a process wrote, from its volume. Its history may go by a name that we never saw.
//
// Example: cache-1 was promoted, and killed before its first INFO was read. Its next process has loaded what it wrote,
// under a replid that no status names.
func (p Progress) WasInterimMaster(n Node) bool {
	r := n.Replication
	process := r.RunID != "" && slices.Contains(p.InterimMasters, r.RunID)
	volume := slices.Contains(p.InterimMasters, n.Name) && r.Keys > 0 && !slices.Contains(p.Retired, r.Lineage.ReplID)
	return process || volume
}

// LedUnseen reports a process that led, unseen for a while: by a name for its history that we do not know.
//
// Example: that next process of cache-1.
func (p Progress) LedUnseen(n Node) bool {
	return p.WasInterimMaster(n) && p.Lineage.Shared(n.Replication.Lineage) < 0
}

// MayReturn reports a process that holds data in its memory, for all that is known, and is out of reach: it hangs, is
// cut off, or does not let us in.
//
// Example: the machine of cache-1 froze while it was attached: it is waited for. One whose address refuses has ended,
// and is not.
func (p Progress) MayReturn(n Node) bool {
	if n.Contact == ContactAnswering || n.Contact == ContactRefused || n.Exited || p.IsForeign(n) {
		return false
	}
	return p.WasInSync(n) || p.Initialized && mayHaveSynced(n)
}

// mayHaveSynced reports a process that may have got the data since it was last heard, if it ever was. It may be the
// only one left.
//
// Example: the operator was restarted during an outage, and has not heard cache-1 yet, whose pod has an address.
func mayHaveSynced(n Node) bool {
	return n.IP != "" && (!n.Sampled || n.Replication.Keys > 0 || !n.Replication.Fenced())
}

// InMemorySinceBeforeLoss reports a process with data that ran before the master was lost, though it was never seen
// attached: what it holds is no leftover of a volume.
//
// Example: the link of cache-2 was down when the master was killed; it has 1000 keys, and the run_id that the status
// names.
func (p Progress) InMemorySinceBeforeLoss(n Node) bool {
	return n.Replication.Keys > 0 && slices.ContainsFunc(p.Nodes, func(k NodeRecord) bool {
		return k.UID == n.UID && k.RunID != "" && k.RunID == n.Replication.RunID
	})
}

// FollowedUntold reports a process that has followed a master in its life and holds data, where no status tells which
// master was lost.
//
// Example: the status was deleted, and there is no master. cache-1 has a link that ended a minute ago and 1000 keys;
// cache-0 has 3 keys and never had a link. cache-1 did.
func (p Progress) FollowedUntold(n Node) bool {
	return p.OldMaster == nil && n.HadLink() && n.Replication.Keys > 0
}

// FoundEarlier reports a pod that has found data on its volume which is older than the first master. It is kept out of
// elections, and told to follow only when a person gives its data up. It ends with the first sample that shows it empty
// or in sync. A process that has had a link got its data over that: the status was set back to a time before it was
// met.
func (p Progress) FoundEarlier(n Node) bool {
	r := n.Replication
	return slices.Contains(p.UnheardPods, n.Name) && r.Keys > 0 && !r.Syncing && !n.HadLink() &&
		p.MasterLineage().Shared(r.Lineage) < 0 &&
		!p.Descends(r.Lineage)
}

// IsDivergent reports a divergent master among the nodes of a failover. It is neither fenced nor promoted: its data is
// not the operator's to give up, unless a person named it.
//
// Example: a person runs REPLICAOF NO ONE on cache-2 and writes to it; then cache-0, the master, is killed.
func (p Progress) IsDivergent(n Node) bool {
	ours := (p.OldMaster != nil && n.UID == p.OldMaster.UID) || (p.Candidate != nil && n.UID == p.Candidate.UID) ||
		n.Name == p.ForcedPod
	return !ours && n.Answers() && p.IsDivergentFrom(p.Lineage, n)
}

// IsDivergentFrom reports a master with data that is not of our history: it is not overwritten unasked. A former master
// of ours is none: what it wrote after it was replaced is what a failover may lose. Who forked from us without us is
// one as soon as it has written anything since.
func (p Progress) IsDivergentFrom(ours Lineage, n Node) bool {
	l := n.Replication.Lineage
	switch {
	case n.Replication.Role != RoleMaster || n.Replication.Keys == 0:
		return false
	case l.ReplID == ours.ReplID || l.ReplID == ours.ReplID2 || slices.Contains(p.Retired, l.ReplID),
		slices.Contains(p.Retired, n.Replication.RunID):
		return false
	case l.ReplID2 == ours.ReplID || slices.Contains(p.Retired, l.ReplID2):
		return l.Offset >= l.SecondOffset
	}
	return true
}
