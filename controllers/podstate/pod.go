// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/redisha/redisha/controllers/resources"
)

// HasEnded says whether no container of the pod runs, nor ever will again.
func HasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
}

// IsReady says whether every container of the pod is ready.
func IsReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// RedisRuns says whether the Redis container of the pod is running.
func RedisRuns(pod *corev1.Pod) bool {
	status := RedisStatus(pod)
	return status != nil && status.State.Running != nil
}

// RedisStatus is the status of the Redis container of the pod; nil when there is none yet.
func RedisStatus(pod *corev1.Pod) *corev1.ContainerStatus {
	i := slices.IndexFunc(
		pod.Status.ContainerStatuses,
		func(s corev1.ContainerStatus) bool { return s.Name == resources.RedisContainer },
	)
	if i < 0 {
		return nil
	}
	return &pod.Status.ContainerStatuses[i]
}

// WaitsInVain reports a container that waits for what may never come: an image, a configuration, the end of a back-off.
func WaitsInVain(waiting *corev1.ContainerStateWaiting) bool {
	return waiting != nil && waiting.Reason != "" && waiting.Reason != "ContainerCreating" &&
		waiting.Reason != "PodInitializing"
}
