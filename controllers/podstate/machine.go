// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// DrainTaints are keys of taints by which it is known before the first eviction that a Kubernetes node is about to be
// removed. Who drains a node by hand makes it unschedulable; these do not, and the time between taint and eviction is
// theirs: the cluster autoscaler, and Karpenter in its present and its former version.
func DrainTaints() []string {
	return []string{"ToBeDeletedByClusterAutoscaler", "karpenter.sh/disrupted", "karpenter.sh/disruption"}
}

// IsLeaving reports a Kubernetes node that takes no pods any more and is about to lose those that it has: it is
// unschedulable, or being deleted, or has one of the taints. A taint that only prefers other nodes says nothing.
func IsLeaving(node *corev1.Node, drainTaints []string) bool {
	return node.Spec.Unschedulable || node.DeletionTimestamp != nil ||
		slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool {
			return t.Effect != corev1.TaintEffectPreferNoSchedule && slices.Contains(drainTaints, t.Key)
		})
}
