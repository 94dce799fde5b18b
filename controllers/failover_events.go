// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/failover"
)

// Reasons of the Events that the failover controller records, one per transition.
const (
	eventInvalidRequest     = "InvalidRequest"
	eventRequestRepeated    = "RequestRepeated"
	eventSuspected          = "MasterSuspected"
	eventAnswersAgain       = "MasterAnswersAgain"
	eventFailoverStarted    = "FailoverStarted"
	eventSwitchoverStarted  = "SwitchoverStarted"
	eventSwitchoverAborted  = "SwitchoverAborted"
	eventCandidateChosen    = "CandidateChosen"
	eventMasterPublished    = "MasterPublished"
	eventFailoverFinished   = "FailoverFinished"
	eventSwitchoverFinished = "SwitchoverFinished"
	eventInitialized        = "Initialized"
	eventBlocked            = "Blocked"
	eventUnblocked          = "Unblocked"
	eventRefused            = "Refused"
	eventRedisRestarted     = "RedisRestarted"
	eventPodRelabelled      = "PodRelabelled"
	eventProgressRefused    = "ProgressRefused"
	eventFailoverDelayed    = "FailoverDelayed"
	eventStatusOverruled    = "StatusOverruled"
	eventWritesRefused      = "WritesRefused"
	eventWritesAccepted     = "WritesAccepted"
)

// eventOf names the Event of a transition into a state; begun tells whether it is the first of a failover.
func eventOf(from, to failover.State, begun bool, record *failover.Record) (kind, reason string) {
	switch to {
	case failover.StateSuspected:
		return corev1.EventTypeWarning, eventSuspected
	case failover.StateFencing:
		if from == failover.StateBlocked {
			return corev1.EventTypeNormal, eventUnblocked
		}
		return corev1.EventTypeWarning, eventFailoverStarted
	case failover.StateSwitchingOver:
		return corev1.EventTypeNormal, eventSwitchoverStarted
	case failover.StatePromoting:
		if begun {
			return corev1.EventTypeWarning, eventFailoverStarted // nothing was left to be fenced; the message names the candidate
		}
		return corev1.EventTypeNormal, eventCandidateChosen
	case failover.StateReattaching:
		return corev1.EventTypeNormal, eventMasterPublished
	case failover.StateBlocked:
		return corev1.EventTypeWarning, eventBlocked
	case failover.StateStable:
		return settledEvent(from, record)
	case failover.StateBootstrapping:
	}
	return "", ""
}

func settledEvent(from failover.State, record *failover.Record) (kind, reason string) {
	switch {
	case from == failover.StateSuspected:
		return corev1.EventTypeNormal, eventAnswersAgain
	case record == nil:
		return "", ""
	case record.Outcome == failover.OutcomeAborted:
		return corev1.EventTypeWarning, eventSwitchoverAborted
	case record.Kind == failover.KindBootstrap:
		return corev1.EventTypeNormal, eventInitialized
	case record.Kind == failover.KindSwitchover:
		return corev1.EventTypeNormal, eventSwitchoverFinished
	}
	return corev1.EventTypeNormal, eventFailoverFinished
}

// announce tells people what was persisted: an Event, a log line and the metrics.
func (r *FailoverReconciler) announce(ctx context.Context, rha *v1alpha1.RedisHA, before *v1alpha1.FailoverStatus, d failover.Decision) {
	key := client.ObjectKeyFromObject(rha)
	from, begun := failover.StateBootstrapping, false
	if before != nil {
		from = failover.State(before.State)
		begun = from != failover.StateBootstrapping && before.Epoch != d.Next.Epoch
	}
	observeDecision(key, d)
	if from == d.Next.State && !d.Overruled {
		return
	}
	kind, reason := eventOf(from, d.Next.State, begun, d.Record)
	if d.Overruled {
		kind, reason = corev1.EventTypeWarning, eventStatusOverruled
	}
	if reason == "" {
		return
	}
	message := d.Message
	if d.Reason != failover.ReasonNone {
		message = fmt.Sprintf("%s: %s", d.Reason, d.Message)
	}
	r.Recorder.Event(rha, kind, reason, message)
	log.FromContext(ctx).Info(message, "event", reason, "state", d.Next.State, "epoch", d.Next.Epoch)
}

// announceRestarts tells people of each Redis process that was met in the place of another. That of one that was
// started anew inside its container is no restart to Kubernetes.
func (r *FailoverReconciler) announceRestarts(ctx context.Context, before, now *v1alpha1.RedisHA) {
	for _, n := range now.Status.Nodes {
		was := slices.IndexFunc(before.Status.Nodes, func(o v1alpha1.NodeStatus) bool { return o.PodUID == n.PodUID })
		if was < 0 || n.ProcessRestarts <= before.Status.Nodes[was].ProcessRestarts {
			continue
		}
		message := fmt.Sprintf("another Redis process runs in pod %s; %d have been started anew in it", n.Pod, n.ProcessRestarts)
		r.Recorder.Event(now, corev1.EventTypeWarning, eventRedisRestarted, message)
		log.FromContext(ctx).Info(message, "event", eventRedisRestarted, "pod", n.Pod, "restarts", n.ProcessRestarts)
	}
}
