// SPDX-License-Identifier: Apache-2.0

package resources

import (
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
)

// PodDisruptionBudget limits what a drain may take at once; nil when there shall
// be none. A single pod gets none: it would only block the drain.
//
// A pod that is not ready may hold data all the same: a container beside Redis is
// not ready, or all replicas have just lost their master. AlwaysAllow evicts any
// number of those at once. IfHealthyBudget evicts one of them as long as enough
// others are ready, so that a pod that is broken for good does not block a drain.
// Where more pods are not ready than the budget allows, none is evicted, whether
// its Redis serves or not: Kubernetes cannot tell, and a drain that waits loses
// nothing. It goes on when the pods are mended, or a person deletes one of them,
// which no budget forbids.
func PodDisruptionBudget(rha *v1alpha1.RedisHA) *policyv1.PodDisruptionBudget {
	spec := rha.Spec.PodDisruptionBudget
	if spec.Mode == v1alpha1.BudgetDisabled || Replicas(rha) == 1 {
		return nil
	}
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: meta(rha, rha.Name),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable:             ptr.To(ptr.Deref(spec.MaxUnavailable, intstr.FromInt32(1))),
			Selector:                   &metav1.LabelSelector{MatchLabels: SelectorLabels(rha.Name)},
			UnhealthyPodEvictionPolicy: ptr.To(policyv1.IfHealthyBudget),
		},
	}
}
