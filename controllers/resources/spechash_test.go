// SPDX-License-Identifier: Apache-2.0

package resources_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

func TestTheHashOfTheSpecIsOfWhatItMeans(t *testing.T) {
	with := func(change func(*v1alpha1.RedisHASpec)) string {
		rha := minimal()
		change(&rha.Spec)
		return resources.SpecHash(rha)
	}
	limit := func(of corev1.ResourceName, amount string) string {
		return with(func(spec *v1alpha1.RedisHASpec) {
			spec.Resources.Limits = corev1.ResourceList{of: resource.MustParse(amount)}
		})
	}
	space := func(amount string) string { return limit(corev1.ResourceEphemeralStorage, amount) }
	if space("1") != space("1000m") {
		t.Error("the same amount in another notation is another hash")
	}
	plain := resources.SpecHash(minimal())
	if space("1") == space("2") || space("1") == plain {
		t.Error("another amount is the same hash")
	}
	if limit(corev1.ResourceCPU, "1") != plain || limit(corev1.ResourceMemory, "1Gi") != plain {
		t.Error("what a running pod can be given is another hash")
	}
	template := func(template v1alpha1.PodTemplateSpec) string {
		return with(func(spec *v1alpha1.RedisHASpec) { spec.PodTemplate = &template })
	}
	if template(v1alpha1.PodTemplateSpec{Affinity: &corev1.Affinity{}}) == template(v1alpha1.PodTemplateSpec{}) {
		t.Error("an empty affinity, which replaces the default one, is the same hash as none")
	}
}
