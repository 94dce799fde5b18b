// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
)

// Decide says what is to be done now. It is total and deterministic: whatever it is given, it
// answers, and the same input gives the same answer. It takes at most one transition per call (but for
// chooseAtOnce) and derives the actions from what is not yet true, so that after a crash only what is
// missing is done again. Decision.Next must be persisted by compare-and-swap before any action.
func Decide(
	now time.Time, policy failover.Policy, obs failover.Observation, progress failover.Progress,
	request *failover.Request,
) failover.Decision {
	d := decider{now: now, policy: policy, obs: obs, prev: progress, request: request}
	d.next = progress.Clone()
	if d.next.State == "" {
		d.next.State = failover.StateBootstrapping
	}
	if !slices.Contains(States(), d.next.State) {
		return d.unknownState() // not even what is seen is written down: another version may have another use for that
	}
	if d.outdated() {
		return d.overrule()
	}
	d.settleClock()
	decision := d.decide()
	if d.err != nil {
		return failover.Decision{
			Next:    progress,
			Err:     d.err,
			Reason:  failover.ReasonUnknownState,
			Message: d.err.Error(),
			Again:   failover.After(lookAgainSlow),
		}
	}
	d.acknowledge(&decision)
	return decision
}

// clockSkew is by how much the clocks of two operators may differ without a word.
const clockSkew = time.Second

// settleClock dates what lies in the future from now: an operator with another clock wrote it, and what is counted from
// it would be waited for until this clock gets there.
func (d *decider) settleClock() {
	limit := d.now.Add(clockSkew)
	for _, at := range []*time.Time{&d.next.Since, &d.next.StartedAt} {
		if at.After(limit) {
			*at = failover.Stamp(d.now)
		}
	}
}

// decider carries the inputs of one decision through its parts.
type decider struct {
	now     time.Time
	policy  failover.Policy
	obs     failover.Observation
	prev    failover.Progress
	next    failover.Progress
	request *failover.Request

	due         failover.Again // when something is to be done that nothing announces
	ledUntilNow []string       // UIDs of those who led in the failover that this decision ends
	moved       Event          // the transition that was taken; empty: none yet
	err         error          // the first transition that could not be taken
	refused     bool           // the request was refused in this decision
	// the guard of the master is lowered in this decision, as was written down before
	guardOnRecord bool
}

// retry intervals of decisions that wait for something that nothing announces.
const (
	lookAgainSoon = 10 * time.Millisecond
	lookAgain     = 100 * time.Millisecond
	lookAgainSlow = time.Second
)

func (d *decider) decide() failover.Decision {
	if d.next.Initialized {
		d.recordForeign() // also while paused: later nothing tells any more
		d.meet()
	}
	if d.policy.Mode == failover.ModePaused && !d.next.Running() {
		return d.paused()
	}
	if d.hibernates() {
		return d.hibernating()
	}
	return d.inState()
}

// inState decides what the state is for.
func (d *decider) inState() failover.Decision {
	switch d.next.State {
	case failover.StateBootstrapping:
		return d.bootstrapping()
	case failover.StateStable, failover.StateSuspected:
		return d.watching()
	case failover.StateFencing:
		return d.fencing()
	case failover.StateSwitchingOver:
		return d.switchingOver()
	case failover.StatePromoting:
		return d.promoting()
	case failover.StateReattaching:
		return d.reattaching()
	case failover.StateHibernated:
		return d.wake()
	case failover.StateBlocked:
		return d.blocked()
	}
	return d.unknownState()
}

func (d *decider) unknownState() failover.Decision {
	return d.hold(
		failover.ReasonUnknownState,
		fmt.Sprintf("state %q is unknown to this version of the operator; nothing is done", d.next.State),
		failover.OnEvent(),
	)
}

// paused changes nothing, but that the clients which the last failover has left elsewhere are cut over: that was begun
// before.
func (d *decider) paused() failover.Decision {
	decision := d.hold(failover.ReasonPaused, "paused: observing only", failover.OnEvent())
	if d.next.State == failover.StateStable && d.next.Master != nil &&
		d.obs.Published.Is(d.next.Master.NodeRef, d.next.Master.Epoch) {
		over := d.now.Sub(d.obs.PublishedSince) >= cutWithin
		decision.Actions = slices.DeleteFunc(
			d.cutOver(d.view()),
			func(a failover.Action) bool { c, is := a.(failover.CutClients); return is && c.WritersOnly && over },
		)
		decision.Again = d.due
	}
	return decision
}

// hold changes nothing and says why.
func (d *decider) hold(reason failover.Reason, message string, again failover.Again) failover.Decision {
	return failover.Decision{Next: d.next, Reason: reason, Message: message, Again: again}
}

// move takes the transition that event names. One that the table does not know in this state, and a second one in the
// same decision, are errors of the program; Decide returns them, and nothing is done.
func (d *decider) move(event Event, message string) {
	to, err := step(d.next.State, event)
	if atOnce := d.moved == EventFailOver && event == EventChoose; err == nil && d.moved != "" && !atOnce {
		err = fmt.Errorf("state %s: event %s after event %s in one decision", d.next.State, event, d.moved)
	}
	if err != nil {
		d.err = cmp.Or(d.err, err)
		return
	}
	d.moved = event
	d.next.State, d.next.Since, d.next.Reason, d.next.Message = to, failover.Stamp(d.now), failover.ReasonNone, message
}

// view looks at the observation from the present master.
func (d *decider) view() diagnosis.View {
	ref := failover.NodeRef{}
	if d.next.Master != nil {
		ref = d.next.Master.NodeRef
	}
	return d.viewFrom(ref)
}

// viewFrom looks at the observation from one who is master, or may be.
func (d *decider) viewFrom(ref failover.NodeRef) diagnosis.View {
	v := diagnosis.NewView(d.now, d.policy, d.obs, ref)
	v.WriteGuardOff = d.next.IsWriteGuardOff(ref)
	sameProcess := func(k failover.NodeRecord) bool { return k.UID == ref.UID && k.RunID == ref.RunID }
	if i := slices.IndexFunc(d.next.Nodes, sameProcess); i >= 0 {
		v.Record = d.next.Nodes[i]
	}
	return v
}

// failOver begins a failover away from the present master: the intent. Nothing was touched yet.
func (d *decider) failOver(f diagnosis.Finding) failover.Decision {
	v := d.view()
	var ordered *failover.NodeRef // the candidate of a switchover, who may have been promoted
	if d.next.State == failover.StateSwitchingOver && d.next.Candidate != nil && d.mayBePromoted(v) {
		ordered = d.next.Candidate
	}
	d.move(EventFailOver, f.Sentence)
	d.begin(failover.Cause(f.Diagnosis), v)
	if ordered != nil {
		d.adoptHistory(*ordered)
	}
	d.next.Steps = failover.WithStep(d.next.Steps, failover.StepEvidence, d.evidenceAt(v, f))
	d.next.Steps = failover.WithStep(d.next.Steps, failover.StepIntent, d.now)
	if f.Class == diagnosis.ClassSoft {
		d.cool(d.next.Master.Pod)
	}
	if decision, chosen := d.chooseAtOnce(f); chosen {
		return decision
	}
	decision := failover.Decision{
		Again: failover.Now(),
	} // the intent is a step of its own, though no node may be left to be fenced
	if actions, waiting := d.fence(); waiting {
		decision = failover.Decision{Actions: actions, Again: failover.After(lookAgainSoon)}
	}
	decision.Next, decision.Diagnosis, decision.Message = d.next, f.Diagnosis, f.Sentence+"; failing over"
	return decision
}

// forced reports a request that overrules refusals.
func (d *decider) forced() bool { return d.asked() && d.request.Verb == failover.VerbForce }

// takeUpForce writes down whom a person forces, in the middle of a failover.
func (d *decider) takeUpForce() {
	d.next.ForcedPod, d.next.Request, d.next.Cause = d.request.Target, d.request.ID, failover.CauseForced
}

// begin raises the epoch and writes down whom the failover or switchover leaves, and why.
func (d *decider) begin(cause failover.Cause, v diagnosis.View) {
	d.next.Epoch++
	d.next.Cause = cause
	d.next.StartedAt = failover.Stamp(d.now)
	d.next.Steps = nil
	d.next.Candidate = nil
	d.next.ForcedPod = ""
	if d.forced() {
		d.next.ForcedPod, d.next.Request = d.request.Target, d.request.ID
	}
	if d.next.Master == nil {
		return
	}
	d.recordFollowers()
	old := d.next.Master.NodeRef
	d.next.OldMaster = &old
	d.next.Lineage = d.next.Master.Lineage
	if l, ok := v.LastSeen(old.RunID, d.next.Master.Lineage); ok {
		d.next.Lineage = l
	}
	d.next.AheadPods = nil // of another master
	d.next.AheadPods = d.ahead()
}

// evidenceAt dates the evidence: when contact was lost, if that is what it is about.
func (d *decider) evidenceAt(v diagnosis.View, f diagnosis.Finding) time.Time {
	if v.Found && (f.Diagnosis == failover.DiagnosisMasterProcessDead || f.Diagnosis == failover.DiagnosisMasterExited) &&
		!v.Master.ContactSince.IsZero() {
		return v.Master.ContactSince
	}
	return d.now
}

// acknowledge tells what became of a request that is over, and removes it; the intent that names it is persisted by
// then. It waits until what was asked for is done: the actions of a step are waited for together, and the writes of
// applications wait with them.
func (d *decider) acknowledge(decision *failover.Decision) {
	if decision.Next.Request == "" || decision.Next.Running() {
		return
	}
	waits := decision.Next.State == failover.StateBlocked || d.wakes()
	if forcedLater := waits && decision.Next.ForcedPod != ""; !forcedLater {
		decision.Handled = d.handled(*decision)
	}
	if d.request != nil && d.request.ID == decision.Next.Request {
		decision.Actions = append(decision.Actions, failover.AcknowledgeRequest{ID: d.request.ID})
	}
}

// handled is what became of the request that is over.
func (d *decider) handled(decision failover.Decision) *failover.Handled {
	h := &failover.Handled{ID: decision.Next.Request, Succeeded: true, Message: decision.Message}
	if d.refused {
		h.Succeeded, h.Reason = false, decision.Reason
	}
	if record := decision.Record; record != nil {
		h.Succeeded, h.Message = record.Outcome == failover.OutcomeSucceeded, record.Message
		if named := d.request != nil && d.request.ID == h.ID && d.request.Target != "" &&
			d.request.Verb != failover.VerbDiscard; named &&
			record.To != d.request.Target {
			h.Succeeded = false
		}
	}
	return h
}
