// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/podstate"
)

// redisReady says whether the Redis container of the pod is ready. What runs beside it has no part in serving.
func redisReady(pod *corev1.Pod) bool {
	status := podstate.RedisStatus(pod)
	return status != nil && status.Ready
}

// stuck reports a pod that runs no Redis, and not just because it is being started.
func stuck(pod *corev1.Pod) bool {
	if podstate.HasEnded(pod) || unscheduled(pod) != "" {
		return true
	}
	status := podstate.RedisStatus(pod)
	return status != nil && podstate.WaitsInVain(status.State.Waiting)
}

// unscheduled is why there is no machine for a pod; empty when there is, or when that is not known.
func unscheduled(pod *corev1.Pod) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return strings.Trim(c.Reason+": "+c.Message, ": ")
		}
	}
	return ""
}

// ailment is what is wrong with a pod, and whether that is more than that it is being started. It says the same for as
// long as the cause is the same: what changes with each start of a container would be written to the status each time.
func ailment(pod *corev1.Pod, now time.Time) (said string, ill bool) {
	if why := unscheduled(pod); why != "" {
		return why, true
	}
	for i := range pod.Status.ContainerStatuses {
		switch status := &pod.Status.ContainerStatuses[i]; {
		case hasStopped(status, now):
			return fmt.Sprintf("container %s has ended", status.Name), true
		case podstate.WaitsInVain(status.State.Waiting):
			return fmt.Sprintf("container %s waits: %s", status.Name, status.State.Waiting.Reason), true
		case !status.Ready && said == "":
			said = fmt.Sprintf("container %s is not ready", status.Name)
		}
	}
	return said, false
}

// hasStopped reports a container that does not run, or not for long, because it has ended.
func hasStopped(status *corev1.ContainerStatus, now time.Time) bool {
	if status.State.Terminated != nil {
		return true
	}
	running := status.State.Running
	return status.RestartCount > 0 && (running == nil || now.Sub(running.StartedAt.Time) < podstate.ProvenAtMost)
}

// stopsAfter is when a pod that only is not ready yet counts as one that will not be: its Redis is in sync, and what
// runs beside it is not.
const stopsAfter = time.Minute

// unproven is the pod, among those that are what the spec wants, that a rollout may not go on from; nil when there is
// none. One change stops at one pod: what is wrong with the first that has it would be wrong with the next.
func (r rollout) unproven() *corev1.Pod {
	for i := range r.pods {
		pod := &r.pods[i]
		if pod.DeletionTimestamp.IsZero() && !podstate.IsOutdated(r.rha, r.sts, pod) &&
			(!podstate.IsProven(pod, r.now) || !r.serves(pod)) {
			return pod
		}
	}
	return nil
}

// provenIn is after how long there may be another pod that a rollout waits for, or none; zero when that is not known.
func (r rollout) provenIn() time.Duration {
	pod := r.unproven()
	if pod == nil || len(r.outdated()) == 0 {
		return 0
	}
	if left, well := podstate.ProvenIn(pod, r.now); well {
		return left
	}
	return max(0, stopsAfter-r.now.Sub(pod.CreationTimestamp.Time))
}

// doubt says what a rollout waits for that may not go on from a pod.
func (r rollout) doubt(pod *corev1.Pod) podProgress {
	said, ill := ailment(pod, r.now)
	left, _ := podstate.ProvenIn(pod, r.now)
	late := r.serves(pod) && !podstate.IsReady(pod) && r.now.Sub(pod.CreationTimestamp.Time) >= stopsAfter
	if said != "" {
		said = ": " + said
	}
	switch {
	case r.tooOld(pod):
		return podProgress{v1alpha1.ReasonRolloutStopped, fmt.Sprintf(
			"%s has the change and cannot follow: its Redis is %s, the master's is %s, and an older one may not read what a "+
				"newer one sends: set spec.image to that version or a newer one",
			pod.Name, r.version(pod.Name), r.version(r.master()),
		)}
	case ill || late:
		return podProgress{v1alpha1.ReasonRolloutStopped, pod.Name + " has the change and is not well" + said}
	case left > 0:
		return podProgress{v1alpha1.ReasonWaitingForNodes, fmt.Sprintf("waiting for %s to stay ready", pod.Name)}
	}
	return podProgress{v1alpha1.ReasonWaitingForNodes, "waiting for " + pod.Name + said}
}

// reportStop emits an Event when a rollout has stopped at a pod.
func (w *pass) reportStop(status *v1alpha1.RedisHAStatus) {
	now := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionProgressing)
	before := meta.FindStatusCondition(w.rha.Status.Conditions, v1alpha1.ConditionProgressing)
	if now != nil && now.Reason == v1alpha1.ReasonRolloutStopped && (before == nil || before.Reason != now.Reason) {
		w.Recorder.Event(w.rha, corev1.EventTypeWarning, now.Reason, now.Message)
	}
}
