// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
)

// Bounds of damping. A new master has the same protection as the first: its silence is acted upon at once. What is
// limited is how often that may happen, for a process that cannot keep up is not helped by a new master every few
// seconds, and each failover on a guess may lose the unreplicated tail.
const (
	// SoftWindow is in which time failovers on soft evidence are counted. No hold of damping lasts longer.
	SoftWindow = time.Minute
	// SoftLimit is how many failovers on soft evidence may begin within SoftWindow; the next one waits.
	SoftLimit = 3
	// maxSoftFailovers bounds Progress.SoftFailovers.
	maxSoftFailovers = 8
)

// damped holds a failover on soft evidence back, and says until when.
func (d *decider) damped(f diagnosis.Finding) (failover.Decision, bool) {
	if d.obs.ObserverSuspect {
		return d.hold(
			failover.ReasonObserverSuspect, f.Sentence+"; but so are many others at once: the observer is suspect",
			failover.After(lookAgainSlow),
		), true
	}
	recent := d.next.RecentSoftFailovers(d.now, SoftWindow)
	if len(recent) < SoftLimit {
		return failover.Decision{}, false
	}
	until := recent[SoftLimit-1].At.Add(SoftWindow)
	return d.hold(
		failover.ReasonCooldown,
		fmt.Sprintf("%s; %d failovers on soft evidence within %s; the next may begin at %s",
			f.Sentence, len(recent), SoftWindow, until.Format(time.TimeOnly)),
		failover.After(until.Sub(d.now)),
	), true
}

// cool remembers a failover that is begun on soft evidence.
func (d *decider) cool(pod string) {
	d.next.SoftFailovers = slices.Insert(
		d.next.SoftFailovers, 0, failover.SoftFailover{Pod: pod, At: failover.Stamp(d.now)},
	)
	d.next.SoftFailovers = d.next.SoftFailovers[:min(len(d.next.SoftFailovers), maxSoftFailovers)]
}

// givenUp names the pods that were given up on soft evidence within the cooldown. They are passed over for as long as
// another candidate has as much data: what made one hang may make it hang again.
func (d *decider) givenUp() []string {
	var pods []string
	for _, s := range d.next.RecentSoftFailovers(d.now, d.policy.Cooldown) {
		pods = append(pods, s.Pod)
	}
	return pods
}

// resting reports that the last attempt at a planned switchover was given up a moment ago. A wait that is longer than
// it can be was written by an operator with another clock.
func (d *decider) resting() bool {
	left := d.next.CooldownUntil.Sub(d.now)
	return left > 0 && left <= failover.SwitchoverRetry
}
