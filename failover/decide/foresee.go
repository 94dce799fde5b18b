// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"slices"
	"strings"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/election"
)

// Foresight is what would come of the loss of the master.
type Foresight struct {
	// Candidate is the pod that would be promoted; empty when none would be.
	Candidate string
	// Reason is why none would be.
	Reason failover.Reason
	// Why is the same in words. It holds no number: a condition that shows it changes only with what is wrong.
	Why string
}

// Foresee asks the election what would come of it if the process of the master ended now. It is the election that a
// failover makes, on the observation as it would be then: every other node that can be reached is fenced where it
// stands. Where a failover runs already it is the one that is under way. It decides nothing and changes nothing.
func Foresee(now time.Time, policy failover.Policy, obs failover.Observation, progress failover.Progress) Foresight {
	d := decider{now: now, policy: policy, obs: obs, prev: progress, next: progress.Clone()}
	if d.next.Master == nil {
		return Foresight{Reason: failover.ReasonNoCandidate, Why: "there is no master yet"}
	}
	switch d.next.State {
	case failover.StateStable, failover.StateSuspected, failover.StateReattaching, failover.StateSwitchingOver:
		d.begin(failover.Cause(failover.DiagnosisMasterExited), d.view())
		d.loseMaster()
	case failover.StateBootstrapping, failover.StateFencing, failover.StatePromoting, failover.StateHibernated,
		failover.StateBlocked:
	}
	chosen := election.Elect(d.next, policy, d.obs, d.givenUp())
	if chosen.Candidate != nil {
		return Foresight{Candidate: chosen.Candidate.Name}
	}
	return Foresight{Reason: chosen.Reason, Why: d.unelected(chosen)}
}

// loseMaster makes the observation that of a set whose master has ended, and whose other nodes are fenced.
func (d *decider) loseMaster() {
	d.obs.Nodes = slices.Clone(d.obs.Nodes)
	for i := range d.obs.Nodes {
		n := &d.obs.Nodes[i]
		r := &n.Replication
		switch {
		case n.UID == d.next.OldMaster.UID:
			n.Exited, n.Contact, n.ContactSince = true, failover.ContactRefused, d.now
		case n.Answers() && !d.next.IsDivergent(*n):
			r.Role, r.MasterHost, r.MasterPort = failover.RoleReplica, failover.FenceHost, failover.FencePort
			r.LinkUp, r.LastIO = false, -1
		}
	}
}

// unelected says without a number why an election has chosen none.
func (d *decider) unelected(chosen election.Result) string {
	if chosen.Reason == failover.ReasonWaitingForData {
		return chosen.Sentence
	}
	_, limits := election.Candidates(d.next, d.policy, d.obs)
	if old := d.next.OldMaster; old != nil {
		limits = slices.DeleteFunc(limits, func(limit string) bool { return strings.HasPrefix(limit, old.Pod+" is ") })
	}
	if len(limits) == 0 {
		return "no replica would be chosen"
	}
	return strings.Join(limits, ", ")
}
