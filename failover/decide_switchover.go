// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"fmt"
	"slices"
	"time"
)

// drainWithin bounds one attempt to drain the master; SwitchoverWithin bounds them all.
const drainWithin = time.Second

// settleChosen is how long the candidate, whom a person may have asked for, is waited for when another is complete already.
const settleChosen = 100 * time.Millisecond

// settleBehind is how long a demoted master's last bytes may take to show at a replica.
const settleBehind = 500 * time.Millisecond

// switchingOver drains the master, and goes on when it is seen demoted. Until then it can be aborted.
func (d *decider) switchingOver() Decision {
	v := d.view()
	if d.next.Candidate == nil || !v.found {
		return d.failOver(diagnose(v))
	}
	if v.master.Contact == ContactAnswering && v.master.Stale {
		return d.hold(ReasonNone, "looking at "+v.ref.Pod+" again", lookAgainSoon)
	}
	if v.master.Answers() && v.master.Replication.Fenced() && v.master.Replication.RunID == v.ref.RunID {
		return d.demoted(v)
	}
	if f := diagnose(v); f.class == classHard && f.diagnosis != DiagnosisMasterDemoted {
		return d.failOver(f)
	}
	return d.drain(v)
}

// drain goes on draining, or gives up while giving up costs nothing.
func (d *decider) drain(v view) Decision {
	candidate, ok := d.obs.Node(*d.next.Candidate)
	switch {
	case !ok || plannedLimitation(v, candidate) == LimitUnreachable && d.waitedFor(candidate) > QuietenWithin:
		return d.abort(v, ReasonNoCandidate, fmt.Sprintf("candidate %s is unreachable", d.next.Candidate.Pod))
	case d.waitedFor(v.master) >= SwitchoverWithin:
		return d.abort(v, ReasonSwitchoverTooSlow, fmt.Sprintf("%s did not catch up within %s", candidate.Name, SwitchoverWithin))
	}
	actions := []Action{Drain{Master: v.ref, Candidate: *d.next.Candidate, Within: drainWithin}}
	if d.now.Sub(d.next.Since) >= drainWithin { // the first attempt is all there is, as a rule, and is not to wait for anything
		actions = append(d.cutOver(v), actions...)
	}
	return Decision{Next: d.next, Message: fmt.Sprintf("draining %s into %s", v.ref.Pod, candidate.Name), RequeueAfter: lookAgainSoon, Actions: actions}
}

// demoted goes on from the point of no return: the old master's offset stands still, and whoever
// has reached it has every acknowledged write.
func (d *decider) demoted(v view) Decision {
	d.next.Steps = withStep(d.next.Steps, StepDemoted, v.master.RoleSince)
	want := v.master.Replication.Lineage
	if d.next.Lineage.ReplID != "" && d.next.Lineage.Shared(want) < 0 {
		// It was pointed elsewhere meanwhile: who has all that it holds now has nothing of what it had.
		f := diagnose(v)
		f.sentence = v.ref.Pod + " holds another history than the one that was to be switched over"
		return d.failOver(f)
	}
	var complete []Node
	for _, n := range v.others {
		l := limitation(n, want, d.policy)
		if l == LimitNone && want.Shared(n.Replication.Lineage) >= want.Offset {
			complete = append(complete, n)
		}
	}
	slices.SortFunc(complete, func(a, b Node) int {
		return compareTrue(a.UID == d.next.Candidate.UID, b.UID == d.next.Candidate.UID)
	})
	waited := d.now.Sub(v.master.RoleSince)
	switch {
	case len(complete) > 0 && (complete[0].UID == d.next.Candidate.UID || waited >= settleChosen):
		return d.choose(complete[0], complete[0].Name+" has every write of "+v.ref.Pod)
	case waited < settleBehind:
		return Decision{Next: d.prev, Message: "waiting for the last bytes of " + v.ref.Pod, RequeueAfter: lookAgainSoon}
	}
	decision := d.choose(v.master, fmt.Sprintf("no replica has every write of %s; it stays master", v.ref.Pod))
	decision.Reason, decision.Next.Reason = ReasonCandidateBehind, ReasonCandidateBehind
	return decision
}

// abort returns to the master that was never demoted.
func (d *decider) abort(v view, reason Reason, sentence string) Decision {
	record := d.record(OutcomeAborted, v.ref.Pod, sentence)
	d.move(EventAbort, sentence)
	d.next.Candidate, d.next.Old, d.next.Steps = nil, nil, nil
	d.next.CooldownUntil = stamp(d.now.Add(SwitchoverRetry))
	return Decision{Next: d.next, Record: record, Reason: reason, Message: "switchover aborted: " + sentence,
		Actions: []Action{Unpause{Node: v.ref}}, RequeueAfter: lookAgain}
}

// record closes the running failover or switchover.
func (d *decider) record(outcome Outcome, to, message string) *Record {
	r := &Record{
		Kind: KindFailover, Epoch: d.next.Epoch, Cause: d.next.Cause, To: to, Outcome: outcome, Message: message,
		StartedAt: d.next.StartedAt, FinishedAt: stamp(d.now), Steps: slices.Clone(d.next.Steps), GapBytes: -1,
	}
	switch {
	case d.next.Old == nil:
		r.Kind = KindBootstrap
	case d.next.Planned():
		r.Kind = KindSwitchover
	}
	if d.next.Old != nil {
		r.From = d.next.Old.Pod
		if d.next.Master != nil && d.next.Lineage.Offset > 0 && outcome == OutcomeSucceeded {
			r.GapBytes = max(0, d.next.Lineage.Offset-d.next.Master.Lineage.Offset)
		}
	}
	return r
}
