// SPDX-License-Identifier: Apache-2.0

package failover

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
	// DiagnosisMasterUnreachableWithReplicas: the master is unreachable together with replicas of its: they may accept
	// writes.
	DiagnosisMasterUnreachableWithReplicas Diagnosis = "MasterUnreachableWithReplicas"
	// DiagnosisMasterUnreachableWithoutGuard: the master is unreachable, and was last heard with min-replicas-to-write 0,
	// or is written down with it and was not heard yet: cut off, it does not stop by itself.
	DiagnosisMasterUnreachableWithoutGuard Diagnosis = "MasterUnreachableWithoutGuard"
	// DiagnosisMasterMayStillWrite: the master is silent for down-after, every reachable replica agrees, and it may be
	// isolated: it may accept writes for a moment longer, until its write guard stops it.
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
