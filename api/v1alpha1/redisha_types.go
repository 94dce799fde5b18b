// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RedisHA is a highly available Redis: one master, its replicas, and a Service
// NAME-master that always leads to the master. The operator itself watches the
// pods and promotes a replica when the master is lost.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:resource:path=redishas,singular=redisha,shortName=rha,categories=all
// +kubebuilder:printcolumn:name="Master",type=string,JSONPath=`.status.master.pod`,description="The pod clients write to"
// +kubebuilder:printcolumn:name="Available",type=string,JSONPath=`.status.conditions[?(@.type=="Available")].status`,description="Whether the master takes writes"
// +kubebuilder:printcolumn:name="Failover",type=string,JSONPath=`.status.conditions[?(@.type=="FailoverPossible")].status`,description="Whether a replica would take over if the master's process ended now"
// +kubebuilder:printcolumn:name="Survives",type=string,JSONPath=`.status.conditions[?(@.type=="SurvivesMachineLoss")].status`,description="Whether the data would survive the loss of the master's machine"
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.ready`,description="Ready pods of those wanted"
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.failover.state`,description="What the failover controller is doing"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Because",type=string,JSONPath=`.status.conditions[?(@.type=="Available")].reason`,priority=1,description="Why the master takes writes, or does not"
// +kubebuilder:printcolumn:name="Epoch",type=integer,JSONPath=`.status.master.epoch`,priority=1,description="Number of promotions so far"
// +kubebuilder:printcolumn:name="Last-Failover",type=date,JSONPath=`.status.lastFailover`,priority=1
// +kubebuilder:printcolumn:name="Image",type=string,JSONPath=`.spec.image`,priority=1
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 52",message="metadata.name may have at most 52 characters, because pods and Services get longer names and labels made of it: choose a shorter name"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name must be a DNS label that begins with a letter, because Services are named after it: use lower-case letters, digits and '-'"
type RedisHA struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is that of any object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted. Every field has a safe default: an empty spec is a
	// working highly available Redis.
	// +kubebuilder:default={}
	// +optional
	Spec RedisHASpec `json:"spec,omitempty,omitzero"`
	// status is what the operator observed and did.
	// +kubebuilder:default={}
	// +optional
	Status RedisHAStatus `json:"status,omitempty,omitzero"`
}

// RedisHAList is a list of RedisHA.
//
// +kubebuilder:object:root=true
type RedisHAList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RedisHA `json:"items"`
}

// RedisHAStatus is what the operator observed and did. The workload controller
// writes observedGeneration, replicas, readyReplicas, ready, selector, tls and its
// conditions (Progressing, Reconciled, CertificateValid); the failover controller alone writes the rest.
type RedisHAStatus struct {
	// conditions answer the usual questions; types and reasons are documented in
	// docs/conditions.md and as constants of this package.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the metadata.generation that the condition Ready tells of; -1 before the first.
	// +kubebuilder:default=-1
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// replicas is the number of Redis pods that exist.
	// +optional
	Replicas int32 `json:"replicas,omitempty"`
	// readyReplicas is the number of Redis pods that are ready.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas,omitempty"`
	// ready says how many pods of those wanted are ready, e.g. "3/3".
	// +kubebuilder:validation:MaxLength=32
	// +optional
	Ready string `json:"ready,omitempty"`
	// selector selects the Redis pods, in the form the scale subresource wants.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Selector string `json:"selector,omitempty"`

	// tls is how connections are encrypted; absent while they are in clear.
	// +optional
	TLS *TLSStatus `json:"tls,omitempty"`

	// master is the node published as master; absent before the first promotion.
	// +optional
	Master *MasterStatus `json:"master,omitempty"`
	// failover is the persisted progress of the failover controller: what it does
	// is written here before it is done, so that another operator can finish it.
	// +optional
	Failover *FailoverStatus `json:"failover,omitempty"`
	// nodes are the Redis pods as last observed, written when a class changes.
	// +listType=map
	// +listMapKey=pod
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Nodes []NodeStatus `json:"nodes,omitempty"`
	// history holds the latest promotions, newest first, at most ten.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	// +optional
	History []HistoryEntry `json:"history,omitempty"`
	// lastFailover is when the latest failover or switchover finished.
	// +optional
	LastFailover *metav1.Time `json:"lastFailover,omitempty"`
	// requests are the latest requests that were taken up or refused, and what became of them, the newest first. None of
	// them runs again, though a tool that applies what is kept in Git puts it back.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Requests []RequestStatus `json:"requests,omitempty"`
}
