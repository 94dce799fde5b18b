// SPDX-License-Identifier: Apache-2.0

package failover

import "slices"

// chooseAtOnce goes from the intent to the choice without a step between them, where nothing is left to be fenced: what a step writes to
// the Kubernetes API is waited for by every writer. That is so when the process of the master is dead for certain, and everybody else
// answers, with its link to it down.
func (d *decider) chooseAtOnce(f finding) (Decision, bool) {
	if !provesDeath(f.diagnosis) || d.next.Old == nil {
		return Decision{}, false
	}
	frozen, all := d.frozen()
	if !all {
		return Decision{}, false
	}
	chosen := elect(d.next, d.policy, frozen, d.givenUp())
	if chosen.candidate == nil || chosen.newHistory || chosen.candidate.UID == d.next.Old.UID {
		return Decision{}, false
	}
	d.next.Steps = withStep(d.next.Steps, StepDetached, d.now)
	decision := d.choose(*chosen.candidate, f.sentence+"; "+chosen.sentence)
	decision.Diagnosis = f.diagnosis
	return decision, true
}

// provesDeath reports a diagnosis by which the process that was master does not run any more, whatever else is unreachable. That
// of a pod or a Kubernetes node which is gone may run on, and so does a master that was made a replica by hand.
func provesDeath(d Diagnosis) bool {
	return d == DiagnosisMasterProcessDead || d == DiagnosisMasterExited || d == DiagnosisMasterRestarted
}

// frozen returns the observation with those as fenced whose data stands still as it is: they follow the dead master, and have noticed.
// The process that is started in its place gives no data before it is told whom to follow. all tells whether that is everybody
// but the old master.
func (d *decider) frozen() (obs Observation, all bool) {
	old, _ := d.obs.Node(*d.next.Old)
	obs = d.obs
	obs.Nodes = slices.Clone(d.obs.Nodes)
	for i := range obs.Nodes {
		n := &obs.Nodes[i]
		if n.UID == d.next.Old.UID {
			if n.Answers() && n.Replication.Role == RoleMaster {
				return obs, false // a person has made it master again
			}
			continue
		}
		r := &n.Replication
		follows := r.Fenced() || n.Follows(d.next.Old.IP)
		if !n.Answers() || !follows || r.LinkUp || r.Syncing || n.SampledAt.Before(old.ContactSince) {
			return obs, false
		}
		r.MasterHost, r.MasterPort = FenceHost, FencePort
	}
	return obs, true
}
