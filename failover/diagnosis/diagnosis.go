// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/redisha/redisha/failover"
)

// Class says how much a diagnosis weighs.
type Class int

// The classes.
const (
	ClassNone    Class = iota // nothing to do
	ClassHard                 // a fact: fail over at once
	ClassSoft                 // a guess that witnesses confirm: fail over, damped
	ClassHold                 // wanted, but unsafe: wait and say so
	ClassPlanned              // switch over
)

// problem is a row of the diagnosis table: match returns a sentence when the problem is there.
type problem struct {
	Diagnosis failover.Diagnosis
	Class     Class
	match     func(v View) (string, bool)
}

// problems is the diagnosis table; the first row that matches is the diagnosis.
var problems = []problem{
	{failover.DiagnosisMasterPodGone, ClassHard, matchPodGone},
	{failover.DiagnosisMasterNodeGone, ClassHard, matchNodeGone},
	{failover.DiagnosisMasterRestarted, ClassHard, matchRestarted},
	{failover.DiagnosisMasterExited, ClassHard, matchExited},
	{failover.DiagnosisMasterDemoted, ClassHard, matchDemoted},
	{failover.DiagnosisMasterAccessDenied, ClassHold, matchAccessDenied},
	{failover.DiagnosisMasterUnreachableButReplicating, ClassHold, matchUnreachableButReplicating},
	{failover.DiagnosisMasterProcessDead, ClassHard, matchProcessDead},
	{failover.DiagnosisMasterUnreachableWithReplicas, ClassHold, matchUnreachableWithReplicas},
	{failover.DiagnosisMasterUnreachableWithoutGuard, ClassHold, matchUnreachableWithoutGuard},
	{failover.DiagnosisMasterDown, ClassSoft, matchDown},
	{failover.DiagnosisMasterMayStillWrite, ClassHold, matchMayStillWrite},
	{failover.DiagnosisMasterUnreachableNoWitness, ClassHold, matchUnreachableNoWitness},
	{failover.DiagnosisMasterTerminating, ClassPlanned, matchTerminating},
	{failover.DiagnosisMasterScaledAway, ClassPlanned, matchScaledAway},
	{failover.DiagnosisMasterNodeDraining, ClassPlanned, matchNodeDraining},
	{failover.DiagnosisMasterOutdated, ClassPlanned, matchOutdated},
}

// Reason is what people see while the diagnosis holds a failover back: its name.
func (p problem) Reason() failover.Reason {
	if p.Class != ClassHold {
		return failover.ReasonNone
	}
	return failover.Reason(p.Diagnosis)
}

// Finding is a diagnosis with the sentence that explains it.
type Finding struct {
	problem
	Sentence string
}

// Diagnose looks at the master through the table.
func Diagnose(v View) Finding {
	for _, p := range problems {
		if sentence, ok := p.match(v); ok {
			return Finding{p, sentence}
		}
	}
	return Finding{problem{Diagnosis: failover.DiagnosisHealthy}, fmt.Sprintf("master %s is healthy", v.Master.Name)}
}

func matchPodGone(v View) (string, bool) {
	return fmt.Sprintf("pod %s of the master is gone", v.Ref.Pod), !v.Found
}

func matchNodeGone(v View) (string, bool) {
	// The machine may run on for a while without its Node object; a master that answers can switch over what it has.
	return fmt.Sprintf("the Kubernetes node of master %s was deleted", v.Ref.Pod),
		v.Master.NodeGone && !v.Master.Contact.Lives()
}

func matchRestarted(v View) (string, bool) {
	n := v.Master
	restarted := n.Contact == failover.ContactAnswering && n.Sampled && v.Ref.RunID != "" &&
		n.Replication.RunID != "" && n.Replication.RunID != v.Ref.RunID
	return fmt.Sprintf("the Redis process of master %s was restarted", v.Ref.Pod), restarted
}

func matchExited(v View) (string, bool) {
	// The kubelet's word may be older than an answer of the process that it restarted.
	return fmt.Sprintf("the Redis container of master %s has ended", v.Ref.Pod),
		v.Master.Exited && !v.Master.Contact.Lives()
}

func matchDemoted(v View) (string, bool) {
	n := v.Master
	return fmt.Sprintf("master %s says that it is a replica of %s", v.Ref.Pod, n.Replication.MasterHost),
		n.Answers() && n.Replication.Role == failover.RoleReplica
}

func matchAccessDenied(v View) (string, bool) {
	return fmt.Sprintf("master %s refuses our password or certificate", v.Ref.Pod),
		v.Master.Contact == failover.ContactDenied
}

func matchUnreachableButReplicating(v View) (string, bool) {
	if !v.Unreachable() {
		return "", false
	}
	for _, w := range v.witnesses {
		if w.seesMaster {
			return fmt.Sprintf("master %s is unreachable, but %s still replicates from it", v.Ref.Pod, w.name), true
		}
	}
	return "", false
}

func matchProcessDead(v View) (string, bool) {
	if v.Master.Contact != failover.ContactRefused || len(v.witnesses) == 0 {
		return "", false
	}
	for _, w := range v.witnesses {
		if !w.linkDown {
			return "", false
		}
	}
	return fmt.Sprintf(
		"master %s refuses connections, and %s has lost its link to it", v.Ref.Pod, v.witnesses[0].name,
	), true
}

func matchDown(v View) (string, bool) {
	if !v.allAgree() || v.Master.SilentFor(v.now) < v.givenUpAfter() || v.MayWrite() > 0 {
		return "", false
	}
	return fmt.Sprintf("master %s has been silent for %s, and every reachable replica agrees",
		v.Ref.Pod, v.givenUpAfter()), true
}

// allAgree reports a master that is out of reach, for us and for every replica that can testify.
func (v View) allAgree() bool {
	return v.Unreachable() && len(v.witnesses) > 0 &&
		!slices.ContainsFunc(v.witnesses, func(w witness) bool { return !w.agrees })
}

func matchMayStillWrite(v View) (string, bool) {
	return fmt.Sprintf(
		"master %s is silent for down-after (%s), and every reachable replica agrees; its machine does not answer either, "+
			"so that it may accept writes until its write guard stops it",
		v.Ref.Pod, v.Policy.DownAfter,
	), v.allAgree()
}

func matchUnreachableWithReplicas(v View) (string, bool) {
	beside := v.UnreachableReplicas()
	if !v.Unreachable() || len(v.witnesses) == 0 || len(beside) < v.Guarded() {
		return "", false
	}
	return fmt.Sprintf(
		"master %s is unreachable, and so is %s, which may replicate from it: together they may accept writes; failover "+
			"withheld",
		v.Ref.Pod,
		strings.Join(beside, ", "),
	), true
}

// matchUnreachableWithoutGuard: between the moment a replica has attached and the one its master's
// min-replicas-to-write is raised.
func matchUnreachableWithoutGuard(v View) (string, bool) {
	return fmt.Sprintf(
			"master %s is unreachable, and accepts writes without a replica (min-replicas-to-write is 0); failover withheld",
			v.Ref.Pod,
		), v.Unreachable() && len(v.witnesses) > 0 &&
			v.unguarded()
}

func matchUnreachableNoWitness(v View) (string, bool) {
	return fmt.Sprintf("master %s is unreachable, and no replica can testify", v.Ref.Pod), v.Unreachable()
}

func matchTerminating(v View) (string, bool) {
	return fmt.Sprintf("pod %s of the master is being deleted", v.Ref.Pod), v.Master.Terminating
}

func matchScaledAway(v View) (string, bool) {
	return fmt.Sprintf("master %s is to be scaled away", v.Ref.Pod), v.Surplus(v.Master) && !v.Master.Held
}

func matchNodeDraining(v View) (string, bool) {
	if v.Master.NodeGone {
		return fmt.Sprintf("the Kubernetes node of master %s was deleted", v.Ref.Pod), true
	}
	return fmt.Sprintf("the Kubernetes node of master %s is cordoned or about to be removed", v.Ref.Pod), v.Master.Cordoned
}

func matchOutdated(v View) (string, bool) {
	if !v.Master.Outdated || v.Master.Held || len(v.obs.Nodes) < v.Policy.Replicas {
		return "", false
	}
	for _, n := range v.Others {
		if n.Outdated || n.Unproven || !n.Answers() || !n.Follows(v.Master.IP) || !n.Replication.LinkUp {
			return "", false
		}
	}
	return fmt.Sprintf("a rollout has replaced every replica; master %s is next", v.Ref.Pod), true
}
