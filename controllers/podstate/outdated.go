// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/maintenance"
	"github.com/redisha/redisha/controllers/resources"
)

// IsOutdated reports a pod that a person wants replaced: what they control of it has changed since it was made. A
// template that only another version of the operator made another is none of that; the pod takes it when it is next
// made.
func IsOutdated(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pod *corev1.Pod) bool {
	template := &sts.Spec.Template
	wanted := template.Annotations[v1alpha1.AnnotationSpecHash]
	revision := updateRevision(sts)
	switch {
	case wanted == "" || revision == "":
		return false // the template is about to be applied
	case needsStart(rha, sts, pod), needsAnotherPod(rha, sts, pod):
		return true
	case pod.Labels[appsv1.ControllerRevisionHashLabelKey] == revision:
		return false // the pod is made from it
	}
	return isOfAnotherSpec(rha, sts, pod) || addedByHand(rha, template, pod)
}

// isOfAnotherSpec reports a pod that was made from another spec than the template, apart from what can be changed while
// it runs. A pod of an earlier version is known by the present spec, once the template is of that.
func isOfAnotherSpec(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pod *corev1.Pod) bool {
	hash, wanted := specHashOf(sts, pod), sts.Spec.Template.Annotations[v1alpha1.AnnotationSpecHash]
	switch {
	case hash == wanted:
		return false
	case formOf(pod) == formOf(&sts.Spec.Template):
		return true
	}
	return wanted == resources.SpecHash(rha) && hash != formOf(pod).hash(rha)
}

// form is which records a version of the operator gives pods. What has a record is not in the hash of the spec.
type form struct{ settings, sizes bool }

var ofThisVersion = form{settings: true, sizes: true}

// formOf is that of the version that made a pod or a template.
func formOf(made interface{ GetAnnotations() map[string]string }) form {
	_, settings := made.GetAnnotations()[v1alpha1.AnnotationSettings]
	_, sizes := made.GetAnnotations()[v1alpha1.AnnotationResources]
	return form{settings: settings, sizes: sizes}
}

// hash is that of the present spec, as that version has it.
func (f form) hash(rha *v1alpha1.RedisHA) string {
	return resources.FormerSpecHash(rha, !f.settings, !f.sizes)
}

// IsDue reports an outdated pod that is to be replaced without being asked for again. spec.updateStrategy says which
// are; a restart that a person requested is asked for already.
func IsDue(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pod *corev1.Pod) bool {
	if !IsOutdated(rha, sts, pod) {
		return false
	}
	switch rha.Spec.UpdateStrategy.Type {
	case v1alpha1.UpdateSupervised:
		return !isMaster(rha, pod) || addedByHand(rha, &sts.Spec.Template, pod)
	case v1alpha1.UpdateOnDelete:
		return addedByHand(rha, &sts.Spec.Template, pod)
	case v1alpha1.UpdateAutomatic:
	}
	return true
}

// IsHeld reports a master that the operator may not move by its own plan now, because no window of
// spec.maintenanceWindows is open. One that runs no Redis serves nothing that could be disturbed, and a restart that a
// person requested waits for no window.
func IsHeld(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pod *corev1.Pod, now time.Time) bool {
	if !isMaster(rha, pod) || !RedisRuns(pod) || addedByHand(rha, &sts.Spec.Template, pod) {
		return false
	}
	windows, _ := maintenance.At(rha.Spec.MaintenanceWindows, now) // closed where one of them cannot be read
	return windows.Closed
}

func isMaster(rha *v1alpha1.RedisHA, pod *corev1.Pod) bool {
	return rha.Status.Master != nil && rha.Status.Master.Pod == pod.Name
}

// specHashOf is the hash of the spec that a pod was made from; empty when it is not known.
func specHashOf(sts *appsv1.StatefulSet, pod *corev1.Pod) string {
	if hash, found := pod.Annotations[v1alpha1.AnnotationSpecHash]; found {
		return hash
	}
	revision, hash, _ := strings.Cut(sts.Annotations[v1alpha1.AnnotationAdopted], " ")
	if pod.Labels[appsv1.ControllerRevisionHashLabelKey] != revision {
		return ""
	}
	return hash
}

// addedByHand reports a label or annotation that a person gave the template itself, and that the pod does not have:
// kubectl rollout restart adds one. What the spec says is in its hash; the prefixes are the operator's, in every
// version.
func addedByHand(rha *v1alpha1.RedisHA, template *corev1.PodTemplateSpec, pod *corev1.Pod) bool {
	var spec v1alpha1.PodTemplateSpec
	if rha.Spec.PodTemplate != nil {
		spec = *rha.Spec.PodTemplate
	}
	return lacks(pod.Annotations, template.Annotations, spec.Annotations) ||
		lacks(pod.Labels, template.Labels, spec.Labels)
}

func lacks[V any](have, want map[string]string, except map[string]V) bool {
	for key, value := range want {
		ours := strings.HasPrefix(key, "redisha.io/") || strings.HasPrefix(key, "app.kubernetes.io/")
		if _, said := except[key]; !said && !ours && have[key] != value {
			return true
		}
	}
	return false
}

// Adopted is the annotation of a StatefulSet by which pods without a hash of their own are known: those of a version
// that wrote none. At the moment before their template is replaced they are what the spec wants if they are of its
// revision and the spec has been applied. It is written with the new template, in the same request, and kept.
func Adopted(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet) string {
	if sts == nil {
		return ""
	}
	if known := sts.Annotations[v1alpha1.AnnotationAdopted]; known != "" {
		return known
	}
	_, hashed := sts.Spec.Template.Annotations[v1alpha1.AnnotationSpecHash]
	revision := updateRevision(sts)
	if hashed || revision == "" || !specApplied(rha) {
		return ""
	}
	return revision + " " + resources.SpecHash(rha)
}

// specApplied reports that the StatefulSet has been as the spec wants it. A pass that failed may have ended before it.
func specApplied(rha *v1alpha1.RedisHA) bool {
	c := meta.FindStatusCondition(rha.Status.Conditions, v1alpha1.ConditionReconciled)
	if c == nil || c.ObservedGeneration != rha.Generation {
		return false
	}
	early := []string{v1alpha1.ReasonApplyFailed, v1alpha1.ReasonNotOwned, v1alpha1.ReasonConfigRefused}
	return c.Status == metav1.ConditionTrue || !slices.Contains(early, c.Reason)
}

// updateRevision is the revision that pods should have; empty while the StatefulSet controller
// has not caught up with the StatefulSet.
func updateRevision(sts *appsv1.StatefulSet) string {
	if sts.Status.ObservedGeneration != sts.Generation {
		return ""
	}
	return sts.Status.UpdateRevision
}
