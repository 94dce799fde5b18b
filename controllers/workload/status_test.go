// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/conditions"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/resources"
)

// While a master's pod ends, its failover needs the API server more than a count of ready pods does.
func TestTheStatusFollowsThePodsAMomentLaterAndASpecAtOnce(t *testing.T) {
	w := newWorld(t, controllertest.Shop(nil))
	clock := clocktesting.NewFakeClock(time.Now())
	w.reconciler.StatusDelay, w.reconciler.Clock = time.Second, clock
	w.reconcile()
	if got := w.Condition(v1alpha1.ConditionReconciled).ObservedGeneration; got != 1 {
		t.Fatalf("the status is of generation %d after the first pass", got)
	}

	pod := controllertest.RunningPod(resources.PodName("shop", 0), "")
	pod.Namespace, pod.Labels = "store", resources.Labels("shop")
	if err := w.Client.Create(t.Context(), &pod); err != nil {
		t.Fatal(err)
	}
	for _, passed := range []time.Duration{0, 300 * time.Millisecond, 600 * time.Millisecond} {
		clock.Step(passed)
		w.Writes = nil
		result, err := w.reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: controllertest.Key("shop")})
		if err != nil || len(w.Writes) > 0 {
			t.Fatalf("%v and writes %q, %s later", err, w.Writes, passed)
		}
		if left := result.RequeueAfter; left <= 0 || left > time.Second {
			t.Errorf("to be looked at again after %s", left)
		}
	}
	clock.Step(200 * time.Millisecond)
	if writes := w.reconcile(); len(writes) != 1 {
		t.Errorf("writes %q, want one of the status", writes)
	}
	if got := w.replicas(); got != 1 {
		t.Errorf("the status counts %d pods, want 1", got)
	}

	if err := w.Client.Delete(t.Context(), &corev1.Pod{ObjectMeta: pod.ObjectMeta}); err != nil {
		t.Fatal(err)
	}
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	rha.Generation = 2 // the fake API server does not count
	if err := w.Client.Update(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	if got := w.Condition(v1alpha1.ConditionReconciled).ObservedGeneration; got != 2 || w.replicas() != 0 {
		t.Errorf("a new spec waits for its status: generation %d, %d pods", got, w.replicas())
	}
}

func (w *world) replicas() int32 {
	w.T.Helper()
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	return rha.Status.Replicas
}

// kstatus believes Ready once status.observedGeneration is the present one: a word about the generation before must not
// be taken for it.
func TestTheObservedGenerationFollowsTheConditionReady(t *testing.T) {
	w := newWorld(t, controllertest.Shop(nil))
	observed := func() int64 {
		rha := &v1alpha1.RedisHA{}
		w.Get("shop", rha)
		return rha.Status.ObservedGeneration
	}
	tell := func(generation int64) {
		rha := &v1alpha1.RedisHA{}
		w.Get("shop", rha)
		c := conditions.New(v1alpha1.ConditionReady, true, v1alpha1.ReasonAllNodesReady, "")
		c.ObservedGeneration = generation
		meta.SetStatusCondition(&rha.Status.Conditions, c)
		if err := w.Client.Status().Update(t.Context(), rha); err != nil {
			t.Fatal(err)
		}
		w.reconcile()
	}
	w.reconcile()
	if got := observed(); got != 0 {
		t.Errorf("generation %d is called observed, and Ready has not been told", got)
	}
	if tell(1); observed() != 1 {
		t.Errorf("generation %d is observed, want 1", observed())
	}
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) { spec.Image = "redis:8" })
	w.reconcile()
	if got := observed(); got != 1 {
		t.Errorf("generation %d is called observed, and Ready tells of generation 1", got)
	}
	if got := w.Condition(v1alpha1.ConditionReconciled).ObservedGeneration; got != 2 {
		t.Errorf("Reconciled is of generation %d", got)
	}
	if tell(2); observed() != 2 {
		t.Errorf("generation %d is observed, want 2", observed())
	}
	if writes := w.reconcile(); len(writes) > 0 {
		t.Errorf("written again: %q", writes)
	}
}

func TestAStatefulSetThatWasJustChangedIsNotCalledUpToDate(t *testing.T) {
	w := aRunningShop(t, nil)
	if got := w.Condition(v1alpha1.ConditionProgressing); got.Reason != v1alpha1.ReasonUpToDate {
		t.Fatalf("Progressing because of %s: %s", got.Reason, got.Message)
	}
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) { spec.Image = "redis:8" })
	w.reconcile()
	if got := w.Condition(
		v1alpha1.ConditionProgressing,
	); got.Status != metav1.ConditionTrue ||
		got.ObservedGeneration != 2 {
		t.Errorf(
			"the pods are of the spec before, and Progressing is %s because of %s for generation %d", got.Status, got.Reason,
			got.ObservedGeneration,
		)
	}
}

func TestAnObjectThatIsBeingDeletedIsNotCalledApplied(t *testing.T) {
	w := newWorld(t, controllertest.Shop(nil))
	w.reconcile()
	sts := &appsv1.StatefulSet{}
	w.Get("shop", sts)
	sts.Finalizers = []string{"foregroundDeletion"}
	if err := w.Client.Update(t.Context(), sts); err != nil {
		t.Fatal(err)
	}
	if err := w.Client.Delete(t.Context(), sts); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	if got := w.Condition(
		v1alpha1.ConditionReconciled,
	); got.Status != metav1.ConditionFalse ||
		got.Reason != v1alpha1.ReasonBeingDeleted {
		t.Errorf("Reconciled is %s because of %s: %s", got.Status, got.Reason, got.Message)
	}
}
