// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/podstate"
	"github.com/redisha/redisha/controllers/resources"
)

// aRunningShop has three ready pods that are made from the present template, and the master shop-0.
func aRunningShop(t *testing.T, change func(*v1alpha1.RedisHA)) *world {
	t.Helper()
	w := newWorld(t, controllertest.Shop(change))
	w.reconcile()
	w.make(0, 1, 2)
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	rha.Status.Master = &v1alpha1.MasterStatus{NodeRef: v1alpha1.NodeRef{Pod: "shop-0"}}
	rha.Status.Failover = &v1alpha1.FailoverStatus{State: v1alpha1.StateStable}
	if err := w.Client.Status().Update(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	return w
}

// control is what the StatefulSet controller does to the status.
func (w *world) control() *appsv1.StatefulSet {
	w.T.Helper()
	sts := &appsv1.StatefulSet{}
	w.Get("shop", sts)
	text, err := json.Marshal(sts.Spec.Template)
	if err != nil {
		w.T.Fatal(err)
	}
	sum := fnv.New32()
	_, _ = sum.Write(text)
	sts.Status.ObservedGeneration, sts.Status.UpdateRevision = sts.Generation, fmt.Sprintf("shop-%x", sum.Sum32())
	if err := w.Client.Status().Update(w.T.Context(), sts); err != nil {
		w.T.Fatal(err)
	}
	return sts
}

// make makes the pods anew from the template.
func (w *world) make(ordinals ...int) {
	w.T.Helper()
	sts := w.control()
	for _, ordinal := range ordinals {
		pod := controllertest.RunningPod(resources.PodName("shop", ordinal), "")
		pod.Namespace, pod.Annotations, pod.Labels = "store", sts.Spec.Template.Annotations, sts.Spec.Template.Labels
		pod.Labels = merged(pod.Labels, appsv1.ControllerRevisionHashLabelKey, sts.Status.UpdateRevision)
		_ = w.Client.Delete(w.T.Context(), pod.DeepCopy())
		if err := w.Client.Create(w.T.Context(), &pod); err != nil {
			w.T.Fatal(err)
		}
	}
}

func (w *world) changeTemplate(change func(*corev1.PodTemplateSpec)) {
	w.T.Helper()
	sts := &appsv1.StatefulSet{}
	w.Get("shop", sts)
	change(&sts.Spec.Template)
	if err := w.Client.Update(w.T.Context(), sts); err != nil {
		w.T.Fatal(err)
	}
}

func (w *world) changeSpec(change func(*v1alpha1.RedisHASpec)) {
	w.T.Helper()
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	change(&rha.Spec)
	rha.Generation++
	if err := w.Client.Update(w.T.Context(), rha); err != nil {
		w.T.Fatal(err)
	}
}

// replaced lets the controllers work until nothing is written any more, and returns the first pod that was deleted for
// being outdated.
func (w *world) replaced() string {
	w.T.Helper()
	for range 5 {
		writes := w.reconcile()
		if i := slices.IndexFunc(writes, func(s string) bool { return strings.HasPrefix(s, "delete *v1.Pod ") }); i >= 0 {
			return strings.TrimPrefix(writes[i], "delete *v1.Pod ")
		}
		w.control()
	}
	return ""
}

// ofAnotherVersion is a template as another version of the operator has it.
func ofAnotherVersion(template *corev1.PodTemplateSpec) {
	redis := &template.Spec.Containers[0]
	redis.Command = []string{"sh", "-c", "ulimit -c 0; exec redis-server /etc/redisha/redis.conf"}
	redis.LivenessProbe.PeriodSeconds = 7
	template.Spec.Affinity = nil
	template.Annotations["redisha.io/config-hash"] = "0123"
	template.Labels["app.kubernetes.io/part-of"] = "redisha"
}

func TestAnotherTemplateByAnotherVersionReplacesNoPod(t *testing.T) {
	w := aRunningShop(t, nil)
	w.changeTemplate(ofAnotherVersion)
	w.make(0, 1, 2)
	if pod := w.replaced(); pod != "" {
		t.Errorf("%s was replaced", pod)
	}
	sts := w.control()
	if len(sts.Spec.Template.Spec.Containers[0].Command) < 4 {
		t.Errorf("the template is %v, want this version's", sts.Spec.Template.Spec.Containers[0].Command)
	}
	w.changeTemplate(func(*corev1.PodTemplateSpec) {})
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) { spec.Image = "redis:8" })
	if pod := w.replaced(); pod != "shop-2" {
		t.Errorf("%q was replaced after a change of the image, want shop-2", pod)
	}
}

// changesThatReplace are the kinds of changes that a person makes, and that running pods have to be replaced for.
var changesThatReplace = map[string]func(*v1alpha1.RedisHASpec){
	"image":        func(spec *v1alpha1.RedisHASpec) { spec.Image = "redis:8" },
	"pull policy":  func(spec *v1alpha1.RedisHASpec) { spec.ImagePullPolicy = corev1.PullAlways },
	"pull secrets": func(spec *v1alpha1.RedisHASpec) { spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "x"}} },
	"space": func(spec *v1alpha1.RedisHASpec) {
		spec.Resources.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")}
	},
	"what a start sees to": func(spec *v1alpha1.RedisHASpec) {
		spec.Config = map[string]v1alpha1.ConfigValue{"dbfilename": "shop.rdb"}
	},
	"environment": func(spec *v1alpha1.RedisHASpec) {
		spec.PodTemplate = &v1alpha1.PodTemplateSpec{Env: []corev1.EnvVar{{Name: "TZ", Value: "UTC"}}}
	},
	"labels": func(spec *v1alpha1.RedisHASpec) {
		spec.PodTemplate = &v1alpha1.PodTemplateSpec{Labels: map[string]v1alpha1.LabelValue{"team": "shop"}}
	},
	"affinity": func(spec *v1alpha1.RedisHASpec) {
		spec.PodTemplate = &v1alpha1.PodTemplateSpec{Affinity: &corev1.Affinity{}}
	},
	"security": func(spec *v1alpha1.RedisHASpec) {
		spec.PodTemplate = &v1alpha1.PodTemplateSpec{SecurityContext: &corev1.PodSecurityContext{}}
	},
	"containers": func(spec *v1alpha1.RedisHASpec) {
		spec.PodTemplate = &v1alpha1.PodTemplateSpec{
			ExtraContainers: []corev1.Container{{Name: "exporter", Image: "exporter:1"}},
		}
	},
}

func TestAPersonsChangeReplacesThePods(t *testing.T) {
	for name, change := range changesThatReplace {
		t.Run(name, func(t *testing.T) {
			w := aRunningShop(t, nil)
			w.changeSpec(change)
			if pod := w.replaced(); pod != "shop-2" {
				t.Errorf("%q was replaced, want shop-2", pod)
			}
			w.make(2)
			if pod := w.replaced(); pod != "shop-1" {
				t.Errorf("%q was replaced then, want shop-1", pod)
			}
		})
	}
}

func TestWhatPodsAreNotMadeFromReplacesNone(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.RedisHASpec){
		"replicas": func(spec *v1alpha1.RedisHASpec) { spec.Replicas = ptr.To[int32](5) },
		"services": func(spec *v1alpha1.RedisHASpec) {
			spec.Services.Master.Annotations = map[string]string{"lb": "internal"}
		},
		"failover": func(spec *v1alpha1.RedisHASpec) { spec.Failover.DownAfterMilliseconds = 1000 },
		"budget":   func(spec *v1alpha1.RedisHASpec) { spec.PodDisruptionBudget.Mode = v1alpha1.BudgetDisabled },
		"size":     func(spec *v1alpha1.RedisHASpec) { spec.Storage.Size = resource.MustParse("20Gi") },
	} {
		t.Run(name, func(t *testing.T) {
			w := aRunningShop(t, func(rha *v1alpha1.RedisHA) { rha.Spec.Storage = &v1alpha1.StorageSpec{} })
			w.changeSpec(change)
			if pod := w.replaced(); pod != "" {
				t.Errorf("%s was replaced", pod)
			}
		})
	}
}

func TestARolloutRestartReplacesThePods(t *testing.T) {
	w := aRunningShop(t, nil)
	w.changeTemplate(func(template *corev1.PodTemplateSpec) {
		template.Annotations["kubectl.kubernetes.io/restartedAt"] = "2026-01-02T03:04:05Z"
	})
	w.control()
	for _, want := range []string{"shop-2", "shop-1"} {
		if pod := w.replaced(); pod != want {
			t.Fatalf("%q was replaced, want %s", pod, want)
		}
		w.make(int(want[len(want)-1] - '0'))
	}
	w.make(0)
	w.changeTemplate(ofAnotherVersion) // and an upgrade after it is none
	w.control()
	if pod := w.replaced(); pod != "" {
		t.Errorf("%s was replaced", pod)
	}
}

// before is a shop as a version leaves it that wrote no hash of the spec.
func before(t *testing.T) *world {
	t.Helper()
	w := aRunningShop(t, nil)
	w.changeTemplate(func(template *corev1.PodTemplateSpec) {
		ofAnotherVersion(template)
		delete(template.Annotations, v1alpha1.AnnotationSpecHash)
	})
	w.make(0, 1, 2)
	return w
}

func TestAnUpgradeFromAVersionWithoutTheHashReplacesNoPodAndAPersonsChangeAfterItDoes(t *testing.T) {
	w := before(t)
	if pod := w.replaced(); pod != "" {
		t.Fatalf("%s was replaced by the upgrade", pod)
	}
	if writes := w.reconcile(); len(writes) > 0 {
		t.Errorf("written to when all was settled: %q", writes)
	}
	w.make(1) // deleted by a drain, say
	w.changeSpec(changesThatReplace["environment"])
	for _, want := range []string{"shop-2", "shop-1"} {
		if pod := w.replaced(); pod != want {
			t.Fatalf("%q was replaced after a change of the spec, want %s", pod, want)
		}
		w.make(int(want[len(want)-1] - '0'))
	}
}

func TestAnUpgradeInTheMiddleOfARolloutGoesOnWithIt(t *testing.T) {
	w := before(t)
	pod := &corev1.Pod{}
	w.Get("shop-1", pod)
	pod.Labels[appsv1.ControllerRevisionHashLabelKey] = "shop-older"
	if err := w.Client.Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	if pod := w.replaced(); pod != "shop-1" {
		t.Fatalf("%q was replaced, want shop-1", pod)
	}
	w.make(1)
	if pod := w.replaced(); pod != "" {
		t.Errorf("%s was replaced, too", pod)
	}
}

func TestAChangeDuringAnUpgradeReplacesThePods(t *testing.T) {
	w := before(t)
	w.changeSpec(changesThatReplace["image"])
	if pod := w.replaced(); pod != "shop-2" {
		t.Errorf("%q was replaced, want shop-2", pod)
	}
}

// The failover controller has the master replaced by the same rule.
func TestAPodIsOutdatedForBothControllersByTheSameRule(t *testing.T) {
	w := aRunningShop(t, nil)
	rha, pod := &v1alpha1.RedisHA{}, &corev1.Pod{}
	outdated := func() bool {
		w.Get("shop", rha)
		w.Get("shop-0", pod)
		return podstate.IsOutdated(rha, w.control(), pod)
	}
	w.changeTemplate(ofAnotherVersion)
	if outdated() {
		t.Error("for another version's template")
	}
	w.changeSpec(changesThatReplace["image"])
	w.reconcile()
	if !outdated() {
		t.Error("not for a person's change")
	}
	unobserved := w.control()
	unobserved.Generation++
	if podstate.IsOutdated(rha, unobserved, pod) {
		t.Error("before the StatefulSet controller has seen the change")
	}
}
