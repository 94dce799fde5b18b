// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RedisHARequest asks for something that is done once to a RedisHA of its namespace: a switchover, a forced failover,
// that a pod's own data is discarded, or a restart. It tells in its status what has become of it, and stays until it is
// deleted. To ask again, another one is made.
//
// Requests to one RedisHA are carried out one after the other, the oldest first.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=redisharequests,singular=redisharequest,shortName=rhareq,categories=all
// +kubebuilder:printcolumn:name="RedisHA",type=string,JSONPath=`.spec.redisHA`
// +kubebuilder:printcolumn:name="Action",type=string,JSONPath=`.spec.action`
// +kubebuilder:printcolumn:name="Pod",type=string,JSONPath=`.spec.pod`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`,priority=1
type RedisHARequest struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is that of any object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is asked for. It cannot be changed.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec cannot be changed: delete the request, and make another"
	// +kubebuilder:validation:XValidation:rule="!(self.action in ['ForceFailover', 'Discard']) || has(self.pod)",message="spec.pod is missing: name the pod that is to become master (ForceFailover), or whose own data is given up (Discard)"
	// +kubebuilder:validation:XValidation:rule="!(self.action in ['ForceFailover', 'Discard']) || has(self.acceptDataLoss) && self.acceptDataLoss",message="spec.acceptDataLoss must be true, because ForceFailover and Discard may lose data"
	// +kubebuilder:validation:XValidation:rule="self.action != 'Restart' || !has(self.pod)",message="spec.pod cannot be given for Restart, which replaces all pods in order: remove it, or delete that pod"
	// +required
	Spec RedisHARequestSpec `json:"spec,omitzero"`
	// status is what has become of it.
	// +optional
	Status RedisHARequestStatus `json:"status,omitempty,omitzero"`
}

// RedisHARequestList is a list of RedisHARequest.
//
// +kubebuilder:object:root=true
type RedisHARequestList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RedisHARequest `json:"items"`
}

// RequestAction is what a RedisHARequest asks for.
//
// +kubebuilder:validation:Enum=Switchover;ForceFailover;Discard;Restart
type RequestAction string

// What can be asked for.
const (
	// ActionSwitchover makes spec.pod, or any replica, master. It loses no acknowledged write. Where the master is lost
	// and spec.failover.mode is Manual, it lets the failover go on.
	ActionSwitchover RequestAction = "Switchover"
	// ActionForceFailover makes spec.pod master against a refusal, even if writes are lost by it. The pod must answer and
	// hold complete data; a second master is never made.
	ActionForceFailover RequestAction = "ForceFailover"
	// ActionDiscard lets spec.pod, which holds data of its own, follow the master, and so gives up that data.
	ActionDiscard RequestAction = "Discard"
	// ActionRestart replaces all pods one after the other, the master last and after a switchover, as kubectl rollout
	// restart of the StatefulSet does.
	ActionRestart RequestAction = "Restart"
)

// RedisHARequestSpec is what is asked for.
type RedisHARequestSpec struct {
	// redisHA is the name of the RedisHA, in the same namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=52
	// +required
	RedisHA string `json:"redisHA,omitempty"`
	// action is what to do. Switchover makes pod, or any replica, master and loses nothing; ForceFailover makes pod
	// master against a refusal; Discard gives up the data of its own that pod holds; Restart replaces all pods in order.
	// +required
	Action RequestAction `json:"action,omitempty"`
	// pod is the pod that the action is about.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Pod string `json:"pod,omitempty"`
	// acceptDataLoss says that writes may be lost by it. ForceFailover and Discard want it to be true.
	// +optional
	AcceptDataLoss bool `json:"acceptDataLoss,omitempty"`
	// ifMaster is the pod that has to be master when the request is begun. If another one is, the request fails.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	IfMaster string `json:"ifMaster,omitempty"`
	// deadlineSeconds is within how many seconds of its creation the request has to be begun; else it fails.
	// +kubebuilder:default=300
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	// +optional
	DeadlineSeconds int32 `json:"deadlineSeconds,omitempty"`
	// ttlSecondsAfterFinished is after how many seconds a request that is over is deleted; never when absent. A tool
	// that keeps the request in Git would make it anew, and so ask again.
	// +kubebuilder:validation:Minimum=0
	// +optional
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`
}

// RequestState says how far a request has got.
//
// A newer version may know more, so the schema does not list them.
//
// +kubebuilder:validation:MaxLength=64
type RequestState string

// States of a request.
const (
	// RequestPending: it has not been begun. The message says what it waits for.
	RequestPending RequestState = "Pending"
	// RequestRunning: it is being carried out.
	RequestRunning RequestState = "Running"
	// RequestSucceeded: it was carried out.
	RequestSucceeded RequestState = "Succeeded"
	// RequestFailed: it was refused, given up, or not begun in time.
	RequestFailed RequestState = "Failed"
)

// IsOver reports a state that does not change any more.
func (s RequestState) IsOver() bool { return s == RequestSucceeded || s == RequestFailed }

// RedisHARequestStatus is what has become of a request.
type RedisHARequestStatus struct {
	// conditions are Complete, True of a request that has succeeded, and Failed, True of one that has failed. kubectl wait
	// --for=condition=Complete waits for the first.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// state is Pending, Running, Succeeded or Failed.
	// +optional
	State RequestState `json:"state,omitempty"`
	// reason why the state is Failed, one word.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Reason string `json:"reason,omitempty"`
	// message is one sentence: what is being done, what is waited for, or what came of it.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Message string `json:"message,omitempty"`
	// startedAt is when it was seen to have been begun.
	// +optional
	StartedAt *metav1.MicroTime `json:"startedAt,omitempty"`
	// finishedAt is when it was seen to be over.
	// +optional
	FinishedAt *metav1.MicroTime `json:"finishedAt,omitempty"`
}

// RequestStatus is what has become of one request, as the failover controller writes it down with its progress.
type RequestStatus struct {
	// id names the request: the value of the annotation redisha.io/request, or the name and UID of a RedisHARequest.
	// +kubebuilder:validation:MaxLength=512
	// +required
	ID string `json:"id"`
	// state is Running, Succeeded or Failed.
	// +optional
	State RequestState `json:"state,omitempty"`
	// reason why it failed, one word.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Reason string `json:"reason,omitempty"`
	// message is one sentence: what came of it.
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Message string `json:"message,omitempty"`
}
