// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FailoverState is a state of the failover state machine; see docs/architecture.md.
//
// A newer version may know more, so the schema does not list them.
//
// +kubebuilder:validation:MaxLength=64
type FailoverState string

// The states of the failover state machine.
const (
	// StateBootstrapping: no master has been promoted yet.
	StateBootstrapping FailoverState = "Bootstrapping"
	// StateStable: the published master serves.
	StateStable FailoverState = "Stable"
	// StateSuspected: the master does not answer, and that is not confirmed yet.
	StateSuspected FailoverState = "Suspected"
	// StateFencing: the master is lost; the others are detached, the best is chosen.
	StateFencing FailoverState = "Fencing"
	// StateSwitchingOver: a planned switchover waits for the candidate to have everything, and makes it master.
	StateSwitchingOver FailoverState = "SwitchingOver"
	// StatePromoting: the candidate is being made master.
	StatePromoting FailoverState = "Promoting"
	// StateReattaching: the new master is published; the others are being attached to it.
	StateReattaching FailoverState = "Reattaching"
	// StateHibernated: spec.replicas is 0; the data is on the volume of one pod, which will be master again.
	StateHibernated FailoverState = "Hibernated"
	// StateBlocked: something is wanted and refused; failover.reason says why.
	StateBlocked FailoverState = "Blocked"
)

// NodeRef names one incarnation of a Redis pod.
type NodeRef struct {
	// pod is the pod's name.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Pod string `json:"pod,omitempty"`
	// podUID is the pod's metadata.uid.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	PodUID string `json:"podUID,omitempty"`
	// runID is the run_id of the Redis process, from INFO server.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	RunID string `json:"runID,omitempty"`
	// ip is the pod's address.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	IP string `json:"ip,omitempty"`
}

// LineageStatus is a replication history, from INFO replication.
type LineageStatus struct {
	// replID is master_replid.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	ReplID string `json:"replID,omitempty"`
	// replID2 is master_replid2, the history before the last promotion.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	ReplID2 string `json:"replID2,omitempty"`
	// secondOffset is second_repl_offset: up to where replID2 is valid, in bytes.
	// +optional
	SecondOffset int64 `json:"secondOffset,omitempty"`
	// offset is how far the history had got, in bytes.
	// +optional
	Offset int64 `json:"offset,omitempty"`
}

// MasterStatus is the node published as master.
type MasterStatus struct {
	NodeRef `json:",inline"`
	// epoch numbers the promotion that made it master; it only grows.
	// +optional
	Epoch int64 `json:"epoch,omitempty"`
	// since is when it was seen to be master.
	// +optional
	Since metav1.MicroTime `json:"since,omitempty,omitzero"`
	// lineage is its replication history when last recorded.
	// +optional
	Lineage *LineageStatus `json:"lineage,omitempty"`
}

// StepStatus is one step of a failover or switchover and when it was observed.
type StepStatus struct {
	// name of the step, e.g. Detached.
	// +kubebuilder:validation:MaxLength=64
	// +required
	Name string `json:"name"`
	// at is when it was observed, to the microsecond.
	// +optional
	At metav1.MicroTime `json:"at,omitempty,omitzero"`
}

// SoftFailover is a failover that was begun on soft evidence: silence, on which every witness agreed.
type SoftFailover struct {
	// pod that was given up.
	// +kubebuilder:validation:MaxLength=253
	// +required
	Pod string `json:"pod"`
	// at is when, to the microsecond.
	// +required
	At metav1.MicroTime `json:"at"`
}

// FailoverStatus is the persisted progress of the failover controller.
type FailoverStatus struct {
	// state of the state machine.
	// +optional
	State FailoverState `json:"state,omitempty"`
	// since is when the state was entered.
	// +optional
	Since metav1.MicroTime `json:"since,omitempty,omitzero"`
	// epoch of the promotion in progress, or of the last one.
	// +optional
	Epoch int64 `json:"epoch,omitempty"`
	// cause of the promotion in progress.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Cause string `json:"cause,omitempty"`
	// reason why the state is what it is, one word.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Reason string `json:"reason,omitempty"`
	// message is one sentence: what is being done, or why nothing is.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Message string `json:"message,omitempty"`
	// oldMaster is the master being replaced.
	// +optional
	OldMaster *NodeRef `json:"oldMaster,omitempty"`
	// candidate is the node being promoted.
	// +optional
	Candidate *NodeRef `json:"candidate,omitempty"`
	// request is the request being carried out.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Request string `json:"request,omitempty"`
	// steps taken so far.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Steps []StepStatus `json:"steps,omitempty"`
	// cooldownUntil holds the next attempt at a planned change of master back until then.
	// +optional
	CooldownUntil *metav1.MicroTime `json:"cooldownUntil,omitempty"`
	// startedAt is when the promotion in progress began.
	// +optional
	StartedAt *metav1.MicroTime `json:"startedAt,omitempty"`
	// internal is the state machine's own. It is no API: its fields come and go with
	// versions of the operator, and nothing but the operator may write them.
	// +optional
	Internal FailoverInternal `json:"internal,omitempty,omitzero"`
}

// FailoverInternal is what the failover controller remembers for itself. It is no API.
type FailoverInternal struct {
	// revision counts the writes of the progress. A write is refused unless the progress is still of
	// the revision that it was decided on.
	// +optional
	Revision int64 `json:"revision,omitempty"`
	// writtenBy is the version of the operator that wrote the progress last.
	// +kubebuilder:validation:MaxLength=128
	// +optional
	WrittenBy string `json:"writtenBy,omitempty"`
	// initialized is set by the first promotion and never unset.
	// +optional
	Initialized bool `json:"initialized,omitempty"`
	// lineage is what a candidate must descend from.
	// +optional
	Lineage *LineageStatus `json:"lineage,omitempty"`
	// forcedPod is the pod that a person wants promoted, whatever is lost by it.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	ForcedPod string `json:"forcedPod,omitempty"`
	// retiredReplIDs are the replication histories of former masters, newest first: a
	// node that comes back with one of them is taken back, any other is divergent.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=256
	// +optional
	RetiredReplIDs []string `json:"retiredReplIDs,omitempty"`
	// interimMasters are the run IDs of those who led in the running failover and were lost, and the names
	// of pods whose volume has what they wrote: whatever their history is called, it is the newest.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=256
	// +optional
	InterimMasters []string `json:"interimMasters,omitempty"`
	// unheardPods are the pods that had not been heard when the first master was chosen, and were not
	// seen empty or in sync since. What they find on their volumes is older than the set's data,
	// and is not overwritten unless a person asks for it.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	UnheardPods []string `json:"unheardPods,omitempty"`
	// aheadPods are replicas that were unreachable when the running failover began, and may hold what the old
	// master took after all others had lost it. They are waited for, within bounds.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	AheadPods []string `json:"aheadPods,omitempty"`
	// recentSoftFailovers are the last failovers that were begun on soft evidence, newest first.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	RecentSoftFailovers []SoftFailover `json:"recentSoftFailovers,omitempty"`
}

// NodeStatus is a Redis pod as last observed.
type NodeStatus struct {
	// pod is the pod's name.
	// +kubebuilder:validation:MaxLength=253
	// +required
	Pod string `json:"pod"`
	// podUID is the pod's metadata.uid.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	PodUID string `json:"podUID,omitempty"`
	// ip is the pod's address.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	IP string `json:"ip,omitempty"`
	// runID is the run_id of its Redis process.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	RunID string `json:"runID,omitempty"`
	// role is master, replica or unknown.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Role string `json:"role,omitempty"`
	// link of a replica to its master: up or down; empty when it has none.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Link string `json:"link,omitempty"`
	// ineligible says why the node may not be promoted; empty when it may.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Ineligible string `json:"ineligible,omitempty"`
	// version is that of its Redis, as it says.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Version string `json:"version,omitempty"`
	// processRestarts counts the Redis processes that were met in this pod in the place of
	// another: started anew inside its container, which its restart count does not show,
	// or with it.
	// +kubebuilder:validation:Minimum=0
	// +optional
	ProcessRestarts int32 `json:"processRestarts,omitempty"`
	// internal is the state machine's own. It is no API: its fields come and go with
	// versions of the operator, and nothing but the operator may write them.
	// +optional
	Internal NodeInternal `json:"internal,omitempty,omitzero"`
}

// NodeInternal is what the failover controller remembers of a node for itself. It is no API.
type NodeInternal struct {
	// attached says that this process has been in sync with the master: what it
	// holds in memory is the master's data.
	// +optional
	Attached bool `json:"attached,omitempty"`
	// catchUpOffset is the replication offset that the node has to reach before it counts as attached: where
	// the master was when it was first seen following it.
	// +optional
	CatchUpOffset int64 `json:"catchUpOffset,omitempty"`
	// otherReplID is the replication ID of the history that this process got from a Redis of another
	// RedisHA, where that is why it is ineligible.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	OtherReplID string `json:"otherReplID,omitempty"`
	// writeGuard is the min-replicas-to-write of the master, where it is certain to be more than 1: it
	// counts the replicas that share the master's machine or zone. Else 0.
	// +optional
	WriteGuard int32 `json:"writeGuard,omitempty"`
	// writeGuardOff says of the master that it may accept writes without a replica: its
	// min-replicas-to-write is 0, or about to become it.
	// +optional
	WriteGuardOff bool `json:"writeGuardOff,omitempty"`
}

// HistoryKind says what a history entry is about.
//
// +kubebuilder:validation:MaxLength=64
type HistoryKind string

// Kinds of history entries.
const (
	// HistoryFailover is an unplanned promotion.
	HistoryFailover HistoryKind = "Failover"
	// HistorySwitchover is a planned promotion, which loses nothing.
	HistorySwitchover HistoryKind = "Switchover"
	// HistoryBootstrap is the first promotion of a RedisHA.
	HistoryBootstrap HistoryKind = "Bootstrap"
)

// HistoryOutcome says how it ended.
//
// +kubebuilder:validation:MaxLength=64
type HistoryOutcome string

// Outcomes of a failover or switchover.
const (
	// OutcomeSucceeded: the candidate was published as master.
	OutcomeSucceeded HistoryOutcome = "Succeeded"
	// OutcomeAborted: nothing changed; the old master serves on.
	OutcomeAborted HistoryOutcome = "Aborted"
	// OutcomeSuperseded: the candidate died and a new epoch was begun.
	OutcomeSuperseded HistoryOutcome = "Superseded"
)

// HistoryEntry records one failover, switchover or bootstrap.
type HistoryEntry struct {
	// epoch of the promotion.
	// +required
	Epoch int64 `json:"epoch"`
	// kind is Failover, Switchover or Bootstrap.
	// +optional
	Kind HistoryKind `json:"kind,omitempty"`
	// cause that started it.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Cause string `json:"cause,omitempty"`
	// from is the pod that was master before.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	From string `json:"from,omitempty"`
	// to is the pod that became master.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	To string `json:"to,omitempty"`
	// startedAt is when the evidence was seen.
	// +optional
	StartedAt metav1.MicroTime `json:"startedAt,omitempty,omitzero"`
	// finishedAt is when it was over, every other node attached.
	// +optional
	FinishedAt metav1.MicroTime `json:"finishedAt,omitempty,omitzero"`
	// outcome is Succeeded, Aborted or Superseded.
	// +optional
	Outcome HistoryOutcome `json:"outcome,omitempty"`
	// message is one sentence for a person.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Message string `json:"message,omitempty"`
	// offsetGapBytes is how many bytes of the old master's last known history the
	// new master lacks; absent when not known.
	// +optional
	OffsetGapBytes *int64 `json:"offsetGapBytes,omitempty"`
	// steps with their times.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Steps []StepStatus `json:"steps,omitempty"`
}
