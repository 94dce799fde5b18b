// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/podstate"
	"github.com/redisha/redisha/controllers/resources"
)

// restartedAt is the annotation of a pod template by which kubectl rollout restart has pods replaced. A restart on
// request is the same: the rollout sees to the order.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

// restarting begins a restart, or tells how far it is. begun is false when it cannot be begun yet.
func (r *Reconciler) restarting(
	ctx context.Context, request *v1alpha1.RedisHARequest, rha *v1alpha1.RedisHA,
) (is v1alpha1.RequestStatus, begun bool, err error) {
	sts := &appsv1.StatefulSet{}
	err = r.Client.Get(ctx, client.ObjectKey{Namespace: rha.Namespace, Name: resources.StatefulSetName(rha.Name)}, sts)
	if err != nil {
		return is, false, client.IgnoreNotFound(err)
	}
	asked := request.CreationTimestamp.Time
	if !restartedSince(sts.Spec.Template.Annotations, asked) {
		if rha.Spec.Failover.Mode == v1alpha1.ModePaused || !mayBegin(rha, request, r.Clock.Now()) {
			return is, false, nil
		}
		before := sts.DeepCopy()
		metav1.SetMetaDataAnnotation(&sts.Spec.Template.ObjectMeta, restartedAt, asked.UTC().Format(time.RFC3339))
		if err := r.Client.Patch(ctx, sts, client.MergeFrom(before), client.FieldOwner(fieldOwner)); err != nil {
			return is, false, fmt.Errorf("restarting the pods: %w", err)
		}
	}
	pods := &corev1.PodList{}
	if err := r.Client.List(
		ctx, pods, client.InNamespace(rha.Namespace), client.MatchingLabels(resources.SelectorLabels(rha.Name)),
	); err != nil {
		return is, true, fmt.Errorf("listing the pods: %w", err)
	}
	return restarted(rha, pods.Items, asked), true, nil
}

// restarted tells how far a restart is.
func restarted(rha *v1alpha1.RedisHA, pods []corev1.Pod, asked time.Time) v1alpha1.RequestStatus {
	done, wanted := 0, int(resources.Replicas(rha))
	for i := range pods {
		if pod := &pods[i]; pod.DeletionTimestamp == nil && podstate.IsReady(pod) && restartedSince(pod.Annotations, asked) {
			done++
		}
	}
	told := fmt.Sprintf("%d of %d pods have been restarted", done, wanted)
	if done >= wanted && len(pods) == wanted &&
		meta.IsStatusConditionTrue(rha.Status.Conditions, v1alpha1.ConditionReady) {
		return v1alpha1.RequestStatus{State: v1alpha1.RequestSucceeded, Message: told}
	}
	if c := meta.FindStatusCondition(
		rha.Status.Conditions, v1alpha1.ConditionProgressing,
	); c != nil &&
		c.Status == metav1.ConditionTrue {
		told += "; " + c.Message
	}
	return v1alpha1.RequestStatus{State: v1alpha1.RequestRunning, Message: told}
}

// restartedSince reports annotations that tell of a restart that was asked for then, or later.
func restartedSince(annotations map[string]string, asked time.Time) bool {
	at, err := time.Parse(time.RFC3339, annotations[restartedAt])
	return err == nil && !at.Before(asked.Truncate(time.Second))
}
