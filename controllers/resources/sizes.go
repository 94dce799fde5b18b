// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/redisha/redisha/api/v1alpha1"
)

// resizable are what Kubernetes changes of a container that runs.
var resizable = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory}

const (
	limitsOf   = "limits."
	requestsOf = "requests."
)

// Sizes are the limits and requests that a container is to have and that can be changed while it runs, by names as
// limits.memory. It is the value of the annotation redisha.io/resources.
type Sizes map[string]resource.Quantity

// SizesOf is what the spec wants for Redis. A request that it does not name is the limit, as the API server has it.
func SizesOf(rha *v1alpha1.RedisHA) Sizes {
	sizes := Sizes{}
	for _, name := range resizable {
		if limit, is := rha.Spec.Resources.Limits[name]; is {
			sizes[limitsOf+string(name)], sizes[requestsOf+string(name)] = limit, limit
		}
		if request, is := rha.Spec.Resources.Requests[name]; is {
			sizes[requestsOf+string(name)] = request
		}
	}
	return sizes
}

// String is the text of the annotation.
func (s Sizes) String() string {
	parts := make([]string, 0, len(s))
	for _, name := range slices.Sorted(maps.Keys(s)) {
		amount := s[name]
		parts = append(parts, name+"="+amount.String())
	}
	return strings.Join(parts, " ")
}

// ParseSizes reads what [Sizes.String] has written. What is not of it is left out.
func ParseSizes(text string) Sizes {
	sizes := Sizes{}
	for part := range strings.FieldsSeq(text) {
		name, amount, _ := strings.Cut(part, "=")
		if quantity, err := resource.ParseQuantity(amount); err == nil {
			sizes[name] = quantity
		}
	}
	return sizes
}

// Equal reports that both name the same, and the same amounts of it.
func (s Sizes) Equal(other Sizes) bool {
	return maps.EqualFunc(s, other, func(a, b resource.Quantity) bool { return a.Cmp(b) == 0 })
}

// Lacking are the names, in order, of what s has and other does not name.
func (s Sizes) Lacking(other Sizes) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if _, is := other[name]; !is {
			names = append(names, name)
		}
	}
	return names
}

// Requirements are s as a container has them.
func (s Sizes) Requirements() corev1.ResourceRequirements {
	var all corev1.ResourceRequirements
	for name, amount := range s {
		if of, is := strings.CutPrefix(name, limitsOf); is {
			setAmount(&all.Limits, of, amount)
		}
		if of, is := strings.CutPrefix(name, requestsOf); is {
			setAmount(&all.Requests, of, amount)
		}
	}
	return all
}

func setAmount(list *corev1.ResourceList, name string, amount resource.Quantity) {
	if *list == nil {
		*list = corev1.ResourceList{}
	}
	(*list)[corev1.ResourceName(name)] = amount
}

// unresizable is the part of a container's resources that only a new pod can have.
func unresizable(container corev1.ResourceRequirements) corev1.ResourceRequirements {
	rest := *container.DeepCopy()
	for _, name := range resizable {
		delete(rest.Limits, name)
		delete(rest.Requests, name)
	}
	return rest
}

// MemoryLimit is what the container of Redis may use by now, in bytes; 0 where there is no limit. While the kubelet
// changes it, it is the lower one of the limit that it has and the one that it is to have.
func MemoryLimit(pod *corev1.Pod) int64 {
	var limit int64
	for i := range pod.Spec.Containers {
		if c := &pod.Spec.Containers[i]; c.Name == RedisContainer {
			limit = c.Resources.Limits.Memory().Value()
		}
	}
	for i := range pod.Status.ContainerStatuses {
		if c := &pod.Status.ContainerStatuses[i]; c.Name == RedisContainer && c.Resources != nil {
			limit = lower(limit, c.Resources.Limits.Memory().Value())
		}
	}
	return limit
}

// lower is the lower one of two limits, of which zero is none.
func lower(a, b int64) int64 {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
