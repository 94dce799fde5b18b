// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"fmt"
	"slices"
	"strings"
)

// Diagnosis names the first problem of the master that the observation shows.
type Diagnosis string

// The diagnoses, in the order in which they are looked for.
const (
	// DiagnosisPodGone: the master's pod, or that incarnation of it, does not exist any more.
	DiagnosisPodGone Diagnosis = "MasterPodGone"
	// DiagnosisRestarted: another process runs in the master's pod; it booted fenced.
	DiagnosisRestarted Diagnosis = "MasterRestarted"
	// DiagnosisExited: the kubelet reports that the master's container ended.
	DiagnosisExited Diagnosis = "MasterExited"
	// DiagnosisNodeGone: the Kubernetes node under the master was deleted.
	DiagnosisNodeGone Diagnosis = "MasterNodeGone"
	// DiagnosisRefused: the master's address refuses connections, and a replica lost its link to it.
	DiagnosisRefused Diagnosis = "MasterProcessDead"
	// DiagnosisDemoted: the master says that it is a replica, and it was not us.
	DiagnosisDemoted Diagnosis = "MasterDemoted"
	// DiagnosisDown: the master is silent for down-after, and every reachable replica agrees.
	DiagnosisDown Diagnosis = "MasterDown"
	// DiagnosisVetoed: the master is out of our reach, but a replica still replicates from it.
	DiagnosisVetoed Diagnosis = "MasterUnreachableButReplicating"
	// DiagnosisAccompanied: the master is out of reach together with replicas of its: they may go on without us.
	DiagnosisAccompanied Diagnosis = "MasterUnreachableWithReplicas"
	// DiagnosisUnfenced: the master is out of reach, and was last heard with min-replicas-to-write 0, or is written down with it and was
	// not heard yet: cut off, it does not stop by itself.
	DiagnosisUnfenced Diagnosis = "MasterUnreachableUnfenced"
	// DiagnosisMayWrite: the master is silent for down-after, every reachable replica agrees, and it may be isolated: it may accept
	// writes for a moment longer, until its write guard stops it.
	DiagnosisMayWrite Diagnosis = "MasterMayStillWrite"
	// DiagnosisUnwitnessed: the master is out of reach, and so is everybody who could testify.
	DiagnosisUnwitnessed Diagnosis = "MasterUnreachableNoWitness"
	// DiagnosisDenied: the master lives but refuses our password or certificate.
	DiagnosisDenied Diagnosis = "MasterAccessDenied"
	// DiagnosisTerminating: the master's pod is being deleted or evicted.
	DiagnosisTerminating Diagnosis = "MasterTerminating"
	// DiagnosisScaledAway: the master's ordinal is not wanted any more.
	DiagnosisScaledAway Diagnosis = "MasterScaledAway"
	// DiagnosisDraining: the Kubernetes node under the master is being drained.
	DiagnosisDraining Diagnosis = "MasterNodeDraining"
	// DiagnosisOutdated: a rollout has replaced all others, and they are well; the master is next.
	DiagnosisOutdated Diagnosis = "MasterOutdated"
	// DiagnosisHealthy: nothing is wrong with the master.
	DiagnosisHealthy Diagnosis = "Healthy"
)

// class says how much a diagnosis weighs.
type class int

const (
	classNone    class = iota // nothing to do
	classHard                 // a fact: fail over at once
	classSoft                 // a guess that witnesses confirm: fail over, damped
	classHold                 // wanted, but unsafe: wait and say so
	classPlanned              // switch over
)

// problem is a row of the diagnosis table: match returns a sentence when the problem is there.
type problem struct {
	diagnosis Diagnosis
	class     class
	reason    Reason
	match     func(v view) (string, bool)
}

// problems is the diagnosis table; the first row that matches is the diagnosis.
var problems = []problem{
	{DiagnosisPodGone, classHard, ReasonNone, matchPodGone},
	{DiagnosisNodeGone, classHard, ReasonNone, matchNodeGone},
	{DiagnosisRestarted, classHard, ReasonNone, matchRestarted},
	{DiagnosisExited, classHard, ReasonNone, matchExited},
	{DiagnosisDemoted, classHard, ReasonNone, matchDemoted},
	{DiagnosisDenied, classHold, ReasonDenied, matchDenied},
	{DiagnosisVetoed, classHold, ReasonVetoed, matchVetoed},
	{DiagnosisRefused, classHard, ReasonNone, matchRefused},
	{DiagnosisAccompanied, classHold, ReasonAccompanied, matchAccompanied},
	{DiagnosisUnfenced, classHold, ReasonUnfenced, matchUnfenced},
	{DiagnosisDown, classSoft, ReasonNone, matchDown},
	{DiagnosisMayWrite, classHold, ReasonMayWrite, matchMayWrite},
	{DiagnosisUnwitnessed, classHold, ReasonNoWitness, matchUnwitnessed},
	{DiagnosisTerminating, classPlanned, ReasonNone, matchTerminating},
	{DiagnosisScaledAway, classPlanned, ReasonNone, matchScaledAway},
	{DiagnosisDraining, classPlanned, ReasonNone, matchDraining},
	{DiagnosisOutdated, classPlanned, ReasonNone, matchOutdated},
}

// finding is a diagnosis with the sentence that explains it.
type finding struct {
	problem
	sentence string
}

// diagnose looks at the master through the table.
func diagnose(v view) finding {
	for _, p := range problems {
		if sentence, ok := p.match(v); ok {
			return finding{p, sentence}
		}
	}
	return finding{problem{diagnosis: DiagnosisHealthy}, fmt.Sprintf("master %s is healthy", v.master.Name)}
}

func matchPodGone(v view) (string, bool) {
	return fmt.Sprintf("pod %s of the master is gone", v.ref.Pod), !v.found
}

func matchNodeGone(v view) (string, bool) {
	// The machine may run on for a while without its Node object; a master that answers can switch over what it has.
	return fmt.Sprintf("the Kubernetes node of master %s was deleted", v.ref.Pod),
		v.master.NodeGone && !v.master.Contact.lives()
}

func matchRestarted(v view) (string, bool) {
	n := v.master
	restarted := n.Contact == ContactAnswering && n.Sampled && v.ref.RunID != "" &&
		n.Replication.RunID != "" && n.Replication.RunID != v.ref.RunID
	return fmt.Sprintf("the Redis process of master %s was restarted", v.ref.Pod), restarted
}

func matchExited(v view) (string, bool) {
	// The kubelet's word may be older than an answer of the process that it restarted.
	return fmt.Sprintf("the Redis container of master %s has ended", v.ref.Pod),
		v.master.Exited && !v.master.Contact.lives()
}

func matchDemoted(v view) (string, bool) {
	n := v.master
	return fmt.Sprintf("master %s says that it is a replica of %s", v.ref.Pod, n.Replication.MasterHost),
		n.Answers() && n.Replication.Role == RoleReplica
}

func matchDenied(v view) (string, bool) {
	return fmt.Sprintf("master %s refuses our password or certificate", v.ref.Pod),
		v.master.Contact == ContactDenied
}

func matchVetoed(v view) (string, bool) {
	if !v.outOfReach() {
		return "", false
	}
	for _, w := range v.witnesses {
		if w.seesMaster {
			return fmt.Sprintf("master %s is out of our reach, but %s still replicates from it", v.ref.Pod, w.name), true
		}
	}
	return "", false
}

func matchRefused(v view) (string, bool) {
	if v.master.Contact != ContactRefused || len(v.witnesses) == 0 {
		return "", false
	}
	for _, w := range v.witnesses {
		if !w.linkDown {
			return "", false
		}
	}
	return fmt.Sprintf("master %s refuses connections, and %s has lost its link to it", v.ref.Pod, v.witnesses[0].name), true
}

func matchDown(v view) (string, bool) {
	if !v.allAgree() || v.master.SilentFor(v.now) < v.downAfter() || v.mayWrite() > 0 {
		return "", false
	}
	return fmt.Sprintf("master %s is silent for down-after (%s), and every reachable replica agrees",
		v.ref.Pod, v.policy.DownAfter), true
}

// allAgree reports a master that is out of reach, for us and for every replica that can testify.
func (v view) allAgree() bool {
	return v.outOfReach() && len(v.witnesses) > 0 && !slices.ContainsFunc(v.witnesses, func(w witness) bool { return !w.agrees })
}

func matchMayWrite(v view) (string, bool) {
	return fmt.Sprintf("master %s is silent for down-after (%s), and every reachable replica agrees; its machine does not answer either, so "+
		"that it may accept writes until its write guard stops it", v.ref.Pod, v.policy.DownAfter), v.allAgree()
}

func matchAccompanied(v view) (string, bool) {
	company := v.company()
	if !v.outOfReach() || len(v.witnesses) == 0 || len(company) < v.guarded() {
		return "", false
	}
	return fmt.Sprintf("master %s is out of our reach, and so is %s, which may replicate from it: together they may go on without us",
		v.ref.Pod, strings.Join(company, ", ")), true
}

// matchUnfenced: between the moment a replica has attached and the one its master's min-replicas-to-write is raised.
func matchUnfenced(v view) (string, bool) {
	return fmt.Sprintf("master %s is out of our reach, and accepts writes without a replica (min-replicas-to-write is 0): it may go on without us",
		v.ref.Pod), v.outOfReach() && len(v.witnesses) > 0 && v.unguarded()
}

func matchUnwitnessed(v view) (string, bool) {
	return fmt.Sprintf("master %s is out of our reach, and no replica can testify", v.ref.Pod), v.outOfReach()
}

func matchTerminating(v view) (string, bool) {
	return fmt.Sprintf("pod %s of the master is being deleted", v.ref.Pod), v.master.Terminating
}

func matchScaledAway(v view) (string, bool) {
	return fmt.Sprintf("master %s is to be scaled away", v.ref.Pod),
		v.policy.Replicas > 0 && v.master.Ordinal >= v.policy.Replicas
}

func matchDraining(v view) (string, bool) {
	if v.master.NodeGone {
		return fmt.Sprintf("the Kubernetes node of master %s was deleted", v.ref.Pod), true
	}
	return fmt.Sprintf("the Kubernetes node of master %s is cordoned", v.ref.Pod), v.master.Cordoned
}

func matchOutdated(v view) (string, bool) {
	if !v.master.Outdated || len(v.obs.Nodes) < v.policy.Replicas {
		return "", false
	}
	for _, n := range v.others {
		if n.Outdated || n.Unproven || !n.Answers() || !n.Follows(v.master.IP) || !n.Replication.LinkUp {
			return "", false
		}
	}
	return fmt.Sprintf("a rollout has replaced every replica; master %s is next", v.ref.Pod), true
}
