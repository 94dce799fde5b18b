// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"slices"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
	"github.com/redisha/redisha/failover/election"
)

// chooseAtOnce goes from the intent to the choice without a step between them, where nothing is left to be fenced: what
// a step writes to the Kubernetes API is waited for by every writer. That is so when the process of the master is dead
// for certain, and everybody else answers, with its link to it down.
func (d *decider) chooseAtOnce(f diagnosis.Finding) (failover.Decision, bool) {
	if !provesDeath(f.Diagnosis) || d.next.OldMaster == nil {
		return failover.Decision{}, false
	}
	frozen, all := d.frozen()
	if !all {
		return failover.Decision{}, false
	}
	chosen := election.Elect(d.next, d.policy, frozen, d.givenUp())
	if chosen.Candidate == nil || chosen.NewHistory || chosen.Candidate.UID == d.next.OldMaster.UID {
		return failover.Decision{}, false
	}
	d.next.Steps = failover.WithStep(d.next.Steps, failover.StepDetached, d.now)
	decision := d.choose(*chosen.Candidate, f.Sentence+"; "+chosen.Sentence)
	decision.Diagnosis = f.Diagnosis
	return decision, true
}

// provesDeath reports a diagnosis by which the process that was master does not run any more, whatever else is
// unreachable. That of a pod or a Kubernetes node which is gone may run on, and so does a master that was made a
// replica by hand.
func provesDeath(d failover.Diagnosis) bool {
	return d == failover.DiagnosisMasterProcessDead || d == failover.DiagnosisMasterExited ||
		d == failover.DiagnosisMasterRestarted
}

// frozen returns the observation with those as fenced whose data stands still as it is: they follow the dead master,
// and have noticed. The process that is started in its place gives no data before it is told whom to follow. all tells
// whether that is everybody but the old master.
func (d *decider) frozen() (obs failover.Observation, all bool) {
	old, _ := d.obs.Node(*d.next.OldMaster)
	obs = d.obs
	obs.Nodes = slices.Clone(d.obs.Nodes)
	for i := range obs.Nodes {
		n := &obs.Nodes[i]
		if n.UID == d.next.OldMaster.UID {
			if n.Answers() && n.Replication.Role == failover.RoleMaster {
				return obs, false // a person has made it master again
			}
			continue
		}
		r := &n.Replication
		follows := r.Fenced() || n.Follows(d.next.OldMaster.IP)
		if !n.Answers() || !follows || r.LinkUp || r.Syncing || n.SampledAt.Before(old.ContactSince) {
			return obs, false
		}
		r.MasterHost, r.MasterPort = failover.FenceHost, failover.FencePort
	}
	return obs, true
}
