// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Names of labels, annotations and fixed parts that other programs may rely on.
const (
	// LabelName is on everything owned by a RedisHA; its value is the RedisHA's name.
	LabelName = "redisha.io/name"
	// LabelRole is on each Redis pod whose role is known: RoleMaster or
	// RoleReplica. Only the failover controller writes it, after observing the role.
	LabelRole = "redisha.io/role"
	// AnnotationEpoch is on the EndpointSlice of the master Service: the epoch
	// whose promotion it publishes.
	AnnotationEpoch = "redisha.io/epoch"
	// AnnotationRequest on a RedisHA asks for a switchover: "switchover", or "switchover:POD". To ask again, another "#ID"
	// is put behind it. status.requests tells what became of it. Whatever else can be asked for once is a RedisHARequest.
	AnnotationRequest = "redisha.io/request"
	// AnnotationSpecHash is on the pod template and the pods made from it: a change of
	// the spec that running pods have to be replaced for changes it, and so rolls them.
	AnnotationSpecHash = "redisha.io/spec-hash"
	// AnnotationSettings is on the pod template and the pods made from it: the settings of spec.config, by name, that a
	// pod was made with or was told while it runs, each with a hash of its value. A "!" before the hash marks a setting
	// that only a start can change.
	AnnotationSettings = "redisha.io/settings"
	// AnnotationResources is on the pod template and the pods made from it: the processor and memory of Redis that
	// spec.resources wants, as a pod was made with or was resized to.
	AnnotationResources = "redisha.io/resources"
	// AnnotationNotResized is on a Redis pod that cannot be given the resources it is to have while it runs: those
	// resources, and why, in the words of the API server or the kubelet. The pod is replaced for them.
	AnnotationNotResized = "redisha.io/not-resized"
	// AnnotationAdopted is on a StatefulSet whose first pods had no AnnotationSpecHash:
	// the revision they are of, and the hash of the spec they were made from.
	AnnotationAdopted = "redisha.io/adopted"
	// AnnotationMadeFor is on a claim that a StatefulSet made: the UID of the RedisHA that
	// it was made for. Any other claim may hold data from before.
	AnnotationMadeFor = "redisha.io/made-for"
	// AnnotationMounts is on a Redis pod whose mounted Secret has changed: the state that it is to have. A kubelet updates
	// what is mounted when the pod changes, and once a minute otherwise.
	AnnotationMounts = "redisha.io/mounts"
	// AnnotationAppliedHash is on every owned object: the hash of what the
	// workload controller last applied to it.
	AnnotationAppliedHash = "redisha.io/applied-hash"
)

// Roles of a Redis pod, as LabelRole and status.nodes[].role show them.
const (
	RoleMaster  = "master"
	RoleReplica = "replica"
	RoleUnknown = "unknown"
)

// Links of a replica to the master, as status.nodes[].link shows them.
const (
	LinkUp   = "up"   // it replicates
	LinkDown = "down" // it is set to, and does not
)

// MaxNameLength is the longest name a RedisHA may have. The StatefulSet
// controller labels pods controller-revision-hash=NAME-HASH, a label value holds
// 63 characters and the hash up to 10.
const MaxNameLength = 52
