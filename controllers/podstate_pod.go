// SPDX-License-Identifier: Apache-2.0

package controllers

import corev1 "k8s.io/api/core/v1"

// hasEnded says whether no container of the pod runs, nor ever will again.
func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
}

// podReady says whether every container of the pod is ready.
func podReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
