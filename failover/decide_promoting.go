// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"fmt"
	"slices"
	"time"
)

// choose writes the candidate down; only then it is promoted.
func (d *decider) choose(candidate Node, sentence string) Decision {
	ref := candidate.Ref()
	d.next.Candidate = &ref
	// The lost history reaches as far as the candidate holds it, though the master was not seen there: what lies beyond is the candidate's own.
	d.next.Lineage.Offset = max(d.next.Lineage.Offset, d.next.Lineage.Shared(candidate.Replication.Lineage))
	d.move(EventChoose, sentence)
	decision := d.promoting()
	decision.Message = sentence + "; promoting"
	return decision
}

// promoting makes the candidate master, believes it when INFO says so, and publishes it.
func (d *decider) promoting() Decision {
	if d.next.Candidate == nil {
		return d.hold(ReasonUnknownState, "the status names no candidate in state Promoting", 0)
	}
	ref := *d.next.Candidate
	n, found := d.obs.Node(ref)
	if !n.Answers() && d.obs.Published.LeadsTo(ref) {
		return d.serving(ref)
	}
	return d.candidacy(ref, n, found)
}

// candidacy promotes and publishes a candidate, or gives it up.
func (d *decider) candidacy(ref NodeRef, n Node, found bool) Decision {
	if sentence, lost := d.candidateLost(n, found); lost {
		return d.giveUp(sentence)
	}
	if !n.Answers() {
		return d.hold(ReasonNone, "waiting for candidate "+ref.Pod, lookAgainSoon)
	}
	if n.Replication.Role != RoleMaster {
		if sentence, came := d.overtaken(n); came {
			return d.anotherCandidate(sentence)
		}
		return Decision{Next: d.next, Message: "promoting " + ref.Pod, RequeueAfter: lookAgainSoon,
			Actions: []Action{Promote{Node: ref, MinReplicas: d.firstMinReplicas(n)}}}
	}
	if !d.obs.Published.Is(ref, d.next.Epoch) {
		// Its siblings may follow at the same time: with min-replicas-to-write 1 it needs one to accept writes.
		actions := append(d.follow(d.viewFrom(ref)), Publish{Node: ref, Epoch: d.next.Epoch})
		return Decision{Next: d.next, Message: ref.Pod + " is master; publishing it", RequeueAfter: lookAgainSoon, Actions: actions}
	}
	if d.clientsFirst() {
		v := d.viewFrom(ref)
		return Decision{Next: d.next, Message: ref.Pod + " is published as master; its clients are cut over first",
			Actions: append(d.follow(v), d.cutOver(v)...), RequeueAfter: lookAgainSoon}
	}
	return d.published(n)
}

// serving judges a candidate that clients are led to and that does not answer. It may be master, though the status does not name it
// yet, and take writes without a replica: it is given up for what a master is given up for, and for nothing less.
func (d *decider) serving(ref NodeRef) Decision {
	f := diagnose(d.viewFrom(ref))
	if d.forced() {
		d.takeUpForce()
		return d.anotherCandidate(fmt.Sprintf("a person forces a failover to %s (%s)", d.request.Target, f.sentence))
	}
	decision := d.hold(f.reason(), "waiting for "+ref.Pod+", which is published", lookAgainSoon)
	switch f.class {
	case classHard:
		decision = d.giveUp(f.sentence)
	case classSoft:
		damped, rest := d.damped(f)
		if decision = damped; !rest {
			d.cool(ref.Pod)
			decision = d.giveUp(f.sentence)
		}
	case classHold:
		decision = d.hold(f.reason(), f.sentence+"; holding", lookAgain)
	case classPlanned, classNone:
	}
	decision.Diagnosis = f.diagnosis
	return decision
}

// candidateLost reports a candidate that cannot be waited for any longer.
func (d *decider) candidateLost(n Node, found bool) (string, bool) {
	ref := *d.next.Candidate
	switch {
	case !found:
		return fmt.Sprintf("pod %s of the candidate is gone", ref.Pod), true
	case n.Sampled && ref.RunID != "" && n.Replication.RunID != "" && n.Replication.RunID != ref.RunID:
		return fmt.Sprintf("candidate %s was restarted", ref.Pod), true
	case d.exchanged(n):
		return fmt.Sprintf("candidate %s holds another history by now than the one it was chosen for", ref.Pod), true
	case n.Contact == ContactRefused && d.waitedFor(n) >= QuietenWithin:
		return fmt.Sprintf("candidate %s refuses connections", ref.Pod), true
	case n.Contact != ContactAnswering && d.waitedFor(n) >= PromoteWithin:
		return fmt.Sprintf("candidate %s does not answer", ref.Pod), true
	}
	return "", false
}

// exchanged reports that the data of the candidate is not what it was chosen for: it, or the node that it followed, was pointed elsewhere,
// elsewhere while no operator was there to go on.
func (d *decider) exchanged(n Node) bool {
	chosenForHistory := d.next.Old != nil && d.next.Forced == "" && d.next.Lineage.ReplID != "" && !d.next.led(n)
	unpromoted := n.Answers() && n.Replication.Role == RoleReplica && n.Replication.RunID == d.next.Candidate.RunID
	return chosenForHistory && unpromoted && d.next.Lineage.Shared(n.Replication.Lineage) < 0
}

// overtaken says who has come, for as long as no operator was there to go on, and is to be preferred to a candidate that is not promoted
// yet. Where that is data of what was lost, the failover is about that history again.
func (d *decider) overtaken(candidate Node) (string, bool) {
	if old, lives := d.oldStillMaster(); lives && old.Answers() && old.UID != candidate.UID {
		return old.Name + " answers as master again, and has served since", true
	}
	if old := d.next.Old; old != nil && provesDeath(Diagnosis(d.next.Cause)) && candidate.Replication.LinkUp && candidate.Follows(old.IP) {
		return fmt.Sprintf("candidate %s replicates from %s again", candidate.Name, old.Pod), true
	}
	survivor, came := d.survivor(candidate)
	if !came {
		return "", false
	}
	d.next.Lineage = survivor.Replication.Lineage // what was lost is to be continued after all
	return fmt.Sprintf("%s has come with %d key(s) of what was lost", survivor.Name, survivor.Replication.Keys), true
}

// survivor returns who answers by now with data of the history that was lost, when it was decided to begin a new one with an empty
// candidate, as no node had any: its pod, or its place in the spec, has come since.
func (d *decider) survivor(candidate Node) (Node, bool) {
	if len(d.next.Retired) == 0 || d.next.Forced != "" || candidate.Replication.Keys > 0 {
		return Node{}, false
	}
	lost, begun := d.next.Retired[0], d.next.Lineage
	for _, n := range d.obs.Others(*d.next.Candidate) {
		r := n.Replication
		if n.Answers() && r.Lineage.ReplID == lost && begun.Shared(r.Lineage) < 0 && r.Keys > 0 && !d.next.isForeign(n) {
			return n, true
		}
	}
	return Node{}, false
}

// giveUp starts over without the candidate, once everybody was heard: after a takeover, only its follower may know what it has written.
func (d *decider) giveUp(sentence string) Decision {
	if slices.ContainsFunc(d.obs.Nodes, func(n Node) bool { return notYetSampled(n) && d.waitedFor(n) < DetachWithin }) {
		return d.hold(ReasonNone, sentence+"; hearing the others first", lookAgainSoon)
	}
	return d.anotherCandidate(sentence)
}

// anotherCandidate starts over under a new epoch: the one before may or may not have become master.
// What was lost is still the same master; the candidate continued its history, perhaps with writes of its own.
func (d *decider) anotherCandidate(sentence string) Decision {
	if d.next.Master == nil {
		if d.obs.Published.Is(*d.next.Candidate, d.next.Epoch) {
			return d.overrule() // it led: what became of it is judged as what became of any master
		}
		d.move(EventRestart, sentence)
		d.next.Candidate = nil
		return Decision{Next: d.next, Message: sentence + "; bootstrapping again", RequeueAfter: lookAgainSoon}
	}
	if !d.move(EventFailOver, sentence) {
		return d.hold(ReasonUnknownState, d.next.Message, lookAgainSlow)
	}
	d.adoptHistory()
	d.recordFollowers()
	d.next.Epoch++
	d.next.Candidate = nil
	d.next.Steps = slices.DeleteFunc(d.next.Steps, func(s Step) bool { return s.Name == StepDemoted }) // no switchover any more
	return Decision{Next: d.next, Message: sentence + "; choosing again", RequeueAfter: time.Nanosecond}
}

// firstMinReplicas is the value a new master starts with: 1 if a replica is there to follow it at
// once. Otherwise it must accept writes alone.
func (d *decider) firstMinReplicas(candidate Node) int {
	for _, n := range d.obs.Others(candidate.Ref()) {
		if n.Answers() && !n.Terminating && !n.Replication.Loading && d.next.Initialized &&
			d.next.Lineage.Holds(n.Replication.Lineage.ReplID, n.Replication.Lineage.Offset) {
			return 1
		}
	}
	return 0
}
