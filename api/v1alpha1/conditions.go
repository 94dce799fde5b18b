// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types of a RedisHA. Except Paused and Blocked, True is the good value.
const (
	// ConditionAvailable: a published master accepts writes.
	ConditionAvailable = "Available"
	// ConditionReady: the spec of this generation is applied, a master serves, and every wanted pod runs, stays, and
	// follows it.
	ConditionReady = "Ready"
	// ConditionInitialized: a first master has been promoted; never unset.
	ConditionInitialized = "Initialized"
	// ConditionFailoverPossible: were the master's process to end now, a replica would be promoted.
	ConditionFailoverPossible = "FailoverPossible"
	// ConditionSurvivesMachineLoss: were the machine under the master lost now, or its zone, a replica in sync would run
	// elsewhere.
	ConditionSurvivesMachineLoss = "SurvivesMachineLoss"
	// ConditionProgressing: pods are being created, replaced or removed.
	ConditionProgressing = "Progressing"
	// ConditionReconciled: every owned object is as the spec wants it.
	ConditionReconciled = "Reconciled"
	// ConditionCertificateValid: the certificate that Redis shows lasts for more than a week. Absent in clear.
	ConditionCertificateValid = "CertificateValid"
	// ConditionPaused: the operator observes and does not act.
	ConditionPaused = "Paused"
	// ConditionBlocked: something is wanted and refused; the reason says why.
	ConditionBlocked = "Blocked"
	// ConditionCompatible: the operator, the CustomResourceDefinition and whoever wrote the status are of versions that go
	// together.
	ConditionCompatible = "Compatible"
)

// Condition types of a RedisHARequest.
const (
	// ConditionComplete: it was carried out.
	ConditionComplete = "Complete"
	// ConditionFailed: it was refused, given up, or not begun in time.
	ConditionFailed = "Failed"
)

// Reasons of Failed, and of status.requests, besides those of Blocked.
const (
	// ReasonDeadlineExceeded: the request was not begun within spec.deadlineSeconds.
	ReasonDeadlineExceeded = "DeadlineExceeded"
	// ReasonPreconditionFailed: another pod was master than spec.ifMaster names.
	ReasonPreconditionFailed = "PreconditionFailed"
	// ReasonGivenUp: it was begun and ended otherwise; the message says how.
	ReasonGivenUp = "GivenUp"
	// ReasonReplaced: another request was taken up before it was done.
	ReasonReplaced = "Replaced"
)

// Reasons of Complete.
const (
	// ReasonDone: it was carried out.
	ReasonDone = "Done"
)

// Reasons of Available.
const (
	// ReasonMasterServing: the published master answers and accepts writes.
	ReasonMasterServing = "MasterServing"
	// ReasonNoMaster: no pod is published as master.
	ReasonNoMaster = "NoMaster"
	// ReasonMasterUnreachable: the published master does not answer.
	ReasonMasterUnreachable = "MasterUnreachable"
	// ReasonTooFewReplicas: the master refuses writes until a replica follows it.
	ReasonTooFewReplicas = "TooFewReplicas"
	// ReasonMasterCannotPersist: the master refuses writes since it failed to write its append-only file or a snapshot
	// (MISCONF).
	ReasonMasterCannotPersist = "MasterCannotPersist"
	// ReasonMasterOutOfMemory: in the last ten seconds the master has refused commands because maxmemory is reached (OOM).
	ReasonMasterOutOfMemory = "MasterOutOfMemory"
	// ReasonMasterBusy: the master runs a script and answers BUSY to every other command.
	ReasonMasterBusy = "MasterBusy"
	// ReasonMasterTurnsClientsAway: in the last ten seconds the master has turned connections away because of maxclients.
	// Clients that are connected can write.
	ReasonMasterTurnsClientsAway = "MasterTurnsClientsAway"
	// ReasonFailoverInProgress: a replica is being promoted.
	ReasonFailoverInProgress = "FailoverInProgress"
)

// Reasons of Available, Ready, FailoverPossible, SurvivesMachineLoss and Progressing alike.
const (
	// ReasonHibernated: spec.replicas is 0, no Redis runs, and the data waits on the volume of one pod.
	ReasonHibernated = "Hibernated"
)

// Reasons of Ready, besides those of Available, those of Reconciled, Scaling, and the causes among the reasons of
// Progressing.
const (
	// ReasonAllNodesReady: the master serves and every wanted replica follows it.
	ReasonAllNodesReady = "AllNodesReady"
	// ReasonNodesMissing: fewer pods run than are wanted.
	ReasonNodesMissing = "NodesMissing"
	// ReasonReplicasSyncing: a replica has not caught up with the master yet.
	ReasonReplicasSyncing = "ReplicasSyncing"
	// ReasonSpecNotApplied: the objects are not known to be as the spec of this generation wants them.
	ReasonSpecNotApplied = "SpecNotApplied"
	// ReasonNodesNotReady: a pod is not ready.
	ReasonNodesNotReady = "NodesNotReady"
	// ReasonNodesOutdated: a pod was made from an earlier spec, and is to be replaced, or to be told what has changed.
	ReasonNodesOutdated = "NodesOutdated"
	// ReasonNodesLeaving: a pod is being deleted, or is another StatefulSet's.
	ReasonNodesLeaving = "NodesLeaving"
)

// Reasons of Compatible, besides UnknownState: status.failover.state is one that this version of the operator does not
// know.
const (
	// ReasonVersionsMatch: nothing is known that would not go together.
	ReasonVersionsMatch = "VersionsMatch"
	// ReasonDefinitionOutdated: the CustomResourceDefinition does not know fields that the operator writes. Failovers go
	// on without them.
	ReasonDefinitionOutdated = "DefinitionOutdated"
	// ReasonProgressRefused: the API server refuses each write of the progress, so that no failover can be carried out.
	ReasonProgressRefused = "ProgressRefused"
)

// Reasons of Initialized.
const (
	// ReasonFirstMasterPromoted: the first master has been promoted.
	ReasonFirstMasterPromoted = "FirstMasterPromoted"
	// ReasonWaitingForPods: no pod answers yet.
	ReasonWaitingForPods = "WaitingForPods"
	// ReasonWaitingForData: pods that may hold data are still loading or away.
	ReasonWaitingForData = "WaitingForData"
)

// Reasons of FailoverPossible, besides PausedBySpec.
const (
	// ReasonCandidateAvailable: at least one replica may be promoted.
	ReasonCandidateAvailable = "CandidateAvailable"
	// ReasonNoReplica: no replica is reachable and attached.
	ReasonNoReplica = "NoReplica"
	// ReasonNoCandidate: none of the replicas would be chosen; the message says why.
	ReasonNoCandidate = "NoCandidate"
	// ReasonSingleNode: spec.replicas is 1, so there is nothing to fail over to.
	ReasonSingleNode = "SingleNode"
	// ReasonManualMode: spec.failover.mode is Manual; a person must request it.
	ReasonManualMode = "ManualMode"
)

// Reasons of SurvivesMachineLoss, besides SingleNode and NoReplica. A machine is a Kubernetes node.
const (
	// ReasonNodesSpread: a replica in sync runs on another machine than the master, and in another zone where the pods run
	// in several.
	ReasonNodesSpread = "NodesSpread"
	// ReasonNodesStacked: the same, and other pods share a machine although another machine is free.
	ReasonNodesStacked = "NodesStacked"
	// ReasonAllOnOneMachine: the master and every replica in sync run on the same machine.
	ReasonAllOnOneMachine = "AllOnOneMachine"
	// ReasonAllInOneZone: the master and every replica in sync run in the same zone, though other pods run in another.
	ReasonAllInOneZone = "AllInOneZone"
)

// Reasons of Progressing.
const (
	// ReasonUpToDate: every pod runs what the spec wants.
	ReasonUpToDate = "UpToDate"
	// ReasonCreating: pods are being created.
	ReasonCreating = "Creating"
	// ReasonRollingOut: outdated pods are being replaced one at a time.
	ReasonRollingOut = "RollingOut"
	// ReasonResizing: pods are given the resources of the spec while they run, one at a time. The message says what is
	// waited for.
	ReasonResizing = "Resizing"
	// ReasonWaitingForSwitchover: the outdated or leaving pod is master; it is
	// replaced after the failover controller has switched over.
	ReasonWaitingForSwitchover = "WaitingForSwitchover"
	// ReasonWaitingForNodes: the next pod is replaced when every other Redis serves, and those that were replaced have
	// stayed ready.
	ReasonWaitingForNodes = "WaitingForNodes"
	// ReasonRolloutStopped: the pod that was replaced last is not well; the message says what is wrong with it. No other
	// is replaced until it is, or until the spec is another.
	ReasonRolloutStopped = "RolloutStopped"
	// ReasonChangingEncryption: the pods are as the spec wants them, and on the way to the encryption that it wants; see
	// status.tls.stage.
	ReasonChangingEncryption = "ChangingEncryption"
	// ReasonScaling: pods are being added or removed.
	ReasonScaling = "Scaling"
	// ReasonRolloutPaused: spec.failover.mode is Paused, and a replaced pod would
	// not be attached again.
	ReasonRolloutPaused = "RolloutPaused"
	// ReasonWaitingForApproval: the replicas have the change, and spec.updateStrategy.type is Supervised; the master gets
	// it after the switchover that a person requests.
	ReasonWaitingForApproval = "WaitingForApproval"
	// ReasonWaitingForMaintenanceWindow: the outdated or leaving pod is master, and no window of spec.maintenanceWindows
	// is open; the message names the next one.
	ReasonWaitingForMaintenanceWindow = "WaitingForMaintenanceWindow"
	// ReasonWaitingForDeletion: spec.updateStrategy.type is OnDelete, and pods get the change when they are deleted.
	ReasonWaitingForDeletion = "WaitingForDeletion"
)

// Reasons of Progressing that are causes: the message says in words why a pod does not come up or stay up. Each is an
// Event as well.
const (
	// ReasonFailedCreate: a pod cannot be created (a quota, an admission, a PriorityClass or ServiceAccount that does not
	// exist).
	ReasonFailedCreate = "FailedCreate"
	// ReasonUnschedulable: no machine can take a pod.
	ReasonUnschedulable = "Unschedulable"
	// ReasonImageNotPulled: the image of a container cannot be pulled.
	ReasonImageNotPulled = "ImageNotPulled"
	// ReasonContainerNotStarted: a container cannot be started (a Secret or volume that is missing, a program that its
	// image lacks).
	ReasonContainerNotStarted = "ContainerNotStarted"
	// ReasonContainerFailing: a container ends; the message has the last words of what ran in it.
	ReasonContainerFailing = "ContainerFailing"
	// ReasonOOMKilled: a container needed more memory than its limit, and the kernel ended it.
	ReasonOOMKilled = "OOMKilled"
)

// Reasons of CertificateValid.
const (
	// ReasonCertificateLasts: it ends in more than a week.
	ReasonCertificateLasts = "CertificateLasts"
	// ReasonCertificateExpiring: it ends within a week.
	ReasonCertificateExpiring = "CertificateExpiring"
	// ReasonCertificateExpired: it has ended. Connections that are there stay; no client, replica or operator that
	// verifies it makes a new one.
	ReasonCertificateExpired = "CertificateExpired"
)

// Reasons of Reconciled.
const (
	// ReasonApplied: every owned object is as the spec wants it.
	ReasonApplied = "Applied"
	// ReasonSecretNotFound: a Secret that spec.auth names does not exist.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretKeyMissing: that Secret lacks the key, or its value is empty.
	ReasonSecretKeyMissing = "SecretKeyMissing"
	// ReasonPasswordInvalid: the password holds a character redis.conf cannot carry.
	ReasonPasswordInvalid = "PasswordInvalid"
	// ReasonACLRefused: a Redis that runs refuses a rule of spec.auth; the message has its words. Users stay as they are.
	ReasonACLRefused = "ACLRefused"
	// ReasonCertificateInvalid: what spec.tls.secretRef names cannot be used; the message says why. What runs goes on
	// with what it has.
	ReasonCertificateInvalid = "CertificateInvalid"
	// ReasonCertificateRefused: Redis refuses the certificate, in its own words. No process starts with it.
	ReasonCertificateRefused = "CertificateRefused"
	// ReasonNotOwned: an object of the needed name exists and belongs to another owner.
	ReasonNotOwned = "NotOwned"
	// ReasonBeingDeleted: an owned object is being deleted; it is created anew when it is gone.
	ReasonBeingDeleted = "BeingDeleted"
	// ReasonExpansionRefused: a claim could not be enlarged; the message says why.
	ReasonExpansionRefused = "ExpansionRefused"
	// ReasonConfigRefused: a Redis that runs refuses a setting of spec.config; the message has its words. No pod is
	// changed until the spec is mended.
	ReasonConfigRefused = "ConfigRefused"
	// ReasonMaintenanceWindowInvalid: an item of spec.maintenanceWindows cannot be used; the message says why. Until it is
	// mended a master is moved only when a person requests it.
	ReasonMaintenanceWindowInvalid = "MaintenanceWindowInvalid"
	// ReasonDataInTheWay: a Redis holds more data than spec.resources.limits.memory has room for. No process and no pod is
	// changed until there is room, or the spec is another.
	ReasonDataInTheWay = "DataInTheWay"
	// ReasonResizeRefused: the admission of the API server (a quota, a range, a webhook) does not let a pod have the
	// resources of the spec; the message has its words. The pod goes on with what it has.
	ReasonResizeRefused = "ResizeRefused"
	// ReasonApplyFailed: the API server refused an owned object; the message says which.
	ReasonApplyFailed = "ApplyFailed"
)

// Reasons of Paused.
const (
	// ReasonPausedBySpec: spec.failover.mode is Paused.
	ReasonPausedBySpec = "PausedBySpec"
	// ReasonNotPaused: failover management is active.
	ReasonNotPaused = "NotPaused"
)

// Reasons of Blocked, besides the causes that docs/conditions.md lists.
const (
	// ReasonNotBlocked: no operation is blocked.
	ReasonNotBlocked = "NotBlocked"
)
