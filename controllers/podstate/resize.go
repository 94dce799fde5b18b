// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

// needsAnotherPod reports a pod that cannot be given the processor and memory it is to have: it was tried, or a limit
// or a request is to go, which Kubernetes lets no pod do.
func needsAnotherPod(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pod *corev1.Pod) bool {
	has, wanted, known := sizesOf(rha, sts, pod)
	return known && (len(has.Lacking(wanted)) > 0 || WhyNotResized(sts, pod) != "")
}

// WhyNotResized is why the pod cannot be given what its StatefulSet wants, in the words of the API server or the
// kubelet; empty when that is not known.
func WhyNotResized(sts *appsv1.StatefulSet, pod *corev1.Pod) string {
	why, is := strings.CutPrefix(pod.Annotations[v1alpha1.AnnotationNotResized], NotResized(sts, ""))
	if !is {
		return ""
	}
	return why
}

// NotResized is the annotation of a pod that cannot be given what its StatefulSet wants.
func NotResized(sts *appsv1.StatefulSet, why string) string {
	return sts.Spec.Template.Annotations[v1alpha1.AnnotationResources] + ": " + why
}

// WantedSizes is the processor and memory that a StatefulSet wants for Redis.
func WantedSizes(sts *appsv1.StatefulSet) resources.Sizes {
	return resources.ParseSizes(sts.Spec.Template.Annotations[v1alpha1.AnnotationResources])
}

// AwaitsResize reports a pod that is to be given processor and memory while it runs, and was not asked to take them.
func AwaitsResize(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pod *corev1.Pod) bool {
	has, wanted, known := sizesOf(rha, sts, pod)
	return known && !has.Equal(wanted) && !needsAnotherPod(rha, sts, pod)
}

// sizesOf is what a pod has, or was asked to take, and what it is to have. It is known once the template says so. A pod
// of a version that wrote no record is known by the hash of its spec.
func sizesOf(
	rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pod *corev1.Pod,
) (has, wanted resources.Sizes, known bool) {
	if !formOf(&sts.Spec.Template).sizes {
		return nil, nil, false
	}
	wanted = WantedSizes(sts)
	if text, is := pod.Annotations[v1alpha1.AnnotationResources]; is {
		return resources.ParseSizes(text), wanted, true
	}
	return wanted, wanted, IsOfSpec(rha, sts, pod)
}

// Resizing reports a pod that was asked to take what its StatefulSet wants and has not got it yet, and what its kubelet
// says of that. One that another program resizes is not meant.
func Resizing(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pod *corev1.Pod) (reason, message string, is bool) {
	has, wanted, known := sizesOf(rha, sts, pod)
	if !known || !has.Equal(wanted) || !asksFor(pod, wanted) || needsAnotherPod(rha, sts, pod) {
		return "", "", false
	}
	reason, message, is = kubeletSays(pod)
	return reason, message, is || unseen(pod)
}

// kubeletSays is whether a kubelet is at resizing a pod, or waits to be, and why it has not done it.
func kubeletSays(pod *corev1.Pod) (reason, message string, is bool) {
	for i := range pod.Status.Conditions {
		c := &pod.Status.Conditions[i]
		ofResize := c.Type == corev1.PodResizePending || c.Type == corev1.PodResizeInProgress
		if ofResize && c.Status == corev1.ConditionTrue && (!is || c.Reason != "") {
			reason, message, is = c.Reason, c.Message, true
		}
	}
	return reason, message, is
}

// IsResizing is [Resizing] without the kubelet's words.
func IsResizing(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pod *corev1.Pod) bool {
	_, _, is := Resizing(rha, sts, pod)
	return is
}

// asksFor reports a pod whose spec has these amounts.
func asksFor(pod *corev1.Pod, wanted resources.Sizes) bool {
	redis := redisContainer(pod)
	if redis == nil {
		return false
	}
	amounts := wanted.Requirements()
	return includes(redis.Resources.Limits, amounts.Limits) && includes(redis.Resources.Requests, amounts.Requests)
}

func includes(all, some corev1.ResourceList) bool {
	for name, amount := range some {
		if has, is := all[name]; !is || has.Cmp(amount) != 0 {
			return false
		}
	}
	return true
}

func redisContainer(pod *corev1.Pod) *corev1.Container {
	for i := range pod.Spec.Containers {
		if c := &pod.Spec.Containers[i]; c.Name == resources.RedisContainer {
			return c
		}
	}
	return nil
}

// unseen reports a pod whose kubelet has not said anything of what it was asked to take. Some kubelets do not say which
// spec they have seen. One that does may report a limit of the processor in another way.
func unseen(pod *corev1.Pod) bool {
	seen := pod.Status.ObservedGeneration
	status, redis := RedisStatus(pod), redisContainer(pod)
	switch {
	case seen > 0 && seen < pod.Generation:
		return true
	case status == nil || status.Resources == nil || redis == nil:
		return false
	case seen > 0:
		return redis.Resources.Limits.Memory().Cmp(*status.Resources.Limits.Memory()) != 0
	}
	return !includes(status.Resources.Limits, redis.Resources.Limits)
}
