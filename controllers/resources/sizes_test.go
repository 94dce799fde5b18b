// SPDX-License-Identifier: Apache-2.0

package resources_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

func amounts(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

func TestTheSizesOfAPodAreWhatTheAPIServerMakesOfTheSpec(t *testing.T) {
	for name, test := range map[string]struct {
		spec corev1.ResourceRequirements
		want string
	}{
		"nothing is wanted":          {corev1.ResourceRequirements{}, ""},
		"a limit is the request too": {corev1.ResourceRequirements{Limits: amounts("memory", "1Gi")}, "limits.memory=1Gi requests.memory=1Gi"},
		"both are named": {
			corev1.ResourceRequirements{Limits: amounts("memory", "1024Mi", "cpu", "2"), Requests: amounts("cpu", "0.5")},
			"limits.cpu=2 limits.memory=1Gi requests.cpu=500m requests.memory=1Gi",
		},
		"what only another pod can have": {corev1.ResourceRequirements{Limits: amounts("ephemeral-storage", "1Gi")}, ""},
	} {
		rha := minimal()
		rha.Spec.Resources = test.spec
		sizes := resources.SizesOf(rha)
		if got := sizes.String(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if read := resources.ParseSizes(sizes.String()); !read.Equal(sizes) {
			t.Errorf("%s: %s is read as %s", name, sizes, read)
		}
	}
	same := resources.ParseSizes("limits.memory=1Gi")
	if !same.Equal(resources.ParseSizes("limits.memory=1073741824")) ||
		same.Equal(resources.ParseSizes("limits.memory=1G")) {
		t.Error("amounts are compared by how they are written")
	}
	if diff := cmp.Diff([]string{"limits.memory"}, same.Lacking(resources.ParseSizes("requests.memory=1Gi"))); diff != "" {
		t.Error(diff)
	}
}

// limited is a pod whose container has a limit of memory by its spec, and another one by its status.
func limited(rha *v1alpha1.RedisHA, spec, status string) corev1.Pod {
	template := resources.StatefulSet(rha, 1).Spec.Template
	pod := corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{}
	if spec != "" {
		pod.Spec.Containers[0].Resources.Limits = amounts("memory", spec)
	}
	if status != "" {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: resources.RedisContainer, Resources: &corev1.ResourceRequirements{Limits: amounts("memory", status)},
		}}
	}
	return pod
}

func TestMaxmemoryFollowsTheLowestLimit(t *testing.T) {
	const of1Gi, of2Gi = "805306368", "1610612736"
	for name, test := range map[string]struct {
		wanted, spec, status, other string
		want                        string
	}{
		"all are equal":                           {"1Gi", "1Gi", "1Gi", "1Gi", of1Gi},
		"a kubelet that tells of none":            {"1Gi", "1Gi", "", "1Gi", of1Gi},
		"it was raised, and the kubelet is at it": {"2Gi", "2Gi", "1Gi", "2Gi", of1Gi},
		"it was raised":                           {"2Gi", "2Gi", "2Gi", "2Gi", of2Gi},
		"another pod has less":                    {"2Gi", "2Gi", "2Gi", "1Gi", of1Gi},
		"the spec wants less":                     {"1Gi", "2Gi", "2Gi", "2Gi", of1Gi},
		"the spec adds one":                       {"1Gi", "", "", "", of1Gi},
		"the spec removes it":                     {"", "1Gi", "1Gi", "1Gi", of1Gi},
		"the spec has removed it, and others lag": {"", "", "", "1Gi", ""},
		"there is none":                           {"", "", "", "", ""},
	} {
		rha := minimal()
		if test.wanted != "" {
			rha.Spec.Resources.Limits = amounts("memory", test.wanted)
		}
		pod := limited(rha, test.spec, test.status)
		if got := resources.LiveSettings(rha, &pod, limited(rha, test.other, ""))["maxmemory"]; got != test.want {
			t.Errorf("%s: maxmemory is %q, want %q", name, got, test.want)
		}
		rha.Spec.Config = map[string]v1alpha1.ConfigValue{"maxmemory": "5gb"}
		if got := resources.LiveSettings(rha, &pod)["maxmemory"]; got != "5gb" {
			t.Errorf("%s: a person's maxmemory is %q", name, got)
		}
	}
}

// A change that is refused goes back to what redis.conf said, but not to more than there is room for.
func TestAFormerMaxmemoryIsNoMoreThanThereIsRoomFor(t *testing.T) {
	rha := minimal()
	rha.Spec.Resources.Limits = amounts("memory", "2Gi")
	written := resources.RedisConf(rha)
	pod := limited(rha, "2Gi", "1Gi")
	rha.Spec.Resources.Limits = amounts("memory", "512Mi")
	if got := resources.FormerSettings(rha, &pod, written)["maxmemory"]; got != "805306368" {
		t.Errorf("maxmemory is %s, though the container has 1Gi", got)
	}
}
