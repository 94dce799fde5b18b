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

// switchingOver drains the master, and goes on when it is seen demoted. Until then it can be aborted.
func (d *decider) switchingOver() failover.Decision {
	v := d.view()
	if d.next.Candidate == nil || !v.Found {
		return d.failOver(diagnosis.Diagnose(v))
	}
	if v.Master.Contact == failover.ContactAnswering && v.Master.Stale {
		return d.hold(failover.ReasonNone, "looking at "+v.Ref.Pod+" again", failover.After(lookAgainSoon))
	}
	if v.Master.Answers() && v.Master.Replication.Fenced() && v.Master.Replication.RunID == v.Ref.RunID {
		return d.demoted(v)
	}
	if f := diagnosis.Diagnose(v); f.Class == diagnosis.ClassHard && f.Diagnosis != failover.DiagnosisMasterDemoted {
		return d.failOver(f)
	}
	return d.drain(v)
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
	d.next.Steps = failover.WithStep(d.next.Steps, failover.StepDemoted, v.Master.RoleSince)
	want := v.Master.Replication.Lineage
	if d.next.Lineage.ReplID != "" && d.next.Lineage.Shared(want) < 0 {
		// It was pointed elsewhere meanwhile: who has all that it holds now has nothing of what it had.
		f := diagnosis.Diagnose(v)
		f.Sentence = v.Ref.Pod + " holds another history than the one that was to be switched over"
		return d.failOver(f)
	}
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
	waited := d.now.Sub(v.Master.RoleSince)
	switch {
	case len(complete) > 0 && (complete[0].UID == d.next.Candidate.UID || waited >= settleChosen):
		return d.choose(complete[0], complete[0].Name+" has every write of "+v.Ref.Pod)
	case waited < settleBehind:
		return failover.Decision{
			Next:    d.prev,
			Message: "waiting for the last bytes of " + v.Ref.Pod,
			Again:   failover.After(lookAgainSoon),
		}
	}
	decision := d.choose(v.Master, fmt.Sprintf("no replica has every write of %s; it stays master", v.Ref.Pod))
	decision.Reason, decision.Next.Reason = failover.ReasonCandidateBehind, failover.ReasonCandidateBehind
	return decision
}

// abort returns to the master that was never demoted.
func (d *decider) abort(v diagnosis.View, reason failover.Reason, sentence string) failover.Decision {
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
