// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

// needsStart reports a pod whose Redis is to have settings that only a start can give it: Redis does not change them
// while it runs, a removed one has no default that is known, or its Redis does not start with those that it has. One
// that is only being started is told when it runs.
func needsStart(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pod *corev1.Pod) bool {
	text, records := sts.Spec.Template.Annotations[v1alpha1.AnnotationSettings]
	has, known := recordOf(rha, sts, pod)
	if !records || !known {
		return false
	}
	wanted, defaults := resources.ParseRecord(text), resources.LiveSettings(rha, pod)
	return onlyAStartGives(has, wanted, defaults, failsToStart(pod))
}

// onlyAStartGives reports that a pod which has the one is to have the other, and needs a start for that.
func onlyAStartGives(has, wanted resources.Record, defaults map[string]string, fails bool) bool {
	for _, name := range has.Unlike(wanted) {
		if fails || has[name].Fixed || wanted[name].Fixed {
			return true
		}
	}
	for name, before := range has {
		if _, is := defaults[name]; !wanted.Names(name) && (fails || before.Fixed || !is) {
			return true
		}
	}
	return false
}

// AwaitsSettings reports a pod that is not outdated and whose Redis is to be told settings.
func AwaitsSettings(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pod *corev1.Pod) bool {
	has, known := recordOf(rha, sts, pod)
	wanted := resources.ParseRecord(sts.Spec.Template.Annotations[v1alpha1.AnnotationSettings])
	return known && len(has.Unlike(wanted)) > 0 && !IsOutdated(rha, sts, pod)
}

// recordOf is what a pod has of spec.config. Of a pod of a version that wrote no record the hash of its spec tells:
// with that of the spec without settings it was made without any, with the former kind of hash with the present ones.
func recordOf(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pod *corev1.Pod) (has resources.Record, known bool) {
	if text, recorded := pod.Annotations[v1alpha1.AnnotationSettings]; recorded {
		return resources.ParseRecord(text), true
	}
	switch specHashOf(sts, pod) {
	case formOf(pod).hash(rha):
		return resources.RecordOf(rha), true
	case resources.SpecHash(rha):
		return resources.Record{}, true
	}
	return nil, false
}

// IsOfSpec reports a pod that was made from the spec as it is, apart from spec.config, and from processor and memory of
// spec.resources.
func IsOfSpec(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pod *corev1.Pod) bool {
	hash := specHashOf(sts, pod)
	return hash == resources.SpecHash(rha) || hash == formOf(pod).hash(rha)
}

// AfterTelling are the annotations of a pod whose Redis has been told the settings of the spec, as far as they are not
// so yet. Fixed are those that Redis does not have and does not change while it runs; reported are the values that it
// has, by its own word. The annotations are nil for a pod that is replaced in any case.
func AfterTelling(
	rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pod *corev1.Pod, fixed []string, reported map[string]string,
) map[string]string {
	has, known := recordOf(rha, sts, pod)
	if !known {
		return nil
	}
	next := has.Told(resources.RecordOf(rha), resources.LiveSettings(rha, pod), fixed, reported)
	all := map[string]string{v1alpha1.AnnotationSettings: next.String()}
	form := formOf(pod)
	if form != ofThisVersion && IsOfSpec(rha, sts, pod) {
		all[v1alpha1.AnnotationSpecHash] = resources.SpecHash(rha)
		all[v1alpha1.AnnotationResources] = resources.SizesOf(rha).String()
		return all
	}
	if form.settings && pod.Annotations[v1alpha1.AnnotationSettings] == next.String() {
		return nil
	}
	return all
}

// failsToStart reports a pod whose Redis does not come up.
func failsToStart(pod *corev1.Pod) bool {
	status := RedisStatus(pod)
	return HasEnded(pod) || status != nil && WaitsInVain(status.State.Waiting)
}
