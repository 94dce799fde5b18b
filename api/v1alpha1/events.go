// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Reasons of the Events about a RedisHA. The causes among the reasons of Progressing, RolloutStopped and the reasons of
// Reconciled are reasons of Events as well.
const (
	// EventInitialized: the first master was promoted.
	EventInitialized = "Initialized"
	// EventHibernated: spec.replicas is 0, and the last Redis takes no writes any more.
	EventHibernated = "Hibernated"
	// EventWoken: spec.replicas is not 0 any more, and the pod that has the data is master.
	EventWoken = "Woken"
	// EventMasterSuspected: the master does not answer, and that is not enough to replace it yet.
	EventMasterSuspected = "MasterSuspected"
	// EventMasterAnswersAgain: the master that was suspected answers.
	EventMasterAnswersAgain = "MasterAnswersAgain"
	// EventFailoverStarted: the master is given up, and the message says on what evidence. It names the candidate where
	// the failover begins and chooses in one step; there is no CandidateChosen then.
	EventFailoverStarted = "FailoverStarted"
	// EventSwitchoverStarted: the master is to be replaced as was planned.
	EventSwitchoverStarted = "SwitchoverStarted"
	// EventSwitchoverAborted: the master stays, because its successor would have lacked writes or did not take over in
	// time.
	EventSwitchoverAborted = "SwitchoverAborted"
	// EventCandidateChosen: a node is about to be promoted.
	EventCandidateChosen = "CandidateChosen"
	// EventMasterPublished: clients are led to the new master.
	EventMasterPublished = "MasterPublished"
	// EventFailoverFinished: the failover is over.
	EventFailoverFinished = "FailoverFinished"
	// EventSwitchoverFinished: the switchover is over.
	EventSwitchoverFinished = "SwitchoverFinished"
	// EventFailoverDelayed: a failover has run for a second and there is no master yet; the message says what it waits
	// for.
	EventFailoverDelayed = "FailoverDelayed"
	// EventBlocked: a failover cannot go on; the message says why.
	EventBlocked = "Blocked"
	// EventUnblocked: a failover that was blocked goes on.
	EventUnblocked = "Unblocked"
	// EventRefused: something is wanted that the operator refuses, for the reason that the condition Blocked has.
	EventRefused = "Refused"
	// EventInvalidRequest: the request of the annotation cannot be read; the message says what may stand there.
	EventInvalidRequest = "InvalidRequest"
	// EventRequestRepeated: the request was handled before, and was put back or made again. It does not run; the message
	// says how to ask again.
	EventRequestRepeated = "RequestRepeated"
	// EventRedisRestarted: another Redis process runs in a pod, started anew inside its container, which its restart count
	// does not show, or with it; status.nodes[].processRestarts counts them.
	EventRedisRestarted = "RedisRestarted"
	// EventPodRelabelled: a pod had lost the label by which it is found, and it was put back.
	EventPodRelabelled = "PodRelabelled"
	// EventProgressRefused: the progress could not be written four times in a row, or twice, four times … as often. It is
	// tried again every 5 s at least.
	EventProgressRefused = "ProgressRefused"
	// EventStatusOverruled: the status was older than what is published, and was written anew from what is so.
	EventStatusOverruled = "StatusOverruled"
	// EventWritesRefused: a master that lives refuses what applications want, for the reason that the condition Available
	// has.
	EventWritesRefused = "WritesRefused"
	// EventWritesAccepted: the master does so no more.
	EventWritesAccepted = "WritesAccepted"
	// EventUsersRestored: the users of a Redis were changed by hand, and were made what the spec says.
	EventUsersRestored = "UsersRestored"
	// EventPodReplaced: an outdated pod was deleted, to be made anew as the spec wants it.
	EventPodReplaced = "PodReplaced"
	// EventSettingSetBack: a setting that spec.config or a default of the operator names was changed on a Redis by other
	// means, and was set back. The message says which.
	EventSettingSetBack = "SettingSetBack"
	// EventPodResized: a pod was given the resources of the spec, and nothing in it was started anew.
	EventPodResized = "PodResized"
	// EventNotResized: a pod cannot be given the resources of the spec while it runs, and is replaced for them; the
	// message has the words of the API server or the kubelet.
	EventNotResized = "NotResized"
	// EventPodMoved: a pod leaves a machine that it shares with others of its set for one that is free.
	EventPodMoved = "PodMoved"
)
