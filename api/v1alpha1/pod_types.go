// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// PodTemplateSpec adds to the Redis pods. A change of it replaces the pods one at
// a time. What is set here replaces the operator's default of the same name.
type PodTemplateSpec struct {
	// labels are added to the operator's own, which they cannot replace.
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, k.startsWith('redisha.io/') || k in ['app.kubernetes.io/name', 'app.kubernetes.io/instance', 'app.kubernetes.io/managed-by'])",message="spec.podTemplate.labels: redisha.io/... and app.kubernetes.io/name, instance and managed-by are the operator's: choose other names"
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^([a-z0-9][-a-z0-9.]*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="spec.podTemplate.labels: names have at most 63 letters, digits, '-', '_' and '.', after an optional DNS name and '/'"
	// +optional
	Labels map[string]LabelValue `json:"labels,omitempty"`
	// annotations are added to the operator's own, which they cannot replace.
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, k.startsWith('redisha.io/'))",message="spec.podTemplate.annotations: redisha.io/... are the operator's: choose other names"
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^([a-zA-Z0-9][-a-zA-Z0-9.]*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="spec.podTemplate.annotations: names have at most 63 letters, digits, '-', '_' and '.', after an optional DNS name and '/'"
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// affinity of the pods. By default they prefer different nodes.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`
	// nodeSelector of the pods.
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^([a-z0-9][-a-z0-9.]*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="spec.podTemplate.nodeSelector: names have at most 63 letters, digits, '-', '_' and '.', after an optional DNS name and '/'"
	// +optional
	NodeSelector map[string]LabelValue `json:"nodeSelector,omitempty"`
	// tolerations of the pods.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// topologySpreadConstraints of the pods. By default they prefer different zones.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +optional
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`
	// dnsConfig adds to how the pods look names up.
	// +optional
	DNSConfig *corev1.PodDNSConfig `json:"dnsConfig,omitempty"`
	// runtimeClassName of the pods.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	RuntimeClassName *string `json:"runtimeClassName,omitempty"`
	// terminationGracePeriodSeconds is how long a pod has for ending: up to 20 s
	// in which a master is switched over, and what Redis needs after it. 30 when absent.
	// +kubebuilder:validation:Maximum=3600
	// +kubebuilder:validation:XValidation:rule="self >= 30",message="spec.podTemplate.terminationGracePeriodSeconds must be at least 30: a master that leaves is switched over first, which may take 20"
	// +optional
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds,omitempty"`
	// priorityClassName of the pods.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	PriorityClassName string `json:"priorityClassName,omitempty"`
	// serviceAccountName of the pods. No token is mounted.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
	// securityContext of the pods; by default one that the Restricted Pod Security
	// standard admits, with user and group 999 as in the published images.
	// +optional
	SecurityContext *corev1.PodSecurityContext `json:"securityContext,omitempty"`
	// containerSecurityContext of the Redis container; by default one that the
	// Restricted Pod Security standard admits, with a read-only root file system.
	// +optional
	ContainerSecurityContext *corev1.SecurityContext `json:"containerSecurityContext,omitempty"`
	// env is added to the environment of the Redis container.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Env []corev1.EnvVar `json:"env,omitempty"`
	// initContainers run before Redis, one after the other.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="!self.exists(c, c.name == 'redis')",message="spec.podTemplate.initContainers: the name redis is the operator's: choose another"
	// +optional
	InitContainers []corev1.Container `json:"initContainers,omitempty"`
	// extraContainers run beside Redis, e.g. an exporter of metrics.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="!self.exists(c, c.name == 'redis')",message="spec.podTemplate.extraContainers: the name redis is the operator's: choose another"
	// +optional
	ExtraContainers []corev1.Container `json:"extraContainers,omitempty"`
	// extraVolumes of the pods.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="!self.exists(v, v.name in ['data', 'config', 'auth', 'tmp'])",message="spec.podTemplate.extraVolumes: data, config, auth and tmp are the operator's: choose another name"
	// +optional
	ExtraVolumes []corev1.Volume `json:"extraVolumes,omitempty"`
	// extraVolumeMounts of the Redis container, e.g. modules.
	// +listType=map
	// +listMapKey=mountPath
	// +kubebuilder:validation:MaxItems=16
	// +optional
	ExtraVolumeMounts []corev1.VolumeMount `json:"extraVolumeMounts,omitempty"`
}

// LabelValue is the value of a label, as Kubernetes takes it.
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:XValidation:rule="self.matches('^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$')",message="a label's value has at most 63 letters, digits, '-', '_' and '.', and begins and ends with a letter or digit"
type LabelValue string

// UpdateStrategyType says who decides when a pod is replaced for a change.
//
// +kubebuilder:validation:Enum=Automatic;Supervised;OnDelete
type UpdateStrategyType string

// Strategies by which pods get a change that they have to be replaced for. A restart that a person requests replaces
// all of them under each.
const (
	// UpdateAutomatic replaces one replica at a time, switches over, and replaces the former master.
	UpdateAutomatic UpdateStrategyType = "Automatic"
	// UpdateSupervised replaces the replicas, and the master when it is none any more: a person requests the switchover.
	UpdateSupervised UpdateStrategyType = "Supervised"
	// UpdateOnDelete replaces none. A pod that is deleted or evicted comes back with the change.
	UpdateOnDelete UpdateStrategyType = "OnDelete"
)

// UpdateStrategySpec says how pods get a change that they have to be replaced for.
type UpdateStrategySpec struct {
	// type is Automatic, which replaces one pod at a time, the master last and after a switchover; Supervised, which
	// leaves the master until a person requests the switchover; or OnDelete, which replaces no pod.
	// +kubebuilder:default=Automatic
	// +optional
	Type UpdateStrategyType `json:"type,omitempty"`
}

// BudgetMode says whether there is a PodDisruptionBudget.
//
// +kubebuilder:validation:Enum=Enabled;Disabled
type BudgetMode string

// Modes of the PodDisruptionBudget.
const (
	// BudgetEnabled limits how many pods a drain may take at once. A RedisHA of one
	// pod never has a budget, because it would only block the drain.
	BudgetEnabled BudgetMode = "Enabled"
	// BudgetDisabled leaves drains unlimited.
	BudgetDisabled BudgetMode = "Disabled"
)

// PodDisruptionBudgetSpec limits how many Redis pods a drain may take at once.
type PodDisruptionBudgetSpec struct {
	// mode is Enabled or Disabled.
	// +kubebuilder:default=Enabled
	// +optional
	Mode BudgetMode `json:"mode,omitempty"`
	// maxUnavailable pods at once, as a number or a percentage of them.
	// +kubebuilder:default=1
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? int(self) >= 0 : string(self).matches('^(100|[0-9]{1,2})%$')",message="spec.podDisruptionBudget.maxUnavailable must be a number of pods or a percentage: write it like 1 or 50%"
	// +optional
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
}
