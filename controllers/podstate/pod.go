// SPDX-License-Identifier: Apache-2.0

package podstate

import corev1 "k8s.io/api/core/v1"

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
