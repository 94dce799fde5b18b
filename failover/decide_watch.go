// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"fmt"
	"time"
)

// watching decides in Stable and Suspected: there is a master, and the question is whether it lives.
func (d *decider) watching() Decision {
	if d.next.Master == nil {
		return d.hold(ReasonUnknownState, "the status names no master in state "+string(d.next.State)+"; restore it or re-create the RedisHA", 0)
	}
	v := d.view()
	f := diagnose(v)
	if d.next.State == StateSuspected && v.answersAgain() && f.class != classHard {
		d.move(EventAnswer, f.sentence)
		return Decision{Next: d.next, Diagnosis: f.diagnosis, Message: "master " + v.ref.Pod + " answers again", RequeueAfter: time.Nanosecond}
	}
	if d.forced() {
		f.sentence = fmt.Sprintf("a person forces a failover to %s (%s)", d.request.Target, f.sentence)
		f.diagnosis, f.class = Diagnosis(CauseForced), classHard
	}
	var decision Decision
	switch f.class {
	case classHard:
		decision = d.onLost(f)
	case classSoft:
		decision = d.onSuspectedDown(f)
	case classHold:
		decision = d.onHold(v, f)
	case classPlanned:
		decision = d.onPlanned(v, f)
	case classNone:
		decision = d.healthy(v, f)
	}
	decision.Diagnosis, decision.Settling = f.diagnosis, d.settling(v, f)
	return decision
}

// answersAgain reports a master that was suspected and shows that it lives.
func (v view) answersAgain() bool {
	return v.master.Contact == ContactAnswering || v.master.Contact == ContactBusy && !v.unreachable()
}

// settling reports a master that fell out of contact a moment ago, while those who could testify have not been heard since.
func (d *decider) settling(v view, f finding) bool {
	lost := v.master.Contact == ContactRefused || v.master.Contact == ContactSilent
	nothingFollows := f.class == classNone || f.class == classPlanned
	return lost && nothingFollows && d.now.Sub(v.master.ContactSince) < snapshotSettles
}

// onLost acts on a fact: at once, unless a person wants to be asked.
func (d *decider) onLost(f finding) Decision {
	if d.policy.Mode == ModeManual && !d.asked() {
		return d.hold(ReasonManualMode, f.sentence+"; mode is Manual: request a switchover to fail over", 0)
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
func (d *decider) onSuspectedDown(f finding) Decision {
	switch {
	case d.next.State == StateStable:
		d.move(EventSuspect, f.sentence)
		return Decision{Next: d.next, Message: f.sentence, RequeueAfter: time.Nanosecond}
	case d.policy.Mode == ModeManual && !d.asked():
		return d.hold(ReasonManualMode, f.sentence+"; mode is Manual: request a switchover to fail over", lookAgainSlow)
	}
	if decision, damped := d.damped(f); damped {
		return decision
	}
	return d.onLost(f)
}

// onHold waits, and says for what. Upkeep rests: who cannot reach the master knows too little.
func (d *decider) onHold(v view, f finding) Decision {
	if d.next.State == StateStable && v.unreachable() {
		d.move(EventSuspect, f.sentence)
		d.next.Reason = f.reason()
	}
	if d.next.State == StateSuspected {
		d.next.Reason = f.reason()
	}
	return d.hold(f.reason(), f.sentence+"; holding", lookAgain)
}

// onPlanned switches over from a master that is about to go, if a replica can take over.
func (d *decider) onPlanned(v view, f finding) Decision {
	if v.master.Terminating && len(v.others) == 0 {
		// No replica will ever take over from the only pod: let it go now instead of holding its
		// preStop hook, and promote what comes back.
		return d.failOver(f)
	}
	return d.switchOver(v, Cause(f.diagnosis), f.sentence, "")
}

// healthy is upkeep, and a person's request.
func (d *decider) healthy(v view, f finding) Decision {
	if d.next.State == StateSuspected {
		return d.hold(d.next.Reason, f.sentence, lookAgain)
	}
	if d.asked() && d.request.Verb != VerbDiscard {
		if v.ref.Pod == d.request.Target {
			d.next.Request = d.request.ID
		} else {
			return d.switchOver(v, CauseRequested, fmt.Sprintf("switchover requested (%s)", d.request.ID), d.request.Target)
		}
	}
	if d.request == nil {
		d.next.Request = "" // the same request may be made again
	}
	if v.master.Outdated {
		d.wait = soonest(d.wait, lookAgainSlow) // that a replaced pod has been well for long enough, nothing announces
	}
	decision := d.upkeep(v)
	if v.master.Contact != ContactAnswering {
		decision.RequeueAfter = lookAgain
	}
	return decision
}

// switchOver begins a switchover, or says why it cannot.
func (d *decider) switchOver(v view, cause Cause, why, target string) Decision {
	refuse := func(reason Reason, sentence string) Decision {
		decision := d.upkeep(v)
		if cause == CauseRequested {
			d.next.Request = d.request.ID
			decision.Next = d.next
		}
		decision.RequeueAfter = lookAgain
		if (decision.Reason == ReasonDivergentMaster || decision.Reason == ReasonEarlierData) && cause != CauseRequested {
			// That is what a person has to see to, and may be why no replica can take over.
			decision.Message = why + "; " + sentence + "; " + decision.Message
			return decision
		}
		decision.Reason, decision.Message = reason, why+"; "+sentence
		return decision
	}
	if !v.master.Answers() {
		return d.hold(ReasonNone, why+"; waiting for the master to answer", lookAgain)
	}
	if d.resting() && cause != CauseRequested && !v.master.Terminating {
		return refuse(ReasonCooldown, "the last attempt was given up a moment ago")
	}
	chosen := successor(v, target, d.givenUp())
	if chosen.candidate == nil {
		return refuse(chosen.reason, chosen.sentence)
	}
	d.move(EventSwitchOver, why)
	d.begin(cause, v)
	if cause == CauseRequested {
		d.next.Request = d.request.ID
	}
	candidate := chosen.candidate.Ref()
	d.next.Candidate = &candidate
	d.next.Steps = withStep(d.next.Steps, StepEvidence, d.now)
	d.next.Steps = withStep(d.next.Steps, StepIntent, d.now)
	decision := d.switchingOver()
	decision.Message = fmt.Sprintf("%s; switching over to %s", why, candidate.Pod)
	return decision
}
