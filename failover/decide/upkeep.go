// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
)

// published writes the new master down: from here on it is the master.
func (d *decider) published(n failover.Node) failover.Decision {
	if d.next.OldMaster != nil && d.next.Lineage.ReplID != "" {
		d.next.Retire(d.next.Lineage.ReplID)
	}
	lineage := n.Replication.Lineage
	if lineage.ReplID2 == d.next.Lineage.ReplID && lineage.SecondOffset > 0 {
		// What it writes by itself begins after the fork: second_repl_offset is one past the shared part.
		lineage.Offset = lineage.SecondOffset - 1
	}
	d.next.Master = &failover.Master{
		NodeRef: n.Ref(),
		Epoch:   d.next.Epoch,
		Since:   failover.Stamp(n.RoleSince),
		Lineage: lineage,
	}
	d.next.Initialized = true
	d.next.Steps = failover.WithStep(d.next.Steps, failover.StepPromoted, n.RoleSince)
	d.next.Steps = failover.WithStep(d.next.Steps, failover.StepPublished, d.publishedAt())
	d.move(EventPublish, n.Name+" is published as master")
	for _, o := range d.obs.Nodes {
		if d.next.WasInterimMaster(o) {
			d.ledUntilNow = append(d.ledUntilNow, o.UID)
		}
	}
	d.next.Nodes, d.next.InterimMasters = d.nodeSnapshot(d.view(), true), nil
	v := d.view()
	f := diagnosis.Diagnose(v)
	decision := failover.Decision{
		Again: failover.Now(),
	} // that it is published is a step of its own, though no replica may be left to be attached
	if actions, waiting := d.attach(v); waiting && !d.isLost(f) {
		decision = failover.Decision{Actions: actions, Diagnosis: f.Diagnosis, Again: failover.After(lookAgainSoon)}
	}
	decision.Next, decision.Message = d.next, n.Name+" is published as master; reattaching the others"
	return decision
}

// attach points everybody who answers at the new master, and says whether it is worth waiting for them.
func (d *decider) attach(v diagnosis.View) (actions []failover.Action, waiting bool) {
	actions = append(d.reconcileReplication(v), d.retireOldMaster(v)...)
	return actions, (len(actions) > 0 || d.unseen(v)) && d.now.Sub(d.next.Since) < failover.ReattachWithin
}

// isLost reports a new master that is lost itself, by evidence that is acted on.
func (d *decider) isLost(f diagnosis.Finding) bool {
	lost := f.Class == diagnosis.ClassHard
	if f.Class == diagnosis.ClassSoft {
		_, held := d.damped(f)
		lost = !held
	}
	return lost && d.policy.Mode != failover.ModeManual
}

// reattaching points the others at the new master, and sees to the old one.
func (d *decider) reattaching() failover.Decision {
	if d.next.Master == nil {
		return d.hold(failover.ReasonUnknownState, "the status names no master in state Reattaching", failover.OnEvent())
	}
	v := d.view()
	f := diagnosis.Diagnose(v)
	if d.isLost(f) {
		record := d.record(failover.OutcomeSuperseded, d.next.Master.Pod, f.Sentence)
		decision := d.failOver(f)
		decision.Record = record
		return decision
	}
	actions, waiting := d.attach(v)
	if waiting {
		return failover.Decision{
			Next:      d.next,
			Actions:   actions,
			Message:   "reattaching",
			Again:     failover.After(lookAgainSoon),
			Diagnosis: f.Diagnosis,
		}
	}
	d.next.Steps = failover.WithStep(d.next.Steps, failover.StepReattached, d.now)
	sentence := fmt.Sprintf("%s is master by epoch %d", d.next.Master.Pod, d.next.Epoch)
	record := d.record(failover.OutcomeSucceeded, d.next.Master.Pod, sentence)
	d.move(EventSettle, sentence)
	d.next.Candidate, d.next.OldMaster, d.next.Steps, d.next.ForcedPod = nil, nil, nil, ""
	return failover.Decision{
		Next:      d.next,
		Actions:   actions,
		Record:    record,
		Message:   sentence,
		Diagnosis: f.Diagnosis,
		Again:     failover.After(lookAgainSlow).Sooner(d.due),
	}
}

// clientsFirstFor is how long after publication nothing is written to the Kubernetes API that can wait.
const clientsFirstFor = 300 * time.Millisecond

// clientsFirst reports that the Service has only just been told of a new master, in the place of another. What a step
// writes to the Kubernetes API is waited for, 20 to 300 ms each time; clients are to be cut over as soon as the Service
// leads there, and kube-proxies have their share of it, too. That the candidate is master is on record: it is written
// down as such, and published under its epoch. Where another node was master for a moment since, that is written down
// at once.
func (d *decider) clientsFirst() bool {
	since := d.now.Sub(d.obs.PublishedSince)
	return d.next.OldMaster != nil && len(d.next.InterimMasters) == 0 && since >= 0 && since < clientsFirstFor
}

// publishedAt is when clients were led to the candidate first, as far as is known.
func (d *decider) publishedAt() time.Time {
	if d.obs.PublishedSince.IsZero() || d.obs.PublishedSince.After(d.now) {
		return d.now
	}
	return d.obs.PublishedSince
}

// unseen reports that it is too early to say that all are attached: the master's state is not known, or a node has not
// been heard who may be any moment. After a takeover that is everybody.
func (d *decider) unseen(v diagnosis.View) bool {
	return !v.Master.Answers() ||
		slices.ContainsFunc(
			v.Others,
			func(n failover.Node) bool { return notYetSampled(n) && d.waitedFor(n) < failover.DetachWithin },
		)
}

// retireOldMaster sees to an old master that hangs without being proven dead: its pod is deleted, for nothing else
// stops it from acknowledging what lies in its sockets when it wakes.
func (d *decider) retireOldMaster(v diagnosis.View) []failover.Action {
	if d.next.OldMaster == nil || (v.Ref.UID == d.next.OldMaster.UID && v.Ref.RunID == d.next.OldMaster.RunID) {
		return nil
	}
	old, ok := d.obs.Node(*d.next.OldMaster)
	if ok && d.next.Cause == failover.Cause(failover.DiagnosisMasterDown) && mayWake(old) {
		return []failover.Action{failover.DeletePod{Node: old.Ref()}}
	}
	return nil
}

// mayWake reports a process that hangs, as far as we know, or answers with errors only, and that is not being ended
// yet.
func mayWake(n failover.Node) bool {
	hung := n.Contact == failover.ContactSilent || n.Contact == failover.ContactNone || n.Contact.ErrorsOnly()
	return hung && !n.Terminating && !n.Exited
}

// upkeep is what Stable does while nothing is wrong: keep everything as it was promised.
func (d *decider) upkeep(v diagnosis.View) failover.Decision {
	actions := d.reconcileReplication(v)
	reason, message := d.strange(v)
	if reason == failover.ReasonNone {
		message = v.Ref.Pod + " is master"
	}
	if d.asked() && d.request.Verb == failover.VerbDiscard &&
		!slices.ContainsFunc(v.Others, func(n failover.Node) bool { return d.discards(n) && d.isLeftAlone(v, n) }) {
		d.next.Request = d.request.ID // it is done, or there is nothing to discard
	}
	again := failover.OnEvent()
	if snapshot := d.nodeSnapshot(v, false); !slices.Equal(snapshot, d.next.Nodes) && !d.guardOnRecord {
		d.next.Nodes = snapshot
	}
	if len(actions) > 0 {
		again = failover.After(lookAgain)
	}
	if v.Master.Answers() {
		d.remember(v.Master.Replication)
	}
	return failover.Decision{
		Next:    d.next,
		Actions: actions,
		Reason:  reason,
		Message: message,
		Again:   again.Sooner(d.pending()).Sooner(d.due),
	}
}

// remember keeps the master's lineage; it changes when its backlog was freed for want of replicas. Of one that was
// adopted before it answered the process is not known either.
func (d *decider) remember(r failover.Replication) {
	m, l := d.next.Master, r.Lineage
	if m.RunID == "" && r.Role == failover.RoleMaster {
		m.RunID = r.RunID
	}
	if m.Lineage.ReplID == l.ReplID {
		return
	}
	if m.Lineage.ReplID != "" {
		d.next.Retire(m.Lineage.ReplID)
	}
	m.Lineage = l
}

// reconcileReplication derives what is not yet true of a set with a living master.
func (d *decider) reconcileReplication(v diagnosis.View) []failover.Action {
	if !v.Master.Answers() || v.Master.Replication.Role != failover.RoleMaster {
		return nil
	}
	epoch := d.next.Master.Epoch
	if !d.obs.Published.Is(v.Ref, epoch) {
		return append(d.follow(v), failover.Publish{Node: v.Ref, Epoch: epoch})
	}
	actions := append(d.follow(v), d.labels(v)...)
	actions = append(actions, d.cutOver(v)...)
	actions = append(actions, closeGuards(v.Others, func(n failover.Node) bool { return d.keepsItsOwn(v, n) })...)
	return append(actions, d.guard(v)...)
}

// maxFullSyncs bounds the full syncs in flight: each forks the master.
const maxFullSyncs = 1

// follow points at the master whoever answers and does not follow it.
func (d *decider) follow(v diagnosis.View) []failover.Action {
	var actions []failover.Action
	syncs := 0
	for _, n := range v.Others {
		if n.Answers() && n.Replication.Syncing { // one that went silent in the middle of it holds no other up
			syncs++
		}
	}
	for _, n := range v.Others {
		if !d.needsRepoint(v, n) {
			continue
		}
		partial := v.Master.Replication.Lineage.Holds(n.Replication.Lineage.ReplID, n.Replication.Lineage.Offset)
		if !partial {
			if syncs >= maxFullSyncs {
				continue
			}
			syncs++
		}
		actions = append(actions, failover.Follow{Node: n.Ref(), Master: v.Ref})
	}
	return actions
}

// needsRepoint reports a node that should follow the master, does not, and may be told to.
func (d *decider) needsRepoint(v diagnosis.View, n failover.Node) bool {
	if !n.Answers() || n.Replication.Loading || n.Follows(v.Ref.IP) || d.next.FoundEarlier(n) && !d.discards(n) {
		return false
	}
	if n.Replication.Role == failover.RoleMaster {
		return !d.keepsItsOwn(v, n)
	}
	return !n.Terminating || !n.Replication.Fenced()
}

// keepsItsOwn reports a divergent master whose data a person has not given up.
func (d *decider) keepsItsOwn(v diagnosis.View, n failover.Node) bool {
	return d.diverges(v, n) && !d.discards(n)
}

func (d *decider) diverges(v diagnosis.View, n failover.Node) bool {
	return n.Answers() && d.next.IsDivergentFrom(v.Master.Replication.Lineage, n)
}

// discards reports that a person gave up the data of n.
func (d *decider) discards(n failover.Node) bool {
	return d.request != nil && d.request.Verb == failover.VerbDiscard && d.request.Target == n.Name
}

func (d *decider) divergentMaster(v diagnosis.View) (failover.Node, bool) {
	for _, n := range v.Others {
		if d.diverges(v, n) {
			return n, true
		}
	}
	return failover.Node{}, false
}

// isLeftAlone reports a pod with data that is left alone until a person decides.
func (d *decider) isLeftAlone(v diagnosis.View, n failover.Node) bool {
	return d.diverges(v, n) || n.Answers() && d.next.FoundEarlier(n)
}

// labels writes role labels, for people and for the replicas' Service. A former master loses its label first, so that
// no two pods carry it at any instant; that the new one has none for a moment does no harm: the master Service does not
// follow labels. A pod is labelled replica once the clients that were led there as to a master have left (cutover.go).
func (d *decider) labels(v diagnosis.View) []failover.Action {
	var actions []failover.Action
	taken := false
	for _, n := range v.Others {
		taken = taken || n.RoleLabel == failover.RoleMaster && n.UID != ""
		if role := d.labelBeside(n); role != n.RoleLabel && n.UID != "" {
			actions = append(actions, failover.Label{Node: n.Ref(), Role: role})
			taken = taken || role == failover.RoleUnknown // it may have become master's label since it was seen
		}
	}
	if v.Master.RoleLabel != failover.RoleMaster && !taken {
		actions = append(actions, failover.Label{Node: v.Ref, Role: failover.RoleMaster})
	}
	return actions
}

// labelBeside is the label that a node should have beside the master.
func (d *decider) labelBeside(n failover.Node) failover.Role {
	left := d.left(n)
	switch {
	case n.RoleLabel == failover.RoleMaster, n.RoleLabel == failover.RoleReplica && d.ledNow(n) && !left:
		return failover.RoleUnknown
	case left && !n.Terminating && n.Replication.Role == failover.RoleReplica:
		return failover.RoleReplica
	}
	return n.RoleLabel
}

// ledNow reports a pod that was master in the running failover, perhaps for too short a time to be labelled so.
func (d *decider) ledNow(n failover.Node) bool {
	return d.next.OldMaster != nil && d.next.OldMaster.UID == n.UID || slices.Contains(d.ledUntilNow, n.UID)
}
