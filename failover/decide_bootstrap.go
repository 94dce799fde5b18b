// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"fmt"
	"slices"
	"time"
)

// bootstrapping decides while there has never been a master.
func (d *decider) bootstrapping() Decision {
	if d.next.Master != nil {
		return d.hold(ReasonUnknownState, "the status names a master but says that there never was one", 0)
	}
	chosen, cause := d.firstMaster()
	if chosen.candidate == nil {
		return d.hold(chosen.reason, chosen.sentence, lookAgain)
	}
	d.begin(cause, view{})
	if cause == CauseBootstrap && d.policy.Persistent {
		d.next.Unmet = notHeard(d.obs)
	}
	d.next.Steps = withStep(d.next.Steps, StepIntent, d.now)
	return d.choose(*chosen.candidate, chosen.sentence)
}

// firstMaster adopts the master that is there, or elects one.
func (d *decider) firstMaster() (election, Cause) {
	masters := d.obs.Masters()
	if len(masters) > 1 {
		return election{reason: ReasonSplitBrain, sentence: fmt.Sprintf(
			"%d nodes are master and no status tells which one is right; demote all but one by hand (REPLICAOF)", len(masters))}, CauseAdopted
	}
	if len(masters) == 1 {
		return election{candidate: &masters[0], sentence: masters[0].Name + " is master already; adopting it"}, CauseAdopted
	}
	if wait, ok := awaited(d.next, d.obs); ok {
		return election{reason: ReasonWaitingForData, sentence: wait}, CauseBootstrap
	}
	return d.seed(), CauseBootstrap
}

// seed elects the very first master: who holds data that is older than the RedisHA, else ordinal 0.
func (d *decider) seed() election {
	var fit []Node
	for _, n := range d.obs.Nodes {
		if mayHoldTheFirstData(n) && n.SilentFor(d.now) < bootstrapPatience {
			return election{reason: ReasonWaitingForPods, sentence: "waiting for " + n.Name}
		}
		if n.Answers() && !n.Terminating && !n.Replication.Loading {
			fit = append(fit, n)
		}
	}
	if len(fit) == 0 {
		return election{reason: ReasonWaitingForPods, sentence: "waiting for the first Redis to answer"}
	}
	slices.SortFunc(fit, func(a, b Node) int { return bySeed(a, b, d.next, d.policy) })
	return election{candidate: &fit[0], sentence: fmt.Sprintf("%s becomes the first master with %d key(s)", fit[0].Name, fit[0].Replication.Keys)}
}

// mayHoldTheFirstData reports a node that may be preferred when it is heard.
func mayHoldTheFirstData(n Node) bool {
	return n.Ordinal == 0 && !n.Answers() || notYetSampled(n) || n.IP != "" && (n.Contact == ContactSilent || n.Contact.errorsOnly())
}

// bootstrapPatience is how long the first master is kept for ordinal 0 when others are there already, and how long one that may be there with
// data is waited for: a status that was lost looks like a set that never had a master.
const bootstrapPatience = 10 * time.Second
