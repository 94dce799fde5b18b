// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/conditions"
	"github.com/redisha/redisha/controllers/podstate"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
)

// sighting is what one decision is based on, and what else people are told of the set. The decision does not depend on
// that.
type sighting struct {
	failover.Observation
	// unfinished is what of the spec has not reached the pods; nil when all of it has.
	unfinished *unfinished
	// turns is when there may be something else to do, though nothing else is seen.
	turns failover.Again
	// hibernate is the pod whose volume has the data of a set whose last pod may go; see failover.Policy.
	hibernate string
}

// unfinished is a reason of the condition Ready, with a sentence.
type unfinished struct{ reason, message string }

func lacking(reason, format string, args ...any) *unfinished {
	return &unfinished{reason: reason, message: fmt.Sprintf(format, args...)}
}

// readyCondition: the spec of this generation is applied, its pods run and none of them is about to go, a master
// serves, and all others follow it. Whoever waits for Ready (kubectl wait, kstatus) takes it for the end of a change,
// so it is not said one instant too early.
func readyCondition(rha *v1alpha1.RedisHA, d failover.Decision, seen sighting) metav1.Condition {
	kind, want := v1alpha1.ConditionReady, int(resources.Replicas(rha))
	attached := attachedReplicas(d.Next)
	available := availableCondition(rha, d, seen.Observation)
	cause := firstUnfinished(unapplied(rha), troubled(rha))
	switch {
	case cause != nil:
		return conditions.New(kind, false, cause.reason, cause.message)
	case d.Next.State == failover.StateHibernated && seen.unfinished != nil:
		return conditions.New(kind, false, seen.unfinished.reason, seen.unfinished.message)
	case available.Status != metav1.ConditionTrue:
		return conditions.New(kind, false, available.Reason, available.Message)
	case seen.unfinished != nil:
		return conditions.New(kind, false, seen.unfinished.reason, seen.unfinished.message)
	case attached < want-1:
		return conditions.New(
			kind, false, v1alpha1.ReasonReplicasSyncing, fmt.Sprintf("%d of %d replicas follow the master", attached, want-1),
		)
	}
	return conditions.New(
		kind, true, v1alpha1.ReasonAllNodesReady, fmt.Sprintf("the master serves and %d replicas follow it", want-1),
	)
}

func firstUnfinished(all ...*unfinished) *unfinished {
	if i := slices.IndexFunc(all, func(u *unfinished) bool { return u != nil }); i >= 0 {
		return all[i]
	}
	return nil
}

// unapplied is the word of the workload controller on the objects of this generation; nil when all are as the spec
// wants them.
func unapplied(rha *v1alpha1.RedisHA) *unfinished {
	c := meta.FindStatusCondition(rha.Status.Conditions, v1alpha1.ConditionReconciled)
	switch {
	case c == nil || c.ObservedGeneration != rha.Generation:
		return lacking(v1alpha1.ReasonSpecNotApplied, "the spec of generation %d is not applied yet", rha.Generation)
	case c.Status != metav1.ConditionTrue:
		return &unfinished{reason: c.Reason, message: c.Message}
	}
	return nil
}

// troubled is the word of the workload controller on pods that cannot come up or stay up; nil when it knows of none.
func troubled(rha *v1alpha1.RedisHA) *unfinished {
	c := meta.FindStatusCondition(rha.Status.Conditions, v1alpha1.ConditionProgressing)
	if c == nil || c.ObservedGeneration != rha.Generation || !conditions.IsTrouble(c.Reason) {
		return nil
	}
	return &unfinished{reason: c.Reason, message: c.Message}
}

// unfinishedOf looks for what of the spec has not reached the StatefulSet and the pods. Where a RedisHA was deleted and
// made again, both may be of the one before it.
func unfinishedOf(
	rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pods []corev1.Pod, now time.Time,
) *unfinished {
	want := resources.Replicas(rha)
	switch {
	case sts.UID == "":
		return lacking(v1alpha1.ReasonSpecNotApplied, "there is no StatefulSet yet")
	case sts.DeletionTimestamp != nil || !metav1.IsControlledBy(sts, rha):
		return lacking(v1alpha1.ReasonSpecNotApplied, "the StatefulSet of a former RedisHA is still there")
	case sts.Spec.Template.Annotations[v1alpha1.AnnotationSpecHash] != resources.SpecHash(rha),
		sts.Spec.Template.Annotations[v1alpha1.AnnotationSettings] != resources.RecordOf(rha).String(),
		sts.Spec.Template.Annotations[v1alpha1.AnnotationResources] != resources.SizesOf(rha).String():
		return lacking(v1alpha1.ReasonSpecNotApplied, "the spec has not reached the StatefulSet")
	case ptr.Deref(sts.Spec.Replicas, 1) != want:
		return lacking(v1alpha1.ReasonScaling, "the StatefulSet is to have %d pods", want)
	case sts.Status.ObservedGeneration != sts.Generation:
		return lacking(v1alpha1.ReasonSpecNotApplied, "the StatefulSet controller has not seen the change yet")
	}
	return unfinishedPods(rha, sts, pods, now)
}

func unfinishedPods(
	rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pods []corev1.Pod, now time.Time,
) *unfinished {
	want := int(resources.Replicas(rha))
	for i := range pods {
		pod := &pods[i]
		ordinal, _ := resources.Ordinal(rha.Name, pod.Name)
		switch {
		case pod.DeletionTimestamp != nil:
			return lacking(v1alpha1.ReasonNodesLeaving, "pod %s is being deleted", pod.Name)
		case ordinal >= want:
			return lacking(v1alpha1.ReasonScaling, "pod %s is to be removed", pod.Name)
		case !metav1.IsControlledBy(pod, sts):
			return lacking(v1alpha1.ReasonNodesLeaving, "pod %s does not belong to the StatefulSet", pod.Name)
		case podstate.IsDue(rha, sts, pod) && podstate.IsHeld(rha, sts, pod, now):
			return lacking(
				v1alpha1.ReasonNodesOutdated, "master %s is outdated, and stays until a maintenance window opens", pod.Name,
			)
		case podstate.IsDue(rha, sts, pod):
			return lacking(v1alpha1.ReasonNodesOutdated, "pod %s is outdated and to be replaced", pod.Name)
		case podstate.IsOutdated(rha, sts, pod) && rha.Spec.UpdateStrategy.Type == v1alpha1.UpdateSupervised:
			return lacking(
				v1alpha1.ReasonNodesOutdated,
				"master %s is outdated, and a person is to request the switchover",
				pod.Name,
			)
		}
	}
	if len(pods) < want {
		return lacking(v1alpha1.ReasonNodesMissing, "%d of %d Redis pods exist", len(pods), want)
	}
	return unreadyPods(rha, sts, pods)
}

func unreadyPods(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pods []corev1.Pod) *unfinished {
	for i := range pods {
		switch pod := &pods[i]; {
		case !podstate.IsReady(pod):
			return lacking(v1alpha1.ReasonNodesNotReady, "pod %s is not ready", pod.Name)
		case podstate.AwaitsSettings(rha, sts, pod):
			return lacking(v1alpha1.ReasonNodesOutdated, "the Redis of pod %s is to be told the settings of the spec", pod.Name)
		case podstate.AwaitsResize(rha, sts, pod):
			return lacking(v1alpha1.ReasonNodesOutdated, "pod %s is to be given the resources of the spec", pod.Name)
		case podstate.IsResizing(rha, sts, pod):
			return lacking(v1alpha1.ReasonNodesOutdated, "pod %s is being given the resources of the spec", pod.Name)
		}
	}
	return nil
}
