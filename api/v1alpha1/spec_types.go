// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// RedisHASpec is what is wanted.
//
// +kubebuilder:validation:XValidation:rule="has(self.storage) == has(oldSelf.storage)",message="spec.storage cannot be added or removed later, because the claims belong to the StatefulSet for good: create a new RedisHA and copy the data"
// +kubebuilder:validation:XValidation:rule="has(self.storage) || !has(self.config) || !('appendonly' in self.config) || self.config['appendonly'] == 'no'",message="spec.config.appendonly needs a disk: set spec.storage, or remove the setting"
// +kubebuilder:validation:XValidation:rule="has(self.storage) || !has(self.config) || !('save' in self.config) || size(self.config['save']) == 0 || self.config['save'] == '\"\"'",message="spec.config.save needs a disk: set spec.storage, or remove the setting"
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || self.replicas != 0 || has(self.storage)",message="spec.replicas 0 hibernates, and without spec.storage the data would be lost: use 1 or more, or create a RedisHA with spec.storage"
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || self.replicas != 0 || !has(self.config) || !('appendonly' in self.config) || self.config['appendonly'].lowerAscii() != 'no' || (!('save' in self.config) || !self.config['save'].matches('^[\"\\' ]*$')) && !('shutdown-on-sigterm' in self.config && self.config['shutdown-on-sigterm'].contains('nosave'))",message="spec.replicas 0 hibernates, and with spec.config.appendonly no the data is kept only by the snapshot that Redis writes when it ends: remove appendonly, or set save and no nosave in shutdown-on-sigterm"
type RedisHASpec struct {
	// replicas is the number of Redis pods in all: one master, the others replicas.
	// 3 survives the loss of one and stays highly available while it is replaced.
	// 0 hibernates: no pod runs, and the data waits on the volume of pod NAME-0. It needs storage.
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=9
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 9",message="spec.replicas counts the Redis pods in all, master included: use 1 to 9 (3 survives the loss of one), or 0 to hibernate"
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`

	// image runs redis-server; Redis 7.0 to 8 and Valkey work. It must hold a shell
	// and redis-cli or valkey-cli, as the published images do.
	// +kubebuilder:default="docker.io/library/redis:7.4"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.size() > 0",message="spec.image must not be empty: remove the field for the default image, or name one"
	// +optional
	Image string `json:"image,omitempty"`
	// imagePullPolicy is Kubernetes' own default when absent.
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	// +optional
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`
	// imagePullSecrets are used to pull the image.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +optional
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`

	// resources of the Redis container. None by default: a memory limit that does
	// not fit the data kills Redis, so it is for the person who knows the data.
	// Where there is a limit of memory, maxmemory is three quarters of it unless
	// config says otherwise: Redis refuses writes then instead of being killed.
	// +kubebuilder:validation:XValidation:rule="!has(self.limits) || ['cpu', 'memory', 'ephemeral-storage'].all(k, !(k in self.limits) || isQuantity(string(self.limits[k])))",message="spec.resources.limits must be quantities: write them like 500m or 2Gi"
	// +kubebuilder:validation:XValidation:rule="!has(self.requests) || ['cpu', 'memory', 'ephemeral-storage'].all(k, !(k in self.requests) || isQuantity(string(self.requests[k])))",message="spec.resources.requests must be quantities: write them like 500m or 2Gi"
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitempty,omitzero"`

	// storage keeps the data on disk. Absent: the data lives in memory and in the
	// replicas only, and is lost when all pods are lost at once.
	// +optional
	Storage *StorageSpec `json:"storage,omitempty"`

	// config holds settings of redis.conf, name to value as redis.conf writes it.
	// Names are lower-case. Settings that the operator owns are refused. A change
	// reaches every Redis that runs. What Redis does not change while it runs, and a
	// setting that is removed and that the operator has no default for, replaces the
	// pods one at a time, the master last and after a switchover. What Redis refuses
	// changes nothing, and the condition Reconciled has its words.
	// +kubebuilder:validation:MaxProperties=128
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^[a-z][a-z0-9-]*$'))",message="spec.config names are those of redis.conf in lower case: letters, digits and '-' only"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !self[k].contains('\\n') && !self[k].contains('\\r'))",message="spec.config values must be a single line: write one setting per name"
	// +kubebuilder:validation:XValidation:rule="!['port','bind','unixsocket','unixsocketperm','protected-mode'].exists(k, k in self)",message="spec.config: port, bind, unixsocket, unixsocketperm and protected-mode are the operator's, because Services and probes rely on them: remove the setting (spec.services shapes what clients see)"
	// +kubebuilder:validation:XValidation:rule="!['requirepass','masterauth','masteruser','primaryauth','primaryuser','user','aclfile'].exists(k, k in self)",message="spec.config: requirepass, masterauth, masteruser, primaryauth, primaryuser, user and aclfile are the operator's, so that no password is written in clear: remove the setting, put the password into a Secret and name that in spec.auth.passwordSecretRef"
	// +kubebuilder:validation:XValidation:rule="!['dir','daemonize','supervised','include','pidfile','logfile','rename-command'].exists(k, k in self)",message="spec.config: dir, daemonize, supervised, include, pidfile, logfile and rename-command are the operator's, because the pod relies on them: remove the setting (disks are asked for in spec.storage)"
	// +kubebuilder:validation:XValidation:rule="!['replicaof','slaveof','replica-priority','slave-priority','replica-read-only','slave-read-only','replica-serve-stale-data','slave-serve-stale-data'].exists(k, k in self)",message="spec.config: replicaof, slaveof, replica-priority, slave-priority, replica-read-only, slave-read-only, replica-serve-stale-data and slave-serve-stale-data are the operator's, because it alone says who is master: remove the setting (spec.failover says when a replica may be promoted)"
	// +kubebuilder:validation:XValidation:rule="!['replica-announce-ip','slave-announce-ip','replica-announce-port','slave-announce-port','repl-ping-replica-period','repl-ping-slave-period','rdb-del-sync-files','shutdown-timeout'].exists(k, k in self)",message="spec.config: replica-announce-ip, slave-announce-ip, replica-announce-port, slave-announce-port, repl-ping-replica-period, repl-ping-slave-period, rdb-del-sync-files and shutdown-timeout are the operator's, because failover relies on them: remove the setting"
	// +kubebuilder:validation:XValidation:rule="!['min-replicas-to-write','min-slaves-to-write','min-replicas-max-lag','min-slaves-max-lag'].exists(k, k in self)",message="spec.config: min-replicas-to-write, min-slaves-to-write, min-replicas-max-lag and min-slaves-max-lag are the operator's, because it raises and lowers them as replicas come and go: remove the setting (spec.failover.consistency chooses the guarantee)"
	// +kubebuilder:validation:XValidation:rule="!('loadmodule' in self)",message="spec.config.loadmodule: list modules in spec.modules instead"
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, k.startsWith('cluster-') || k.startsWith('tls-') || k.startsWith('sentinel'))",message="spec.config: Redis Cluster and Sentinel settings are not supported, and those of TLS are the operator's: remove the settings that begin with cluster-, tls- or sentinel (spec.tls encrypts connections)"
	// +optional
	Config map[string]ConfigValue `json:"config,omitempty"`

	// modules are loaded when Redis starts, in this order. Their files are in the image, or on one of
	// podTemplate.extraVolumes. A change replaces the pods one at a time.
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Modules []ModuleSpec `json:"modules,omitempty"`

	// auth says who may do what. Absent: a password of the default user is generated once, in Secret
	// NAME-generated-auth.
	// Redis always asks for a password. The operator and replicas have users of their own.
	// +optional
	Auth *AuthSpec `json:"auth,omitempty"`

	// tls encrypts connections. Absent: they are in clear.
	// +optional
	TLS *TLSSpec `json:"tls,omitempty"`

	// failover says when a replica may be promoted.
	// +kubebuilder:default={}
	// +optional
	Failover FailoverSpec `json:"failover,omitempty,omitzero"`

	// services shapes the Services NAME-master and NAME-replicas.
	// +kubebuilder:default={}
	// +optional
	Services ServicesSpec `json:"services,omitempty,omitzero"`

	// podTemplate adds to the Redis pods.
	// +optional
	PodTemplate *PodTemplateSpec `json:"podTemplate,omitempty"`

	// updateStrategy says how pods get a change that they have to be replaced for.
	// +kubebuilder:default={}
	// +optional
	UpdateStrategy UpdateStrategySpec `json:"updateStrategy,omitempty,omitzero"`

	// maintenanceWindows are when the operator may move a master that serves by its own plan, which is for a change that
	// its pod has to be replaced for, and for fewer replicas. Absent: at any time. A switchover or restart that a person
	// requests, a drain or an eviction, and a failover wait for no window.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	MaintenanceWindows []MaintenanceWindow `json:"maintenanceWindows,omitempty"`

	// podDisruptionBudget limits how many Redis pods a drain may take at once.
	// +kubebuilder:default={}
	// +optional
	PodDisruptionBudget PodDisruptionBudgetSpec `json:"podDisruptionBudget,omitempty,omitzero"`
}

// ConfigValue is the value of a redis.conf setting, as redis.conf writes it.
//
// +kubebuilder:validation:MaxLength=1024
type ConfigValue string

// StorageSpec asks for one PersistentVolumeClaim per pod.
//
// +kubebuilder:validation:XValidation:rule="has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",message="spec.storage.storageClassName cannot be changed, because a claim keeps its class for good: create a new RedisHA and copy the data"
// +kubebuilder:validation:XValidation:rule="has(self.accessModes) == has(oldSelf.accessModes) && (!has(self.accessModes) || self.accessModes == oldSelf.accessModes)",message="spec.storage.accessModes cannot be changed, because a claim keeps its modes for good: create a new RedisHA and copy the data"
// +kubebuilder:validation:XValidation:rule="!has(self.size) || !has(oldSelf.size) || !isQuantity(string(self.size)) || !isQuantity(string(oldSelf.size)) || quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0",message="spec.storage.size cannot shrink, because a claim only grows: keep the size, or create a new RedisHA and copy the data"
type StorageSpec struct {
	// size of each claim. It may grow if the storage class allows it.
	// +kubebuilder:default="8Gi"
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",message="spec.storage.size must be a quantity greater than zero: write it like 8Gi or 500Mi"
	// +optional
	Size resource.Quantity `json:"size,omitempty,omitzero"`
	// storageClassName of the claims; the cluster's default class when absent.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	StorageClassName *string `json:"storageClassName,omitempty"`
	// accessModes of the claims.
	// +kubebuilder:default={ReadWriteOnce}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:items:Enum=ReadWriteOnce;ReadWriteOncePod;ReadWriteMany
	// +listType=atomic
	// +optional
	AccessModes []corev1.PersistentVolumeAccessMode `json:"accessModes,omitempty"`
	// retention says what happens to claims that are no longer needed.
	// +kubebuilder:default={}
	// +optional
	Retention StorageRetention `json:"retention,omitempty,omitzero"`
}

// RetentionPolicy says what happens to a claim that is no longer needed.
//
// +kubebuilder:validation:Enum=Retain;Delete
type RetentionPolicy string

// What happens to a claim that is no longer needed.
const (
	// RetentionRetain keeps the claim and its data.
	RetentionRetain RetentionPolicy = "Retain"
	// RetentionDelete deletes the claim, and with it the data.
	RetentionDelete RetentionPolicy = "Delete"
)

// StorageRetention says what happens to claims that are no longer needed, in the words of a StatefulSet.
type StorageRetention struct {
	// whenDeleted is what happens when the RedisHA is deleted.
	// +kubebuilder:default=Retain
	// +optional
	WhenDeleted RetentionPolicy `json:"whenDeleted,omitempty"`
	// whenScaled is what happens when spec.replicas is lowered.
	// +kubebuilder:default=Retain
	// +optional
	WhenScaled RetentionPolicy `json:"whenScaled,omitempty"`
}

// ModuleSpec is a module that Redis loads.
type ModuleSpec struct {
	// path of the module's file in the container.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="self.matches('^/[A-Za-z0-9._/+-]+$')",message="spec.modules.path must be an absolute path of letters, digits, '.', '_', '+' and '-'"
	// +required
	Path string `json:"path"`
	// args are given to the module.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Args []ModuleArg `json:"args,omitempty"`
}

// ModuleArg is an argument of a module.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:XValidation:rule="self.matches('^[!#-&(-Z^-~]+$')",message="spec.modules.args: an argument is one word without quotes, backslashes and brackets: write each word as an argument of its own"
type ModuleArg string

// AuthSpec says who may do what.
type AuthSpec struct {
	// passwordSecretRef is where the password of Redis's default user is kept: in a Secret in the same
	// namespace, not written by the operator. Absent: one is generated.
	// +optional
	PasswordSecretRef SecretKeyReference `json:"passwordSecretRef,omitempty,omitzero"`
	// acceptFormerSeconds is for how long Redis takes a password from before, when its Secret holds another one.
	// +kubebuilder:default=3600
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	AcceptFormerSeconds *int32 `json:"acceptFormerSeconds,omitempty"`
	// rules are added to those of the default user, whom applications are as a rule. It may use every key and channel,
	// and every command but those that stop a set, point it elsewhere, or read or change its configuration
	// (docs/security.md lists them): +config|get grants one, +@all grants all, -flushall takes one away, off turns the
	// user off.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Rules []ACLRule `json:"rules,omitempty"`
	// users are further ones. Users of Redis that are not declared here are removed.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Users []UserSpec `json:"users,omitempty"`
}

// UserSpec is a user of Redis.
type UserSpec struct {
	// name is whom a client says that it is.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9][A-Za-z0-9._@-]*$') && self != 'default' && !self.startsWith('redisha-')",message="spec.auth.users.name has letters, digits, '.', '_', '@' and '-', is not default (spec.auth.rules are the default user's), and does not begin with redisha-, as the operator's own users do"
	// +required
	Name string `json:"name"`
	// passwordSecretRef is where the password is kept.
	// +required
	PasswordSecretRef SecretKeyReference `json:"passwordSecretRef"`
	// rules say what the user may do, in the words of Redis's ACL SETUSER: ~shop:* the keys that begin with shop:, &*
	// every channel, +@read every command that reads. Without rules a user may do nothing.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Rules []ACLRule `json:"rules,omitempty"`
}

// ACLRule is a rule of Redis's access control list that holds no password.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:XValidation:rule="self.matches('^([^() \"\\x27\\x5c\\x5c][^ \"\\x27\\x5c\\x5c]*|[(][^\"\\x27\\x5c\\x5c]+[)])$')",message="a rule of spec.auth is one word without quotes and backslashes, or a selector in brackets: write each rule as an item of its own"
// +kubebuilder:validation:XValidation:rule="!['>','<','#','!'].exists(p, self.startsWith(p)) && !['nopass','resetpass','reset'].exists(w, self.lowerAscii() == w)",message="a rule of spec.auth holds no password and resets none: put the password into a Secret and name that in passwordSecretRef"
type ACLRule string

// SecretKeyReference names a value in a Secret in the same namespace.
type SecretKeyReference struct {
	// name of the Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`
	// key of the value in that Secret.
	// +kubebuilder:default=password
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	Key string `json:"key,omitempty"`
}

// FailoverMode says whether the operator promotes by itself.
//
// +kubebuilder:validation:Enum=Automatic;Manual;Paused
type FailoverMode string

// Modes of failover.
const (
	// ModeAutomatic promotes a replica when the master is lost.
	ModeAutomatic FailoverMode = "Automatic"
	// ModeManual promotes only when a person requests it.
	ModeManual FailoverMode = "Manual"
	// ModePaused observes and changes no Redis at all.
	ModePaused FailoverMode = "Paused"
)

// Consistency says what a failover may cost.
//
// +kubebuilder:validation:Enum=Bounded;Strict
type Consistency string

// Consistency levels.
const (
	// ConsistencyBounded may lose the writes that had not reached a replica yet.
	ConsistencyBounded Consistency = "Bounded"
	// ConsistencyStrict never loses a write that WAIT has acknowledged for one replica or
	// more: it promotes only when every replica was reached and detached.
	ConsistencyStrict Consistency = "Strict"
)

// FailoverSpec says when a replica may be promoted.
type FailoverSpec struct {
	// mode is Automatic, Manual or Paused.
	// +kubebuilder:default=Automatic
	// +optional
	Mode FailoverMode `json:"mode,omitempty"`
	// downAfterMilliseconds without an answer make the master suspected. It matters
	// only when nothing proves the loss: hard evidence is acted on at once.
	// +kubebuilder:default=3000
	// +kubebuilder:validation:Minimum=500
	// +kubebuilder:validation:Maximum=600000
	// +kubebuilder:validation:XValidation:rule="self >= 500",message="spec.failover.downAfterMilliseconds must be at least 500, or a busy master is taken for a dead one: use 500 or more (a proven loss never waits for it)"
	// +optional
	DownAfterMilliseconds int32 `json:"downAfterMilliseconds,omitempty"`
	// cooldownSeconds is for how long a node that was given up on soft evidence (silence) is not
	// made master again, while another one has as much data.
	// +kubebuilder:default=30
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3600
	// +optional
	CooldownSeconds *int32 `json:"cooldownSeconds,omitempty"`
	// maxLagBytes is how far a replica may have been behind the master's last known
	// offset and still be promoted by itself. 0 means no limit.
	// +kubebuilder:default=67108864
	// +kubebuilder:validation:Minimum=0
	// +optional
	MaxLagBytes *int64 `json:"maxLagBytes,omitempty"`
	// consistency is Bounded or Strict.
	// +kubebuilder:default=Bounded
	// +optional
	Consistency Consistency `json:"consistency,omitempty"`
}

// ServicesSpec shapes the Services that clients use.
type ServicesSpec struct {
	// master shapes NAME-master, which leads to the master.
	// +kubebuilder:default={}
	// +optional
	Master ServiceSpec `json:"master,omitempty,omitzero"`
	// replicas shapes NAME-replicas, which leads to the replicas that are ready.
	// +kubebuilder:default={}
	// +optional
	Replicas ServiceSpec `json:"replicas,omitempty,omitzero"`
}

// ServiceSpec shapes a Service.
//
// +kubebuilder:validation:XValidation:rule="!has(self.loadBalancerClass) || self.type == 'LoadBalancer'",message="loadBalancerClass is for a Service of type LoadBalancer: set the type, or remove the field"
// +kubebuilder:validation:XValidation:rule="!has(self.loadBalancerSourceRanges) || self.type == 'LoadBalancer'",message="loadBalancerSourceRanges is for a Service of type LoadBalancer: set the type, or remove the field"
// +kubebuilder:validation:XValidation:rule="!has(self.externalTrafficPolicy) || self.type != 'ClusterIP'",message="externalTrafficPolicy is for a Service of type NodePort or LoadBalancer: set the type, or remove the field"
type ServiceSpec struct {
	// type of the Service.
	// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
	// +kubebuilder:default=ClusterIP
	// +optional
	Type corev1.ServiceType `json:"type,omitempty"`
	// annotations of the Service, as load balancers and external-dns want them.
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^([a-zA-Z0-9][-a-zA-Z0-9.]*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="annotations of a Service: names have at most 63 letters, digits, '-', '_' and '.', after an optional DNS name and '/'"
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// labels are added to the operator's own, which they cannot replace.
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="!self.exists(k, k.startsWith('redisha.io/') || k in ['app.kubernetes.io/name', 'app.kubernetes.io/instance', 'app.kubernetes.io/managed-by'])",message="labels of a Service: redisha.io/... and app.kubernetes.io/name, instance and managed-by are the operator's: choose other names"
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^([a-z0-9][-a-z0-9.]*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="labels of a Service: names have at most 63 letters, digits, '-', '_' and '.', after an optional DNS name and '/'"
	// +optional
	Labels map[string]LabelValue `json:"labels,omitempty"`
	// loadBalancerClass names the implementation of the load balancer. Kubernetes lets it be set once.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +optional
	LoadBalancerClass *string `json:"loadBalancerClass,omitempty"`
	// loadBalancerSourceRanges are the CIDRs that the load balancer lets in; all when absent.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +optional
	LoadBalancerSourceRanges []CIDR `json:"loadBalancerSourceRanges,omitempty"`
	// externalTrafficPolicy is Cluster or Local. Local keeps the client's address, and lets a load balancer send only to
	// the Kubernetes node under the pod.
	// +kubebuilder:validation:Enum=Cluster;Local
	// +optional
	ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`
}

// CIDR is a range of addresses.
//
// +kubebuilder:validation:MaxLength=43
// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="loadBalancerSourceRanges: write a range like 10.0.0.0/8"
type CIDR string
