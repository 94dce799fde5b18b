// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/podstate"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/controllers/tenancy"
)

// resizesIn is for how long a pod that was asked to take other resources may be without them. What its machine has no
// room for at present is waited for.
const resizesIn = 2 * time.Minute

// maxWhy bounds what is kept of the words of another program, in bytes.
const maxWhy = 512

// resizePods gives the pods that run the processor and memory of the spec, one at a time. Where that cannot be, the pod
// is marked, and replaced as an outdated one.
func (w *pass) resizePods(ctx context.Context) error {
	if w.sts == nil || w.renewed || w.rha.Spec.Failover.Mode == v1alpha1.ModePaused {
		return nil
	}
	before := w.known.resizes
	w.known.resizes = map[types.UID]lasting{}
	for i := range w.pods {
		if err := w.followResize(ctx, &w.pods[i], before); err != nil {
			return err
		}
	}
	for _, pod := range w.rollout().resizable() {
		if !w.hasRoomFor(pod) {
			continue
		}
		if err := w.resize(ctx, pod); err != nil {
			return err
		}
	}
	return nil
}

// followResize sees to what became of a pod that was asked to take other resources.
func (w *pass) followResize(ctx context.Context, pod *corev1.Pod, before map[types.UID]lasting) error {
	began, asked := before[pod.UID]
	reason, message, is := podstate.Resizing(w.rha, w.sts, pod)
	switch {
	case !pod.DeletionTimestamp.IsZero():
		return nil
	case !is && asked && !podstate.AwaitsResize(w.rha, w.sts, pod) && podstate.WhyNotResized(w.sts, pod) == "":
		w.Recorder.Eventf(w.rha, corev1.EventTypeNormal, v1alpha1.EventPodResized,
			"Pod %s was given the resources of the spec while it runs: %s", pod.Name, podstate.WantedSizes(w.sts))
		return nil
	case !is:
		return nil
	}
	lasted := began.lasted(w.now())
	w.known.resizes[pod.UID] = began
	switch {
	case reason == corev1.PodReasonDeferred:
		return nil
	case reason == corev1.PodReasonInfeasible, lasted >= resizesIn:
		return w.notResized(ctx, pod, strings.Trim(reason+": "+message, ": "))
	}
	w.lookAgain(resizesIn - lasted)
	return nil
}

// hasRoomFor reports a pod whose Redis takes no more memory than it is to have room for.
func (w *pass) hasRoomFor(pod *corev1.Pod) bool {
	amounts := podstate.WantedSizes(w.sts).Requirements()
	next, has := amounts.Limits.Memory().Value(), resources.MemoryLimit(pod)
	if w.Teller == nil || next == 0 || has > 0 && has <= next || !resources.FollowsMemory(w.rha, "maxmemory") {
		return true
	}
	for _, node := range w.runningNodes() {
		if node.UID != string(pod.UID) {
			continue
		}
		t := w.known.settings.told[node.UID]
		takes, err := strconv.ParseInt(t.After["maxmemory"], 10, 64)
		return t.runID == node.RunID && err == nil && takes > 0 && takes <= resources.MaxMemory(next)
	}
	return !podstate.RedisRuns(pod)
}

// resize asks the API server to let a pod have the resources that its StatefulSet wants.
func (w *pass) resize(ctx context.Context, pod *corev1.Pod) error {
	wanted := podstate.WantedSizes(w.sts)
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID},
		"spec": map[string]any{"containers": []any{
			map[string]any{"name": resources.RedisContainer, "resources": wanted.Requirements()},
		}},
	})
	if err != nil {
		return fmt.Errorf("resizing pod %q: %w", pod.Name, err)
	}
	answer := pod.DeepCopy()
	err = w.Client.SubResource("resize").Patch(
		ctx, answer, client.RawPatch(types.StrategicMergePatchType, patch), client.FieldOwner(fieldOwner),
	)
	switch {
	case err == nil:
	case isGone(err):
		return nil
	case cannotResize(err):
		return w.notResized(ctx, pod, err.Error())
	case apierrors.IsForbidden(err):
		w.later = errors.Join(w.later, refuse(v1alpha1.ReasonResizeRefused,
			"spec.resources: pod %q goes on with what it has: mend what refuses it, or change the spec: %v", pod.Name, err))
		return nil
	case tenancy.PauseFor(err) > 0:
		return err
	default:
		return fmt.Errorf("resizing pod %q: %w", pod.Name, err)
	}
	ctrl.LoggerFrom(ctx).Info("resizing a pod", "pod", pod.Name, "resources", wanted.String())
	w.known.resizes[pod.UID] = lasting{since: w.now()}
	w.lookAgain(resizesIn)
	pod.Spec, pod.Generation = answer.Spec, answer.Generation
	return w.annotate(ctx, pod, map[string]string{v1alpha1.AnnotationResources: wanted.String()})
}

// notResized marks a pod that cannot be given the resources while it runs.
func (w *pass) notResized(ctx context.Context, pod *corev1.Pod, why string) error {
	if why == "" {
		why = fmt.Sprintf("its kubelet has not done it within %s", resizesIn)
	}
	why = strings.ToValidUTF8(why[:min(len(why), maxWhy)], "")
	delete(w.known.resizes, pod.UID)
	ctrl.LoggerFrom(ctx).Info("a pod cannot be resized while it runs", "pod", pod.Name, "why", why)
	w.Recorder.Eventf(w.rha, corev1.EventTypeWarning, v1alpha1.EventNotResized,
		"Pod %s cannot be given the resources of the spec while it runs, and is outdated: %s", pod.Name, why)
	return w.annotate(ctx, pod, map[string]string{v1alpha1.AnnotationNotResized: podstate.NotResized(w.sts, why)})
}

// isGone reports that there is no such pod any more. An API server that does not know the subresource says 404 as well.
func isGone(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsNotFound(err) && !unknownToServer(err)
}

// The API server names these causes where it is the node under a pod that does not let it be resized.
const (
	causeCapacity metav1.CauseType = "NodeCapacity"
	causePlatform metav1.CauseType = "UnsupportedPlatform"
)

// cannotResize reports that this cluster does not let this pod run on with these resources: it does not know how, does
// not let the operator, or says that only another pod, or one on another node, can have them. What else its admission
// refuses, another pod would be refused as well.
func cannotResize(err error) bool {
	ofNode := apierrors.HasStatusCause(err, causeCapacity) || apierrors.HasStatusCause(err, causePlatform)
	return unknownToServer(err) || apierrors.IsMethodNotSupported(err) || apierrors.IsInvalid(err) || ofNode ||
		apierrors.IsForbidden(err) && strings.Contains(err.Error(), `cannot patch resource "pods/resize"`)
}

func unknownToServer(err error) bool {
	return apierrors.IsNotFound(err) && apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// resizable are the pods to ask now. One whose Redis is not ready is asked at once, for more memory may be what it
// needs. Of those that serve one at a time is: replicas from the highest ordinal down, and the master last.
func (r rollout) resizable() []*corev1.Pod {
	var now []*corev1.Pod
	var next *corev1.Pod
	for i := range r.pods {
		pod := &r.pods[i]
		switch {
		case !r.awaitsResize(pod):
		case !redisReady(pod):
			now = append(now, pod)
		case next == nil || next.Name == r.master() || pod.Name != r.master():
			next = pod
		}
	}
	if next != nil && r.resizeWaits() == "" {
		now = append(now, next)
	}
	return now
}

// awaitsResize reports a pod that is to be asked, and not to be replaced in any case.
func (r rollout) awaitsResize(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp.IsZero() && podstate.AwaitsResize(r.rha, r.sts, pod) &&
		!podstate.IsDue(r.rha, r.sts, pod)
}

// resizeWaits is what the next pod that serves has to wait for; empty when it is asked. A change stops at one pod: at
// one that has not got it yet, and at one that has it and does not serve.
func (r rollout) resizeWaits() string {
	if failover := r.rha.Status.Failover; failover == nil || failover.State != v1alpha1.StateStable {
		return "waiting for the failover state Stable"
	}
	for i := range r.pods {
		pod := &r.pods[i]
		reason, message, is := podstate.Resizing(r.rha, r.sts, pod)
		switch {
		case !pod.DeletionTimestamp.IsZero() || r.awaitsResize(pod):
		case is && redisReady(pod):
			if reason == corev1.PodReasonDeferred {
				message += "; a requested restart replaces the pods instead"
			}
			return strings.Trim(fmt.Sprintf("waiting for %s: %s: %s", pod.Name, reason, message), ": ")
		case podstate.IsDue(r.rha, r.sts, pod), !r.serves(pod):
			return "waiting for " + pod.Name
		}
	}
	return ""
}

// resizing describes a set in which pods are given other resources while they run; the zero value when there is none.
func (r rollout) resizing() podProgress {
	var left []corev1.Pod
	waits := r.resizeWaits()
	for i := range r.pods {
		pod := &r.pods[i]
		if r.awaitsResize(pod) || pod.DeletionTimestamp.IsZero() && podstate.IsResizing(r.rha, r.sts, pod) {
			left = append(left, *pod)
		}
	}
	switch {
	case len(left) == 0:
		return podProgress{}
	case r.rha.Spec.Failover.Mode == v1alpha1.ModePaused:
		return podProgress{
			v1alpha1.ReasonRolloutPaused, podNames(left) + " to be resized while they run; spec.failover.mode is Paused",
		}
	case waits != "":
		waits = "; " + waits
	}
	return podProgress{
		v1alpha1.ReasonResizing,
		"giving " + podNames(left) + " the resources of the spec while they run" + waits,
	}
}

// whyNotResized says which outdated pod cannot be given the resources while it runs, and why; empty when there is none.
func (r rollout) whyNotResized() string {
	for _, pod := range r.outdated() {
		if why := podstate.WhyNotResized(r.sts, &pod); why != "" {
			return pod.Name + " cannot be resized while it runs: " + why
		}
	}
	return ""
}
