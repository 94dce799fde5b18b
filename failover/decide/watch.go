// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
)

// watching decides in Stable and Suspected: there is a master, and the question is whether it lives.
func (d *decider) watching() failover.Decision {
	if d.next.Master == nil {
		return d.hold(
			failover.ReasonUnknownState,
			"the status names no master in state "+string(d.next.State)+"; restore it or re-create the RedisHA",
			failover.OnEvent(),
		)
	}
	v := d.view()
	f := diagnosis.Diagnose(v)
	if d.next.State == failover.StateSuspected && v.AnswersAgain() && f.Class != diagnosis.ClassHard {
		d.move(EventAnswer, f.Sentence)
		return failover.Decision{
			Next:      d.next,
			Diagnosis: f.Diagnosis,
			Message:   "master " + v.Ref.Pod + " answers again",
			Again:     failover.Now(),
		}
	}
	if d.forced() {
		f.Sentence = fmt.Sprintf("a person forces a failover to %s (%s)", d.request.Target, f.Sentence)
		f.Diagnosis, f.Class = failover.Diagnosis(failover.CauseForced), diagnosis.ClassHard
	}
	var decision failover.Decision
	switch f.Class {
	case diagnosis.ClassHard:
		decision = d.onLost(f)
	case diagnosis.ClassSoft:
		decision = d.onSuspectedDown(f)
	case diagnosis.ClassHold:
		decision = d.onHold(v, f)
	case diagnosis.ClassPlanned:
		decision = d.onPlanned(v, f)
	case diagnosis.ClassNone:
		decision = d.healthy(v, f)
	}
	decision.Diagnosis, decision.Settling = f.Diagnosis, d.settling(v, f)
	return decision
}

// settling reports a master that fell out of contact a moment ago, while those who could testify have not been heard
// since.
func (d *decider) settling(v diagnosis.View, f diagnosis.Finding) bool {
	lost := v.Master.Contact == failover.ContactRefused || v.Master.Contact == failover.ContactSilent
	nothingFollows := f.Class == diagnosis.ClassNone || f.Class == diagnosis.ClassPlanned
	return lost && nothingFollows && d.now.Sub(v.Master.ContactSince) < snapshotSettles
}

// onLost acts on a fact: at once, unless a person wants to be asked.
func (d *decider) onLost(f diagnosis.Finding) failover.Decision {
	if d.policy.Mode == failover.ModeManual && !d.asked() {
		return d.hold(
			failover.ReasonManualMode, f.Sentence+"; mode is Manual: request a switchover to fail over", failover.OnEvent(),
		)
	}
	if d.asked() && !d.forced() { // whom a person forces is written down with the intent
		d.next.Request = d.request.ID
	}
	return d.failOver(f)
}

// asked reports whether a person requests something that was not taken up yet.
func (d *decider) asked() bool {
	return d.request != nil && d.request.ID != d.next.Request
}

// onSuspectedDown acts on a guess that the witnesses share, damped.
func (d *decider) onSuspectedDown(f diagnosis.Finding) failover.Decision {
	switch {
	case d.next.State == failover.StateStable:
		d.move(EventSuspect, f.Sentence)
		return failover.Decision{Next: d.next, Message: f.Sentence, Again: failover.Now()}
	case d.policy.Mode == failover.ModeManual && !d.asked():
		return d.hold(
			failover.ReasonManualMode, f.Sentence+"; mode is Manual: request a switchover to fail over",
			failover.After(lookAgainSlow),
		)
	}
	if decision, damped := d.damped(f); damped {
		return decision
	}
	return d.onLost(f)
}

// onHold waits, and says for what. Upkeep rests: who cannot reach the master knows too little.
func (d *decider) onHold(v diagnosis.View, f diagnosis.Finding) failover.Decision {
	if d.next.State == failover.StateStable && v.Unreachable() {
		d.move(EventSuspect, f.Sentence)
		d.next.Reason = f.Reason()
	}
	if d.next.State == failover.StateSuspected {
		d.next.Reason = f.Reason()
	}
	return d.hold(f.Reason(), f.Sentence+"; holding", failover.After(lookAgain))
}

// onPlanned switches over from a master that is about to go, if a replica can take over.
func (d *decider) onPlanned(v diagnosis.View, f diagnosis.Finding) failover.Decision {
	if v.Master.Terminating && len(v.Others) == 0 {
		// No replica will ever take over from the only pod: let it go now instead of holding its
		// preStop hook, and promote what comes back.
		return d.failOver(f)
	}
	return d.switchOver(v, failover.Cause(f.Diagnosis), f.Sentence, "")
}

// healthy is upkeep, and a person's request.
func (d *decider) healthy(v diagnosis.View, f diagnosis.Finding) failover.Decision {
	if d.next.State == failover.StateSuspected {
		return d.hold(d.next.Reason, f.Sentence, failover.After(lookAgain))
	}
	if d.asked() && d.request.Verb != failover.VerbDiscard {
		if v.Ref.Pod == d.request.Target {
			d.next.Request = d.request.ID
		} else {
			return d.switchOver(
				v, failover.CauseRequested, fmt.Sprintf("switchover requested (%s)", d.request.ID), d.request.Target,
			)
		}
	}
	if d.request == nil {
		d.next.Request = "" // the same request may be made again
	}
	if v.Master.Outdated && !v.Master.Held {
		d.due = d.due.Sooner(
			failover.After(lookAgainSlow),
		) // that a replaced pod has been well for long enough, nothing announces
	}
	decision := d.upkeep(v)
	if v.Master.Contact != failover.ContactAnswering {
		decision.Again = failover.After(lookAgain)
	}
	return decision
}

// switchOver begins a switchover, or says why it cannot.
func (d *decider) switchOver(v diagnosis.View, cause failover.Cause, why, target string) failover.Decision {
	refuse := func(reason failover.Reason, sentence string) failover.Decision {
		decision := d.upkeep(v)
		if cause == failover.CauseRequested {
			d.next.Request, d.refused = d.request.ID, true
			decision.Next = d.next
		}
		decision.Again = failover.After(lookAgain)
		if (decision.Reason == failover.ReasonDivergentMaster || decision.Reason == failover.ReasonEarlierData) &&
			cause != failover.CauseRequested {
			// That is what a person has to see to, and may be why no replica can take over.
			decision.Message = why + "; " + sentence + "; " + decision.Message
			return decision
		}
		decision.Reason, decision.Message = reason, why+"; "+sentence
		return decision
	}
	if !v.Master.Answers() {
		return d.hold(failover.ReasonNone, why+"; waiting for the master to answer", failover.After(lookAgain))
	}
	if d.resting() && cause != failover.CauseRequested && !v.Master.Terminating {
		return refuse(failover.ReasonCooldown, "the last attempt was given up a moment ago")
	}
	chosen := successor(v, target, d.givenUp())
	if chosen.Candidate == nil {
		return refuse(chosen.Reason, chosen.Sentence)
	}
	d.move(EventSwitchOver, why)
	d.begin(cause, v)
	if cause == failover.CauseRequested {
		d.next.Request = d.request.ID
	}
	candidate := chosen.Candidate.Ref()
	d.next.Candidate = &candidate
	d.next.Steps = failover.WithStep(d.next.Steps, failover.StepEvidence, d.now)
	d.next.Steps = failover.WithStep(d.next.Steps, failover.StepIntent, d.now)
	return d.drainInto(v, fmt.Sprintf("%s; switching over to %s", why, candidate.Pod))
}
