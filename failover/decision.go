// SPDX-License-Identifier: Apache-2.0

package failover

import "time"

// Decision is what Decide says is to be done now.
type Decision struct {
	// Next is to be persisted by compare-and-swap before any action, if it differs from what is persisted.
	Next Progress
	// Actions are to be carried out once Next is persisted; they are independent of each other.
	Actions []Action
	// Message is one sentence for people: what is done, or why nothing is.
	Message string
	// Reason is set while something that is wanted is not done.
	Reason Reason
	// Diagnosis is the first matching problem; Healthy when there is none.
	Diagnosis Diagnosis
	// Settling is set while the master has been out of contact for so short a time that nothing follows from it yet. What
	// people are told may wait: a failover that begins in a moment must not pay for writing down that it might.
	Settling bool
	// Overruled is set when the status was older than the world, and Next is what the world says.
	Overruled bool
	// Record is set when a failover or switchover ended with this decision.
	Record *Record
	// Handled is set when the request that Next names is over: done, refused, or given up. It is set again with each
	// decision until Next names it no more; the first one counts.
	Handled *Handled
	// Again is when to decide again.
	Again Again
	// Err is set when the state machine does not know the way that was to be taken: an error of the program. Next is what
	// it was, and nothing is done.
	Err error
}

// Handled is what became of a person's request.
type Handled struct {
	ID        string
	Succeeded bool
	Reason    Reason // why it was refused; empty when it was begun
	Message   string // one sentence for people
}

// ActWithin is for how long after a decision its actions may be begun.
const ActWithin = 100 * time.Millisecond

// ActionsAfter is what may be done when so much time has passed since the observation was made. Where the API server
// took longer to persist the decision its evidence is old: nothing is done, and it is to be made anew, since whatever
// is not yet true is derived again from what is so by then.
func (d Decision) ActionsAfter(passed time.Duration) []Action {
	if passed >= ActWithin {
		return nil
	}
	return d.Actions
}

// Kind of a Record.
type Kind string

// Kinds of records.
const (
	KindFailover   Kind = "Failover"
	KindSwitchover Kind = "Switchover"
	KindBootstrap  Kind = "Bootstrap"
)

// Outcome of a Record.
type Outcome string

// Outcomes.
const (
	OutcomeSucceeded  Outcome = "Succeeded"
	OutcomeAborted    Outcome = "Aborted"
	OutcomeSuperseded Outcome = "Superseded"
)

// Record is an entry of the history: one failover or switchover, ended.
type Record struct {
	Kind       Kind
	Epoch      int64
	Cause      Cause
	From, To   string // pods
	StartedAt  time.Time
	FinishedAt time.Time
	Outcome    Outcome
	Message    string
	Steps      []Step
	GapBytes   int64 // last seen offset of the lost master less the promoted offset; -1: unknown
}
