// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// resize asks for another limit and request of memory.
func resize(t *testing.T, namespace, pod, limit, request string) error {
	t.Helper()
	patch := fmt.Sprintf(
		`{"spec":{"containers":[{"name":"redis","resources":{"limits":{"memory":%q},"requests":{"memory":%q}}}]}}`,
		limit,
		request,
	)
	_, err := client.CoreV1().Pods(namespace).
		Patch(within(t), pod, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "resize")
	return err
}

// hasMemory reports a container whose status has that limit, in a pod that waits for no other.
func hasMemory(pod *corev1.Pod, limit string) bool {
	resources := pod.Status.ContainerStatuses[0].Resources
	_, waits := conditionOf(pod, corev1.PodResizePending)
	_, changes := conditionOf(pod, corev1.PodResizeInProgress)
	return resources != nil && resources.Limits.Memory().String() == limit && !waits && !changes &&
		pod.Status.ObservedGeneration == pod.Generation
}

func conditionOf(pod *corev1.Pod, kind corev1.PodConditionType) (corev1.PodCondition, bool) {
	for _, c := range pod.Status.Conditions {
		if c.Type == kind {
			return c, true
		}
	}
	return corev1.PodCondition{}, false
}

func TestAPodIsGivenOtherResourcesWhileItRuns(t *testing.T) {
	namespace := newNamespace(t)
	apply(t, namespace, strings.Replace(
		redisPod("single"), "    image:",
		"    resources: {limits: {memory: 100Mi}, requests: {memory: 50Mi}}\n    image:", 1,
	))
	ready(t, namespace, "single")
	before := waitPod(
		t,
		namespace,
		"single",
		"with its limit",
		func(pod *corev1.Pod) bool { return hasMemory(pod, "100Mi") },
	)
	changes := func(why string) func(*corev1.Pod) bool {
		return func(pod *corev1.Pod) bool {
			waits, _ := conditionOf(pod, corev1.PodResizePending)
			fails, _ := conditionOf(pod, corev1.PodResizeInProgress)
			return strings.Contains(waits.Reason+waits.Message+fails.Reason+fails.Message, why)
		}
	}
	check(t, resize(t, namespace, "single", "200Mi", "60Mi"))
	waitPod(t, namespace, "single", "with more", func(pod *corev1.Pod) bool { return hasMemory(pod, "200Mi") })
	apply(t, namespace, strings.NewReplacer("    image:", "    resources: {requests: {memory: 60Gi}}\n    image:",
		"  containers:", "  nodeName: "+before.Spec.NodeName+"\n  containers:").Replace(redisPod("large")))
	waitPod(t, namespace, "large", "there", isReady)
	check(t, resize(t, namespace, "single", "10Gi", "10Gi"))
	waitPod(t, namespace, "single", "waiting for room", changes("DeferredNode didn't have enough resource: memory"))
	check(t, resize(t, namespace, "single", "100Mi", "60Mi"))
	waitPod(t, namespace, "single", "as it was", func(pod *corev1.Pod) bool { return hasMemory(pod, "100Mi") })
	check(t, resize(t, namespace, "single", "1Mi", "1Mi"))
	waitPod(t, namespace, "single", "using more", changes("Errorcannot decrease memory limits"))
	check(t, resize(t, namespace, "single", "80Mi", "60Mi"))
	after := waitPod(t, namespace, "single", "with less", func(pod *corev1.Pod) bool { return hasMemory(pod, "80Mi") })
	was, is := before.Status.ContainerStatuses[0], after.Status.ContainerStatuses[0]
	if was.ContainerID != is.ContainerID || is.RestartCount != 0 {
		t.Errorf("the container was started anew: %+v", is)
	}
}
