// SPDX-License-Identifier: Apache-2.0

package failover

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

// eventOf names the Event of a transition into a state; begun tells whether it is the first of a failover.
func eventOf(from, to failover.State, begun bool, record *failover.Record) (kind, reason string) {
	switch to {
	case failover.StateSuspected:
		return corev1.EventTypeWarning, v1alpha1.EventMasterSuspected
	case failover.StateFencing:
		if from == failover.StateBlocked {
			return corev1.EventTypeNormal, v1alpha1.EventUnblocked
		}
		return corev1.EventTypeWarning, v1alpha1.EventFailoverStarted
	case failover.StateSwitchingOver:
		return corev1.EventTypeNormal, v1alpha1.EventSwitchoverStarted
	case failover.StatePromoting:
		if begun {
			// nothing was left to be fenced; the message names the candidate
			return corev1.EventTypeWarning, v1alpha1.EventFailoverStarted
		}
		return corev1.EventTypeNormal, v1alpha1.EventCandidateChosen
	case failover.StateReattaching:
		return corev1.EventTypeNormal, v1alpha1.EventMasterPublished
	case failover.StateBlocked:
		return corev1.EventTypeWarning, v1alpha1.EventBlocked
	case failover.StateStable, failover.StateBootstrapping, failover.StateHibernated:
		return restingEvent(from, to, record)
	}
	return "", ""
}

// restingEvent names the Event of a transition into a state in which nothing is under way.
func restingEvent(from, to failover.State, record *failover.Record) (kind, reason string) {
	if to == failover.StateStable {
		return settledEvent(from, record)
	}
	if to == failover.StateHibernated {
		return corev1.EventTypeNormal, v1alpha1.EventHibernated
	}
	return "", ""
}

func settledEvent(from failover.State, record *failover.Record) (kind, reason string) {
	switch {
	case from == failover.StateSuspected:
		return corev1.EventTypeNormal, v1alpha1.EventMasterAnswersAgain
	case record == nil:
		return "", ""
	case record.Outcome == failover.OutcomeAborted:
		return corev1.EventTypeWarning, v1alpha1.EventSwitchoverAborted
	case record.Cause == failover.CauseWoken:
		return corev1.EventTypeNormal, v1alpha1.EventWoken
	case record.Kind == failover.KindBootstrap:
		return corev1.EventTypeNormal, v1alpha1.EventInitialized
	case record.Kind == failover.KindSwitchover:
		return corev1.EventTypeNormal, v1alpha1.EventSwitchoverFinished
	}
	return corev1.EventTypeNormal, v1alpha1.EventFailoverFinished
}

// announce tells people what was persisted: an Event, a log line and the metrics.
func (r *Reconciler) announce(
	ctx context.Context, rha *v1alpha1.RedisHA, before *v1alpha1.FailoverStatus, d failover.Decision,
) {
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
		kind, reason = corev1.EventTypeWarning, v1alpha1.EventStatusOverruled
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
func (r *Reconciler) announceRestarts(ctx context.Context, before, now *v1alpha1.RedisHA) {
	for _, n := range now.Status.Nodes {
		was := slices.IndexFunc(before.Status.Nodes, func(o v1alpha1.NodeStatus) bool { return o.PodUID == n.PodUID })
		if was < 0 || n.ProcessRestarts <= before.Status.Nodes[was].ProcessRestarts {
			continue
		}
		message := fmt.Sprintf(
			"another Redis process runs in pod %s; %d have been started anew in it", n.Pod, n.ProcessRestarts,
		)
		r.Recorder.Event(now, corev1.EventTypeWarning, v1alpha1.EventRedisRestarted, message)
		log.FromContext(ctx).Info(message, "event", v1alpha1.EventRedisRestarted, "pod", n.Pod, "restarts", n.ProcessRestarts)
	}
}
