// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"
	"slices"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
)

// choose writes the candidate down; only then it is promoted.
func (d *decider) choose(candidate failover.Node, sentence string) failover.Decision {
	ref := candidate.Ref()
	d.next.Candidate = &ref
	d.reach(candidate.Replication.Lineage)
	d.move(EventChoose, sentence)
	decision := d.promote(ref, candidate)
	decision.Message = sentence + "; promoting"
	return decision
}

// reach notes that the lost history reaches as far as the candidate holds it, though the master was not seen there.
// What lies beyond is the candidate's own.
func (d *decider) reach(candidate failover.Lineage) {
	d.next.Lineage.Offset = max(d.next.Lineage.Offset, d.next.Lineage.Shared(candidate))
}

// promote orders the candidate to become master, or publishes one that is.
func (d *decider) promote(ref failover.NodeRef, n failover.Node) failover.Decision {
	actions := closeGuards(d.obs.Others(ref), d.next.IsDivergent)
	if n.Replication.Role != failover.RoleMaster {
		return failover.Decision{Next: d.next, Message: "promoting " + ref.Pod, Again: failover.After(lookAgainSoon),
			Actions: append(actions, failover.Promote{Node: ref, MinReplicas: d.firstMinReplicas(n)})}
	}
	// Its siblings may follow at the same time: with min-replicas-to-write 1 it needs one to accept writes.
	actions = slices.Concat(
		actions,
		d.follow(d.viewFrom(ref)),
		[]failover.Action{failover.Publish{Node: ref, Epoch: d.next.Epoch}},
	)
	return failover.Decision{
		Next:    d.next,
		Message: ref.Pod + " is master; publishing it",
		Again:   failover.After(lookAgainSoon),
		Actions: actions,
	}
}

// promoting makes the candidate master, believes it when INFO says so, and publishes it.
func (d *decider) promoting() failover.Decision {
	if d.next.Candidate == nil {
		return d.hold(failover.ReasonUnknownState, "the status names no candidate in state Promoting", failover.OnEvent())
	}
	ref := *d.next.Candidate
	n, found := d.obs.Node(ref)
	if !n.Answers() && d.obs.Published.LeadsTo(ref) {
		return d.serving(ref)
	}
	return d.candidacy(ref, n, found)
}

// candidacy promotes and publishes a candidate, or gives it up.
func (d *decider) candidacy(ref failover.NodeRef, n failover.Node, found bool) failover.Decision {
	if sentence, lost := d.candidateLost(n, found); lost {
		return d.giveUp(sentence)
	}
	if !n.Answers() {
		return d.hold(failover.ReasonNone, "waiting for candidate "+ref.Pod, failover.After(lookAgainSoon))
	}
	if n.Replication.Role != failover.RoleMaster {
		if sentence, came := d.overtaken(n); came {
			return d.anotherCandidate(sentence)
		}
	}
	if n.Replication.Role != failover.RoleMaster || !d.obs.Published.Is(ref, d.next.Epoch) {
		return d.promote(ref, n)
	}
	if d.clientsFirst() {
		v := d.viewFrom(ref)
		// A library without a read timeout waits for a hung master until its pod has ended, which takes a kubelet 2 s and
		// more.
		actions := slices.Concat(d.follow(v), d.cutOver(v), d.retireOldMaster(v))
		return failover.Decision{Next: d.next, Message: ref.Pod + " is published as master; its clients are cut over first",
			Actions: actions, Again: failover.After(lookAgainSoon)}
	}
	return d.published(n)
}

// serving judges a candidate that clients are led to and that does not answer. It may be master, though the status does
// not name it yet, and take writes without a replica: it is given up for what a master is given up for, and for nothing
// less.
func (d *decider) serving(ref failover.NodeRef) failover.Decision {
	f := diagnosis.Diagnose(d.viewFrom(ref))
	if d.forced() {
		d.takeUpForce()
		return d.anotherCandidate(fmt.Sprintf("a person forces a failover to %s (%s)", d.request.Target, f.Sentence))
	}
	decision := d.hold(f.Reason(), "waiting for "+ref.Pod+", which is published", failover.After(lookAgainSoon))
	switch f.Class {
	case diagnosis.ClassHard:
		decision = d.giveUp(f.Sentence)
	case diagnosis.ClassSoft:
		damped, rest := d.damped(f)
		if decision = damped; !rest {
			d.cool(ref.Pod)
			decision = d.giveUp(f.Sentence)
		}
	case diagnosis.ClassHold:
		decision = d.hold(f.Reason(), f.Sentence+"; holding", failover.After(lookAgain))
	case diagnosis.ClassPlanned, diagnosis.ClassNone:
	}
	decision.Diagnosis = f.Diagnosis
	return decision
}

// candidateLost reports a candidate that cannot be waited for any longer.
func (d *decider) candidateLost(n failover.Node, found bool) (string, bool) {
	ref := *d.next.Candidate
	switch {
	case !found:
		return fmt.Sprintf("pod %s of the candidate is gone", ref.Pod), true
	case n.Sampled && ref.RunID != "" && n.Replication.RunID != "" && n.Replication.RunID != ref.RunID:
		return fmt.Sprintf("candidate %s was restarted", ref.Pod), true
	case d.exchanged(*d.next.Candidate, n):
		return fmt.Sprintf("candidate %s holds another history by now than the one it was chosen for", ref.Pod), true
	case n.Contact == failover.ContactRefused && d.waitedFor(n) >= failover.QuietenWithin:
		return fmt.Sprintf("candidate %s refuses connections", ref.Pod), true
	case n.Contact != failover.ContactAnswering && d.waitedFor(n) >= failover.PromoteWithin:
		return fmt.Sprintf("candidate %s does not answer", ref.Pod), true
	}
	return "", false
}

// exchanged reports that the data of the candidate is not what it was chosen for: it, or the node that it followed, was
// pointed elsewhere, elsewhere while no operator was there to go on.
func (d *decider) exchanged(candidate failover.NodeRef, n failover.Node) bool {
	chosenForHistory := d.next.OldMaster != nil && d.next.ForcedPod == "" && d.next.Lineage.ReplID != "" &&
		!d.next.WasInterimMaster(n)
	unpromoted := n.Answers() && n.Replication.Role == failover.RoleReplica &&
		n.Replication.RunID == candidate.RunID
	return chosenForHistory && unpromoted && d.next.Lineage.Shared(n.Replication.Lineage) < 0
}

// overtaken says who has come, for as long as no operator was there to go on, and is to be preferred to a candidate
// that is not promoted yet. Where that is data of what was lost, the failover is about that history again.
func (d *decider) overtaken(candidate failover.Node) (string, bool) {
	if old, lives := d.oldStillMaster(); lives && old.Answers() && old.UID != candidate.UID {
		return old.Name + " answers as master again, and has served since", true
	}
	if old := d.next.OldMaster; old != nil && provesDeath(failover.Diagnosis(d.next.Cause)) &&
		candidate.Replication.LinkUp &&
		candidate.Follows(old.IP) {
		return fmt.Sprintf("candidate %s replicates from %s again", candidate.Name, old.Pod), true
	}
	survivor, came := d.survivor(candidate)
	if !came {
		return "", false
	}
	d.next.Lineage = survivor.Replication.Lineage // what was lost is to be continued after all
	return fmt.Sprintf("%s has come with %d key(s) of what was lost", survivor.Name, survivor.Replication.Keys), true
}

// survivor returns who answers by now with data of the history that was lost, when it was decided to begin a new one
// with an empty candidate, as no node had any: its pod, or its place in the spec, has come since.
func (d *decider) survivor(candidate failover.Node) (failover.Node, bool) {
	if len(d.next.Retired) == 0 || d.next.ForcedPod != "" || candidate.Replication.Keys > 0 {
		return failover.Node{}, false
	}
	lost, begun := d.next.Retired[0], d.next.Lineage
	for _, n := range d.obs.Others(*d.next.Candidate) {
		r := n.Replication
		if n.Answers() && r.Lineage.ReplID == lost && begun.Shared(r.Lineage) < 0 && r.Keys > 0 && !d.next.IsForeign(n) {
			return n, true
		}
	}
	return failover.Node{}, false
}

// giveUp starts over without the candidate, once everybody was heard: after a takeover, only its follower may know what
// it has written.
func (d *decider) giveUp(sentence string) failover.Decision {
	if slices.ContainsFunc(
		d.obs.Nodes,
		func(n failover.Node) bool { return notYetSampled(n) && d.waitedFor(n) < failover.DetachWithin },
	) {
		return d.hold(failover.ReasonNone, sentence+"; hearing the others first", failover.After(lookAgainSoon))
	}
	return d.anotherCandidate(sentence)
}

// anotherCandidate starts over under a new epoch: the one before may or may not have become master.
// What was lost is still the same master; the candidate continued its history, perhaps with writes of its own.
func (d *decider) anotherCandidate(sentence string) failover.Decision {
	if d.next.Master == nil {
		if d.obs.Published.Is(*d.next.Candidate, d.next.Epoch) {
			return d.overrule() // it led: what became of it is judged as what became of any master
		}
		d.move(EventRestart, sentence)
		d.next.Candidate = nil
		return failover.Decision{
			Next:    d.next,
			Message: sentence + "; bootstrapping again",
			Again:   failover.After(lookAgainSoon),
		}
	}
	d.move(EventFailOver, sentence)
	d.adoptHistory(*d.next.Candidate)
	d.recordFollowers()
	d.next.Epoch++
	d.next.Candidate = nil
	d.next.Steps = slices.DeleteFunc(
		d.next.Steps,
		func(s failover.Step) bool { return s.Name == failover.StepDemoted },
	) // no switchover any more
	return failover.Decision{Next: d.next, Message: sentence + "; choosing again", Again: failover.Now()}
}

// firstMinReplicas is the value a new master starts with: 1 if a replica is there to follow it at
// once. Otherwise it must accept writes alone.
func (d *decider) firstMinReplicas(candidate failover.Node) int {
	for _, n := range d.obs.Others(candidate.Ref()) {
		if n.Answers() && !n.Terminating && !n.Replication.Loading && d.next.Initialized &&
			d.next.Lineage.Holds(n.Replication.Lineage.ReplID, n.Replication.Lineage.Offset) {
			return 1
		}
	}
	return 0
}
