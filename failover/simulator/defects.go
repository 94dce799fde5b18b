// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"iter"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/decide"
)

// decideFunc is decide.Decide, or something that does worse, for an operator.
type decideFunc func(
	*operator, time.Time, failover.Policy, failover.Observation, failover.Progress, *failover.Request,
) failover.Decision

// defect is a deliberate mistake, switched on alone, to show that the simulator would notice it. All of them are made
// around the real code, which knows nothing of them.
type defect struct {
	name   string
	decide decideFunc
	faults []string // the kinds in which it shows; all where none is named

	bootAsMaster   bool // Redis starts as a master
	leaseIgnored   bool
	sliceUnchecked bool // the endpoint is written whatever it says by now
	persistSkipped bool // the intent is persisted after its effects
	swapUnchecked  bool // the progress is written without comparing
	cacheTrusted   bool // a new leader begins with what its cache shows
	labelsTrusted  bool // a pod that has lost its label is taken for gone
	silenceIsDeath bool // a standby takes the lease of a leader that does not answer it
}

var noDefect = &defect{name: "none", decide: decideAsIs}

func decideAsIs(
	_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
	r *failover.Request,
) failover.Decision {
	return decide.Decide(now, policy, obs, p, r)
}

// defects are the mistakes, in the order of the table that is printed.
func defects() []*defect { return slices.Concat(anywhere(), withFaults()) }

// anywhere are those that any schedule may show.
func anywhere() []*defect {
	return []*defect{
		{name: "no replica is detached before choosing", decide: seeing(everybodyFenced, mastersOnly)},
		{name: "the lowest ordinal is promoted before the most data", decide: choosing(lowestOrdinal)},
		{name: "the best priority is promoted before the most data", decide: choosing(bestPriority)},
		{name: "lineage is ignored", decide: seeing(oneLineage, nil)},
		{name: "promotion without a persisted intent", decide: decideAsIs, persistSkipped: true},
		{name: "the lease is not checked", decide: decideAsIs, leaseIgnored: true},
		{name: "the lease is taken on silence", decide: decideAsIs, silenceIsDeath: true},
		{name: "the veto is ignored", decide: seeing(deafWitnesses, nil)},
		{name: "an order is taken for its effect", decide: believing},
		{name: "clients are cut before the new master is published", decide: cuttingEarly},
		{name: "no boot fence", decide: decideAsIs, bootAsMaster: true},
		{name: "min-replicas is lowered on soft evidence", decide: loweringEarly},
		{name: "an empty node is eligible", decide: seeing(emptyIsAsGood, nil)},
		{name: "the epoch is reused", decide: reusingEpochs},
		{name: "a successor picks another candidate", decide: pickingAgain},
		{name: "the progress is written without compare-and-swap", decide: decideAsIs, swapUnchecked: true},
		{name: "a node that loads its disk is not waited for", decide: seeing(loadingIsDead, nil)},
		{name: "a switchover does not wait for the last writes", decide: switchingOverBlindly},
		{name: "a switchover promotes while it drains", decide: promotingWhileDraining},
		{name: "silence is taken for death", decide: seeing(silentIsDead, nil)},
		{name: "a former master that returns is left alone", decide: seeing(nil, without[failover.Follow])},
		{name: "clients of the old master's next process are not cut", decide: cuttingOnlyTheOldProcess},
		{name: "clients are cut once only", decide: cuttingOnce},
		{name: "the guard does not know machines", decide: seeing(oneMachine, nil)},
		{name: "a replica that the master does not hear is counted", decide: seeing(silentIsHeard, nil)},
		{name: "a time that lies ahead is waited for", decide: waitingForTheClock},
		{name: "clients that write to a replica are not cut", decide: seeing(nil, noWriters)},
	}
}

// withFaults are those that only some faults show, so that their schedules are made of these.
func withFaults() []*defect {
	return []*defect{
		{
			name:   "one witness convicts, whatever the others say",
			decide: hearingOneWitness,
			faults: []string{"cut", "cut one way", "split", "isolate", "isolate with clients"},
		},
		{
			name:           "a stale cache of the endpoint is trusted",
			decide:         decideAsIs,
			sliceUnchecked: true,
			faults:         []string{"kill", "request", "isolate operator", "cut one way"},
		},
		{
			name:         "a new leader trusts its cache",
			decide:       decideAsIs,
			cacheTrusted: true,
			faults:       []string{"request", "kill", "stalled watch", "crash"},
		},
		{
			name:   "disks that may hold more are not waited for",
			decide: seeing(noDisks, nil),
			faults: []string{"kill", "kill all", "delete pod", "lose node"},
		},
		{
			name:   "a status that was set back is believed",
			decide: believingTheStatus,
			faults: []string{"status set back", "kill", "request"},
		},
		{
			name: "what the replicas heard of a silent master is forgotten", decide: seeing(nothingHeard, nil),
			faults: []string{"isolate twice", "full witness", "lose node"},
		},
		{
			name:          "a pod that has lost its label is taken for gone",
			decide:        decideAsIs,
			labelsTrusted: true,
			faults:        []string{"relabel", "kill"},
		},
		{
			name:   "a state of a newer version is taken for Stable",
			decide: takingUnknownForStable,
			faults: []string{"newer version", "kill", "request"},
		},
		{
			name:   "an error reply keeps the old sample in force",
			decide: seeing(errorsAreAnswers, nil),
			faults: []string{"full witness"},
		},
		{
			name: "a master that was not elected takes writes beside the elected one", decide: seeing(nil, noClosing),
			faults: []string{"kill", "hang", "request", "promote by hand", "status set back"},
		},
		{
			name:   "a successor switches over to another candidate",
			decide: pickingAnotherToSwitchTo,
			faults: []string{"request", "crash"},
		},
		{name: "a new master is damped", decide: dampingTheNew, faults: []string{"freeze machine", "hang"}},
	}
}

// Catch is what the search for a defect ended with.
type Catch struct {
	Defect    string
	Invariant string // empty: not caught
	Sentence  string
	Schedules int // played until it was caught
}

// Defects switches each deliberate defect on, alone, and plays schedules until a promise is broken.
func Defects(seed uint64, schedules, workers int) iter.Seq[Catch] {
	return func(yield func(Catch) bool) {
		for _, d := range defects() {
			c := Catch{Defect: d.name}
			stats, finding := hunt(seed, schedules, workers, d)
			c.Schedules = stats.Schedules
			if finding != nil {
				c.Invariant, c.Sentence = finding.Invariant, finding.Sentence
			}
			if !yield(c) {
				return
			}
		}
	}
}
