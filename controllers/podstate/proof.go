// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/redisha/redisha/controllers/resources"
)

const (
	// ProvenAfter is for how long a pod has to be ready before a rollout goes on from it. A container that ends as soon as
	// it was started is ready for a second each time.
	ProvenAfter = 10 * time.Second
	// ProvenAtMost bounds what probes and restarts add to it. It is as long as a kubelet waits at most before it starts a
	// container anew: a pod whose container ends less often than that counts as well.
	ProvenAtMost = 5 * time.Minute
)

// ProvenIn says whether all containers of the pod are ready, and for how long they have to go on being so until the pod
// has proven that it stays well. It is pure.
func ProvenIn(pod *corev1.Pod, now time.Time) (left time.Duration, well bool) {
	for _, c := range pod.Status.Conditions {
		if c.Type != corev1.PodReady || c.Status != corev1.ConditionTrue {
			continue
		}
		since := c.LastTransitionTime.Time
		if since.After(now) {
			// the clock of its machine is ahead of ours by an unknown time; a rollout must not wait for that to pass
			return 0, true
		}
		return max(0, since.Add(probation(pod)).Sub(now)), true
	}
	return 0, false
}

// IsProven reports a pod that is well and has been for long enough.
func IsProven(pod *corev1.Pod, now time.Time) bool {
	left, well := ProvenIn(pod, now)
	return well && left == 0
}

// probation is for how long a pod has to be ready: as long as the liveness probe of a container beside Redis takes to
// fail, and twice as long for each time that a container has ended. Redis itself ends at once if it cannot run, and its
// probe is made not to fail.
func probation(pod *corev1.Pod) time.Duration {
	wait := ProvenAfter
	for i := range pod.Spec.Containers {
		if c := &pod.Spec.Containers[i]; c.Name != resources.RedisContainer && c.LivenessProbe != nil {
			p := c.LivenessProbe
			fails := p.InitialDelaySeconds + max(p.FailureThreshold, 1)*max(p.PeriodSeconds, 1) + max(p.TimeoutSeconds, 1)
			wait = max(wait, time.Duration(fails)*time.Second)
		}
	}
	for _, status := range pod.Status.ContainerStatuses {
		doubled := ProvenAfter << min(max(status.RestartCount, 0), 10)
		wait = max(wait, doubled)
	}
	return min(wait, ProvenAtMost)
}
