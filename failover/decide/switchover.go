// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
	"github.com/redisha/redisha/failover/election"
)

// drainWithin bounds one attempt to drain the master; SwitchoverWithin bounds them all.
const drainWithin = time.Second

// settleChosen is how long the candidate, whom a person may have asked for, is waited for when another is complete
// already.
const settleChosen = 100 * time.Millisecond

// settleBehind is how long a demoted master's last bytes may take to show at a replica.
const settleBehind = 500 * time.Millisecond

// switchingOver drains the master, and once that is seen demoted, makes the candidate master. Until then it can be
// aborted.
func (d *decider) switchingOver() failover.Decision {
	v := d.view()
	if d.next.Candidate == nil {
		return d.failOver(diagnosis.Diagnose(v))
	}
	if d.obs.Published.Is(*d.next.Candidate, d.next.Epoch) {
		return d.goOn(v)
	}
	if v.Master.Contact == failover.ContactAnswering && v.Master.Stale {
		return d.hold(failover.ReasonNone, "looking at "+v.Ref.Pod+" again", failover.After(lookAgainSoon))
	}
	switch {
	case d.isPromoted(v):
		return d.goOn(v)
	case !v.Found:
		return d.failOver(diagnosis.Diagnose(v))
	case d.isDemoted(v):
		return d.demoted(v)
	}
	if f := diagnosis.Diagnose(v); f.Class == diagnosis.ClassHard && f.Diagnosis != failover.DiagnosisMasterDemoted {
		return d.failOver(f)
	}
	return d.drain(v)
}

// isDemoted reports that the switchover has demoted the old master: it is fenced, or follows the candidate by now.
func (d *decider) isDemoted(v diagnosis.View) bool {
	r := v.Master.Replication
	return v.Master.Answers() && r.RunID == v.Ref.RunID && (r.Fenced() || v.Master.Follows(d.next.Candidate.IP))
}

// serves reports that the old master answers as master.
func serves(v diagnosis.View) bool {
	return v.Master.Answers() && v.Master.Replication.Role == failover.RoleMaster
}

// drain goes on draining, or gives up while giving up costs nothing.
func (d *decider) drain(v diagnosis.View) failover.Decision {
	candidate, ok := d.obs.Node(*d.next.Candidate)
	switch {
	case !ok,
		plannedIneligibility(v, candidate) == failover.IneligibleUnreachable &&
			d.waitedFor(candidate) > failover.QuietenWithin:
		return d.abort(v, failover.ReasonNoCandidate, fmt.Sprintf("candidate %s is unreachable", d.next.Candidate.Pod))
	case d.waitedFor(v.Master) >= failover.SwitchoverWithin:
		return d.abort(
			v, failover.ReasonSwitchoverTooSlow,
			fmt.Sprintf("%s did not catch up within %s", candidate.Name, failover.SwitchoverWithin),
		)
	}
	if !serves(v) { // who is not seen to be master may have been drained by an operator before
		return d.hold(failover.ReasonNone, "waiting for "+v.Ref.Pod+" to answer", failover.After(lookAgainSoon))
	}
	decision := d.drainInto(v, fmt.Sprintf("draining %s into %s", v.Ref.Pod, candidate.Name))
	if d.now.Sub(
		d.next.Since,
	) >= drainWithin { // the first attempt is all there is, as a rule, and is not to wait for anything
		decision.Actions = append(d.cutOver(v), decision.Actions...)
	}
	return decision
}

// drainInto has the master drained into the candidate.
func (d *decider) drainInto(v diagnosis.View, message string) failover.Decision {
	return failover.Decision{Next: d.next, Message: message, Again: failover.After(lookAgainSoon),
		Actions: []failover.Action{failover.Drain{Master: v.Ref, Candidate: *d.next.Candidate, Within: drainWithin}}}
}

// demoted goes on from the point of no return: the old master's offset stands still, and whoever
// has reached it has every acknowledged write.
func (d *decider) demoted(v diagnosis.View) failover.Decision {
	want := v.Master.Replication.Lineage
	if d.next.Lineage.ReplID != "" && d.next.Lineage.Shared(want) < 0 {
		// It was pointed elsewhere meanwhile: who has all that it holds now has nothing of what it had.
		f := diagnosis.Diagnose(v)
		f.Sentence = v.Ref.Pod + " holds another history than the one that was to be switched over"
		return d.failOver(f)
	}
	complete := d.complete(v)
	waited := d.now.Sub(v.Master.RoleSince)
	switch {
	case len(complete) > 0 && complete[0].Ref() == *d.next.Candidate:
		return d.goOn(v)
	case d.mayBePromoted(v):
		return d.unpromoted(waited)
	case len(complete) > 0 && (complete[0].UID == d.next.Candidate.UID || waited >= settleChosen):
		d.noteDemotion(v)
		return d.choose(complete[0], complete[0].Name+" has every write of "+v.Ref.Pod)
	case waited < settleBehind:
		return d.awaitLastBytes()
	}
	d.noteDemotion(v)
	decision := d.choose(v.Master, fmt.Sprintf("no replica has every write of %s; it stays master", v.Ref.Pod))
	decision.Reason, decision.Next.Reason = failover.ReasonCandidateBehind, failover.ReasonCandidateBehind
	return decision
}

// complete lists who has all that the demoted master holds, the candidate first.
func (d *decider) complete(v diagnosis.View) []failover.Node {
	want := v.Master.Replication.Lineage
	var complete []failover.Node
	for _, n := range v.Others {
		l := election.IneligibilityOf(n, want, d.policy)
		if l == failover.Eligible && want.Shared(n.Replication.Lineage) >= want.Offset {
			complete = append(complete, n)
		}
	}
	slices.SortFunc(complete, func(a, b failover.Node) int {
		return election.CompareTrue(a.UID == d.next.Candidate.UID, b.UID == d.next.Candidate.UID)
	})
	return complete
}

func (d *decider) awaitLastBytes() failover.Decision {
	return failover.Decision{
		Next:    d.prev,
		Message: "waiting for the last bytes of " + d.next.OldMaster.Pod,
		Again:   failover.After(lookAgainSoon),
	}
}

func (d *decider) noteDemotion(v diagnosis.View) {
	at := d.now
	if d.isDemoted(v) {
		at = v.Master.RoleSince
	}
	d.next.Steps = failover.WithStep(d.next.Steps, failover.StepDemoted, at)
}

// abort returns to the master that was never demoted, as far as is known. Where the candidate is not known not to have
// been promoted, by an operator that led before, it has led at most unpublished: it is no divergent master, should it
// come back as one.
func (d *decider) abort(v diagnosis.View, reason failover.Reason, sentence string) failover.Decision {
	if d.wasOrdered() && !serves(v) {
		return d.giveUp(sentence) // the old master was demoted before
	}
	if d.mayBePromoted(v) {
		d.next.Retire(d.next.Candidate.RunID)
	}
	record := d.record(failover.OutcomeAborted, v.Ref.Pod, sentence)
	d.move(EventAbort, sentence)
	d.next.Candidate, d.next.OldMaster, d.next.Steps = nil, nil, nil
	d.next.CooldownUntil = failover.Stamp(d.now.Add(failover.SwitchoverRetry))
	return failover.Decision{Next: d.next, Record: record, Reason: reason, Message: "switchover aborted: " + sentence,
		Actions: []failover.Action{failover.Unpause{Node: v.Ref}}, Again: failover.After(lookAgain)}
}

// record closes the running failover or switchover.
func (d *decider) record(outcome failover.Outcome, to, message string) *failover.Record {
	r := &failover.Record{
		Kind: failover.KindFailover, Epoch: d.next.Epoch, Cause: d.next.Cause, To: to, Outcome: outcome, Message: message,
		StartedAt: d.next.StartedAt, FinishedAt: failover.Stamp(d.now), Steps: slices.Clone(d.next.Steps), GapBytes: -1,
	}
	switch {
	case d.next.OldMaster == nil:
		r.Kind = failover.KindBootstrap
	case d.next.Planned():
		r.Kind = failover.KindSwitchover
	}
	if d.next.OldMaster != nil {
		r.From = d.next.OldMaster.Pod
		if d.next.Master != nil && d.next.Lineage.Offset > 0 && outcome == failover.OutcomeSucceeded {
			r.GapBytes = max(0, d.next.Lineage.Offset-d.next.Master.Lineage.Offset)
		}
	}
	return r
}
