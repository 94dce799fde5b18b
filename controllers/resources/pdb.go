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
func PodDisruptionBudget(rha *v1alpha1.RedisHA) *policyv1.PodDisruptionBudget {
	spec := rha.Spec.PodDisruptionBudget
	if !ptr.Deref(spec.Enabled, true) || Replicas(rha) == 1 {
		return nil
	}
	return &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: meta(rha, rha.Name),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: ptr.To(ptr.Deref(spec.MaxUnavailable, intstr.FromInt32(1))),
			Selector:       &metav1.LabelSelector{MatchLabels: SelectorLabels(rha.Name)},
			// A pod that is not ready guards nothing, and must not block a drain.
			UnhealthyPodEvictionPolicy: ptr.To(policyv1.AlwaysAllow),
		},
	}
}
