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
	// DiagnosisMasterPodGone: the master's pod, or that incarnation of it, does not exist any more.
	DiagnosisMasterPodGone Diagnosis = "MasterPodGone"
	// DiagnosisMasterRestarted: another process runs in the master's pod; it booted fenced.
	DiagnosisMasterRestarted Diagnosis = "MasterRestarted"
	// DiagnosisMasterExited: the kubelet reports that the master's container ended.
	DiagnosisMasterExited Diagnosis = "MasterExited"
	// DiagnosisMasterNodeGone: the Kubernetes node under the master was deleted.
	DiagnosisMasterNodeGone Diagnosis = "MasterNodeGone"
	// DiagnosisMasterProcessDead: the master's address refuses connections, and a replica lost its link to it.
	DiagnosisMasterProcessDead Diagnosis = "MasterProcessDead"
	// DiagnosisMasterDemoted: the master says that it is a replica, and it was not us.
	DiagnosisMasterDemoted Diagnosis = "MasterDemoted"
	// DiagnosisMasterDown: the master is silent for down-after, and every reachable replica agrees.
	DiagnosisMasterDown Diagnosis = "MasterDown"
	// DiagnosisMasterUnreachableButReplicating: the master is unreachable, but a replica still replicates from it.
	DiagnosisMasterUnreachableButReplicating Diagnosis = "MasterUnreachableButReplicating"
	// DiagnosisMasterUnreachableWithReplicas: the master is unreachable together with replicas of its: they may accept writes.
	DiagnosisMasterUnreachableWithReplicas Diagnosis = "MasterUnreachableWithReplicas"
	// DiagnosisMasterUnreachableWithoutGuard: the master is unreachable, and was last heard with min-replicas-to-write 0, or is written down with it and was
	// not heard yet: cut off, it does not stop by itself.
	DiagnosisMasterUnreachableWithoutGuard Diagnosis = "MasterUnreachableWithoutGuard"
	// DiagnosisMasterMayStillWrite: the master is silent for down-after, every reachable replica agrees, and it may be isolated: it may accept
	// writes for a moment longer, until its write guard stops it.
	DiagnosisMasterMayStillWrite Diagnosis = "MasterMayStillWrite"
	// DiagnosisMasterUnreachableNoWitness: the master is unreachable, and so is every replica that could testify.
	DiagnosisMasterUnreachableNoWitness Diagnosis = "MasterUnreachableNoWitness"
	// DiagnosisMasterAccessDenied: the master lives but refuses our password or certificate.
	DiagnosisMasterAccessDenied Diagnosis = "MasterAccessDenied"
	// DiagnosisMasterTerminating: the master's pod is being deleted or evicted.
	DiagnosisMasterTerminating Diagnosis = "MasterTerminating"
	// DiagnosisMasterScaledAway: the master's ordinal is not wanted any more.
	DiagnosisMasterScaledAway Diagnosis = "MasterScaledAway"
	// DiagnosisMasterNodeDraining: the Kubernetes node under the master is being drained.
	DiagnosisMasterNodeDraining Diagnosis = "MasterNodeDraining"
	// DiagnosisMasterOutdated: a rollout has replaced all others, and they are well; the master is next.
	DiagnosisMasterOutdated Diagnosis = "MasterOutdated"
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
	match     func(v view) (string, bool)
}

// problems is the diagnosis table; the first row that matches is the diagnosis.
var problems = []problem{
	{DiagnosisMasterPodGone, classHard, matchPodGone},
	{DiagnosisMasterNodeGone, classHard, matchNodeGone},
	{DiagnosisMasterRestarted, classHard, matchRestarted},
	{DiagnosisMasterExited, classHard, matchExited},
	{DiagnosisMasterDemoted, classHard, matchDemoted},
	{DiagnosisMasterAccessDenied, classHold, matchAccessDenied},
	{DiagnosisMasterUnreachableButReplicating, classHold, matchUnreachableButReplicating},
	{DiagnosisMasterProcessDead, classHard, matchProcessDead},
	{DiagnosisMasterUnreachableWithReplicas, classHold, matchUnreachableWithReplicas},
	{DiagnosisMasterUnreachableWithoutGuard, classHold, matchUnreachableWithoutGuard},
	{DiagnosisMasterDown, classSoft, matchDown},
	{DiagnosisMasterMayStillWrite, classHold, matchMayStillWrite},
	{DiagnosisMasterUnreachableNoWitness, classHold, matchUnreachableNoWitness},
	{DiagnosisMasterTerminating, classPlanned, matchTerminating},
	{DiagnosisMasterScaledAway, classPlanned, matchScaledAway},
	{DiagnosisMasterNodeDraining, classPlanned, matchNodeDraining},
	{DiagnosisMasterOutdated, classPlanned, matchOutdated},
}

// reason is what people see while the diagnosis holds a failover back: its name.
func (p problem) reason() Reason {
	if p.class != classHold {
		return ReasonNone
	}
	return Reason(p.diagnosis)
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

func matchAccessDenied(v view) (string, bool) {
	return fmt.Sprintf("master %s refuses our password or certificate", v.ref.Pod),
		v.master.Contact == ContactDenied
}

func matchUnreachableButReplicating(v view) (string, bool) {
	if !v.unreachable() {
		return "", false
	}
	for _, w := range v.witnesses {
		if w.seesMaster {
			return fmt.Sprintf("master %s is unreachable, but %s still replicates from it", v.ref.Pod, w.name), true
		}
	}
	return "", false
}

func matchProcessDead(v view) (string, bool) {
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
	return v.unreachable() && len(v.witnesses) > 0 && !slices.ContainsFunc(v.witnesses, func(w witness) bool { return !w.agrees })
}

func matchMayStillWrite(v view) (string, bool) {
	return fmt.Sprintf("master %s is silent for down-after (%s), and every reachable replica agrees; its machine does not answer either, so "+
		"that it may accept writes until its write guard stops it", v.ref.Pod, v.policy.DownAfter), v.allAgree()
}

func matchUnreachableWithReplicas(v view) (string, bool) {
	beside := v.unreachableReplicas()
	if !v.unreachable() || len(v.witnesses) == 0 || len(beside) < v.guarded() {
		return "", false
	}
	return fmt.Sprintf("master %s is unreachable, and so is %s, which may replicate from it: together they may accept writes; failover withheld",
		v.ref.Pod, strings.Join(beside, ", ")), true
}

// matchUnreachableWithoutGuard: between the moment a replica has attached and the one its master's min-replicas-to-write is raised.
func matchUnreachableWithoutGuard(v view) (string, bool) {
	return fmt.Sprintf("master %s is unreachable, and accepts writes without a replica (min-replicas-to-write is 0); failover withheld",
		v.ref.Pod), v.unreachable() && len(v.witnesses) > 0 && v.unguarded()
}

func matchUnreachableNoWitness(v view) (string, bool) {
	return fmt.Sprintf("master %s is unreachable, and no replica can testify", v.ref.Pod), v.unreachable()
}

func matchTerminating(v view) (string, bool) {
	return fmt.Sprintf("pod %s of the master is being deleted", v.ref.Pod), v.master.Terminating
}

func matchScaledAway(v view) (string, bool) {
	return fmt.Sprintf("master %s is to be scaled away", v.ref.Pod),
		v.policy.Replicas > 0 && v.master.Ordinal >= v.policy.Replicas
}

func matchNodeDraining(v view) (string, bool) {
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
