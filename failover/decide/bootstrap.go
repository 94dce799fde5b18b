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

// bootstrapping decides while there has never been a master.
func (d *decider) bootstrapping() failover.Decision {
	if d.next.Master != nil {
		return d.hold(
			failover.ReasonUnknownState, "the status names a master but says that there never was one", failover.OnEvent(),
		)
	}
	chosen, cause := d.firstMaster()
	if chosen.Candidate == nil {
		return d.hold(chosen.Reason, chosen.Sentence, failover.After(lookAgain))
	}
	d.begin(cause, diagnosis.View{})
	if cause == failover.CauseBootstrap && d.policy.Persistent {
		d.next.UnheardPods = notHeard(d.obs)
	}
	d.next.Steps = failover.WithStep(d.next.Steps, failover.StepIntent, d.now)
	return d.choose(*chosen.Candidate, chosen.Sentence)
}

// firstMaster adopts the master that is there, or elects one.
func (d *decider) firstMaster() (election.Result, failover.Cause) {
	if d.wakes() {
		return d.woken(), failover.CauseWoken
	}
	masters := d.obs.Masters()
	if len(masters) > 1 {
		return election.Result{Reason: failover.ReasonSplitBrain, Sentence: fmt.Sprintf(
			"%d nodes are master and no status tells which one is right; demote all but one by hand (REPLICAOF)", len(masters),
		)}, failover.CauseAdopted
	}
	if len(masters) == 1 {
		return election.Result{
			Candidate: &masters[0],
			Sentence:  masters[0].Name + " is master already; adopting it",
		}, failover.CauseAdopted
	}
	if wait, ok := election.Awaited(d.next, d.obs); ok {
		return election.Result{Reason: failover.ReasonWaitingForData, Sentence: wait}, failover.CauseBootstrap
	}
	return d.seed(), failover.CauseBootstrap
}

// seed elects the very first master: who holds data that is older than the RedisHA, else ordinal 0.
func (d *decider) seed() election.Result {
	var fit []failover.Node
	for _, n := range d.obs.Nodes {
		if mayHoldTheFirstData(n) && n.SilentFor(d.now) < bootstrapPatience {
			return election.Result{Reason: failover.ReasonWaitingForPods, Sentence: "waiting for " + n.Name}
		}
		if n.Answers() && !n.Terminating && !n.Replication.Loading {
			fit = append(fit, n)
		}
	}
	if len(fit) == 0 {
		return election.Result{Reason: failover.ReasonWaitingForPods, Sentence: "waiting for the first Redis to answer"}
	}
	seed := election.Seed(fit, d.next, d.policy)
	if d.next.Initialized && seed.Replication.Priority == 0 {
		return d.spared(seed, fit)
	}
	return election.Result{
		Candidate: &seed,
		Sentence:  fmt.Sprintf("%s becomes the first master with %d key(s)", seed.Name, seed.Replication.Keys),
	}
}

// spared is what comes of a set that had a master, where who has the most data is never to be promoted: the status was
// lost, and who was taken for a master has gone. To pass the data over would be to lose it, so that a person chooses.
func (d *decider) spared(most failover.Node, fit []failover.Node) election.Result {
	if d.forced() {
		i := slices.IndexFunc(fit, func(n failover.Node) bool { return n.Name == d.request.Target })
		if i >= 0 {
			return election.Result{Candidate: &fit[i], Sentence: "a person forces " + fit[i].Name}
		}
	}
	return election.Result{Reason: failover.ReasonNoCandidate, Sentence: fmt.Sprintf(
		"%s has the most data, and is never to be promoted (replica-priority 0): request %s of it, or of another pod",
		most.Name, failover.VerbForce,
	)}
}

// mayHoldTheFirstData reports a node that may be preferred when it is heard.
func mayHoldTheFirstData(n failover.Node) bool {
	return n.Ordinal == 0 && !n.Answers() || notYetSampled(n) ||
		n.IP != "" && (n.Contact == failover.ContactSilent || n.Contact.ErrorsOnly())
}

// bootstrapPatience is how long the first master is kept for ordinal 0 when others are there already, and how long one
// that may be there with data is waited for: a status that was lost looks like a set that never had a master.
const bootstrapPatience = 10 * time.Second
