// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/conditions"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
)

// hibernateOn is the pod whose volume has the data of a set that hibernates, or whose last pod has been told to go;
// empty of any other. The workload controller empties the StatefulSet when that may be. One that a person fills or
// deletes meanwhile wakes nothing.
func hibernateOn(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet) string {
	emptied := sts.UID != "" && ptr.Deref(sts.Spec.Replicas, 1) == 0
	already := rha.Status.Failover != nil && rha.Status.Failover.State == v1alpha1.StateHibernated
	if !resources.Hibernates(rha) || !emptied && !already {
		return ""
	}
	return resources.PodName(rha.Name, 0)
}

// mayBeEmptied reports a last pod that ends, of a set that is to hibernate, while the cache shows a StatefulSet that
// is not empty. Pods and StatefulSets reach the cache apart, so that the end of a pod may be seen before its reason.
func mayBeEmptied(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pods []corev1.Pod) bool {
	return resources.Hibernates(rha) && sts.UID != "" && hibernateOn(rha, sts) == "" &&
		len(pods) == 1 && !pods[0].DeletionTimestamp.IsZero()
}

// isWaking reports a set that has hibernated and has no master yet.
func isWaking(rha *v1alpha1.RedisHA) bool {
	f := rha.Status.Failover
	return f != nil && f.Internal.Initialized && rha.Status.Master == nil &&
		(f.State == v1alpha1.StateHibernated || f.Cause == string(failover.CauseWoken))
}

// madeSince reports a claim that was made after the set had hibernated: it has nothing of what was kept.
func madeSince(claim *corev1.PersistentVolumeClaim, rha *v1alpha1.RedisHA) bool {
	began := rha.Status.Failover.StartedAt
	return began != nil && claim.CreationTimestamp.After(began.Time)
}

// Persists reports a Redis that writes what it has to its volume, as it was heard last: to its append-only file, or
// else in the snapshot that it is to write when it ends.
func (r *Reconciler) Persists(key string, node failover.NodeRef, aof bool) bool {
	return slices.ContainsFunc(r.prober.Observe(key), func(n failover.Node) bool {
		said := n.Replication
		return n.UID == node.UID && said.RunID == node.RunID && n.Answers() && !said.AOFFailed && (aof || !said.SaveFailed)
	})
}

// wasKept reports a claim of an ordinal that may hold what was kept while the set hibernated.
func (g *observer) wasKept(
	ctx context.Context, rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, ordinal int, pod string,
) (bool, error) {
	claim, err := g.claim(ctx, rha, ordinal, pod, false)
	return claim != nil && (fromBefore(rha, sts, claim) || !madeSince(claim, rha)), err
}

// hibernated is a condition of a set that hibernates.
func hibernated(kind string, rha *v1alpha1.RedisHA) metav1.Condition {
	return conditions.New(kind, false, v1alpha1.ReasonHibernated, resources.HibernationMessage(rha))
}
