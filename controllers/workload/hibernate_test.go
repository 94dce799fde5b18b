// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
)

// lastOne has one pod left, which is master and up to date, of a set that is to hibernate.
func lastOne(change func(*rollout)) rollout {
	return aRollout(func(r *rollout) {
		r.rha.Spec.Replicas, r.sts.Spec.Replicas = ptr.To[int32](0), ptr.To[int32](1)
		r.rha.Spec.Storage = &v1alpha1.StorageSpec{}
		r.rha.Status.Failover.Internal.Initialized, r.persists = true, true
		r.pods = r.pods[:1]
		current(&r.pods[0])
		inStatus(r, 0, v1alpha1.RoleMaster, "")
		r.rha.Status.Master.PodUID = string(r.pods[0].UID)
		change(r)
	})
}

// has the StatefulSet and the set have so many pods.
func has(pods int32) func(*rollout) {
	return func(r *rollout) {
		r.sts.Spec.Replicas = ptr.To(pods)
		for ordinal := 1; ordinal < int(pods); ordinal++ {
			pod := controllertest.RunningPod(resources.PodName("shop", ordinal), "new")
			r.pods = append(r.pods, pod)
			inStatus(r, ordinal, v1alpha1.RoleReplica, v1alpha1.LinkUp)
		}
	}
}

func TestASetThatIsToHibernateKeepsItsLastPodUntilAllItHasIsThere(t *testing.T) {
	cannotPersist := func(r *rollout) { r.persists = false }
	in := func(state v1alpha1.FailoverState, cause failover.Cause) func(*rollout) {
		return func(r *rollout) {
			has(3)(r)
			r.rha.Status.Master = nil
			r.rha.Status.Failover.State, r.rha.Status.Failover.Cause = state, string(cause)
		}
	}
	tests := map[string]struct {
		change func(*rollout)
		want   int32
		waits  string
	}{
		"it serves, alone": {func(*rollout) {}, 0, ""},
		"it has three":     {has(3), 1, "from 3 pods to 0"},
		"the master is another": {
			func(r *rollout) { has(3)(r); r.rha.Status.Master.Pod = "shop-2" },
			3,
			"shop-2 will be removed",
		},
		"a failover runs": {
			func(r *rollout) { has(3)(r); r.rha.Status.Failover.State = v1alpha1.StatePromoting },
			3,
			"from 3 pods to 0",
		},
		"a failover of the last one runs": {
			func(r *rollout) { r.rha.Status.Failover.State = v1alpha1.StateFencing }, 1, "state Stable",
		},
		"another pod is still ending": {func(r *rollout) {
			has(2)(r)
			r.sts.Spec.Replicas, r.pods[1].DeletionTimestamp = ptr.To[int32](1), ptr.To(metav1.Now())
		}, 1, "from 2 pods to 0"},
		"it is not the one that the status names": {
			func(r *rollout) { r.rha.Status.Master.PodUID = "another" }, 1, "waiting for shop-0 to serve",
		},
		"it is not ready": {func(r *rollout) { controllertest.Unready(&r.pods[0]) }, 1, "waiting for shop-0 to serve"},
		"it is being deleted": {
			func(r *rollout) { r.pods[0].DeletionTimestamp = ptr.To(metav1.Now()) },
			1,
			"waiting for shop-0 to serve",
		},
		"it has no pod":     {func(r *rollout) { r.pods = nil }, 1, "waiting for shop-0 to serve"},
		"it cannot persist": {cannotPersist, 1, "is the volume full"},
		"it is paused": {
			func(r *rollout) { r.rha.Spec.Failover.Mode = v1alpha1.ModePaused }, 1, "spec.failover.mode is Paused",
		},
		"its status was lost": {func(r *rollout) {
			has(3)(r)
			r.pods[2].Labels = map[string]string{v1alpha1.LabelRole: v1alpha1.RoleMaster}
			r.rha.Status.Master, r.rha.Status.Failover = nil, nil
		}, 3, "from 3 pods to 0"},
		"its StatefulSet was deleted": {func(r *rollout) {
			has(3)(r)
			r.rha.Status.Master.Pod = "shop-2"
			r.sts = nil
		}, 3, ""},
		"there has never been a master": {func(r *rollout) {
			has(3)(r)
			r.rha.Status.Master, r.rha.Status.Failover = nil, nil
		}, 0, "from 3 pods to 0"},
		"it has only just been woken":                    {in(v1alpha1.StateBootstrapping, failover.CauseWoken), 0, ""},
		"it has only just been woken, and that is news":  {in(v1alpha1.StateHibernated, ""), 0, ""},
		"the pod that has the data is being made master": {in(v1alpha1.StatePromoting, failover.CauseWoken), 3, ""},
		"no one knows who led":                           {in(v1alpha1.StateBootstrapping, failover.CauseAdopted), 3, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := lastOne(tc.change)
			if got := r.replicas(); got != tc.want {
				t.Errorf("%d replicas, want %d", got, tc.want)
			}
			if r.sts == nil {
				return
			}
			if _, progress := r.replaceable(); !strings.Contains(progress.message, tc.waits) ||
				tc.waits != "" && progressing(progress).Status != metav1.ConditionTrue {
				t.Errorf("it says %s: %s", progress.reason, progress.message)
			}
		})
	}
}

func TestASetThatHibernatesSaysSoAndHowToWakeIt(t *testing.T) {
	r := lastOne(func(r *rollout) {
		r.sts.Spec.Replicas, r.pods = ptr.To[int32](0), nil
		r.rha.Status.Master, r.rha.Status.Failover.State = nil, v1alpha1.StateHibernated
	})
	pods, progress := r.replaceable()
	if c := progressing(progress); len(pods) > 0 || c.Status != metav1.ConditionFalse ||
		c.Reason != v1alpha1.ReasonHibernated || !strings.Contains(c.Message, "data-shop-0") ||
		!strings.Contains(c.Message, "spec.replicas") {
		t.Errorf("Progressing is %s because of %s: %s", c.Status, c.Reason, c.Message)
	}
	if c := (placement{rollout: r}).survival(); c == nil || c.Reason != v1alpha1.ReasonHibernated {
		t.Errorf("SurvivesMachineLoss: %+v", c)
	}
	r.rha.Spec.Replicas = ptr.To[int32](5)
	if got := r.replicas(); got != 5 {
		t.Errorf("it wakes with %d pods", got)
	}
}

func TestAnOutdatedPodThatIsToHibernateIsNotReplaced(t *testing.T) {
	r := lastOne(func(r *rollout) {
		r.pods[0] = controllertest.RunningPod("shop-0", "old")
		r.sts.Spec.Replicas = ptr.To[int32](0)
	})
	if pods, progress := r.replaceable(); len(pods) > 0 || progress.reason != v1alpha1.ReasonScaling {
		t.Errorf("%s is replaced; %s: %s", podNames(pods), progress.reason, progress.message)
	}
}

// A claim that goes with the pod of a place that is no more is deleted by the StatefulSet controller.
func TestASetThatHibernatesRetainsItsClaimsAndIsWrittenToNoMore(t *testing.T) {
	w := newWorld(t, controllertest.Shop(func(rha *v1alpha1.RedisHA) {
		rha.Spec.Replicas = ptr.To[int32](1)
		rha.Spec.Storage = &v1alpha1.StorageSpec{Retention: v1alpha1.StorageRetention{
			WhenScaled: v1alpha1.RetentionDelete, WhenDeleted: v1alpha1.RetentionDelete,
		}}
	}))
	w.reconcile()
	pod := controllertest.RunningPod("shop-0", "")
	pod.Namespace, pod.Labels, pod.UID = "store", resources.Labels("shop"), "uid-0"
	if err := w.Client.Create(t.Context(), &pod); err != nil {
		t.Fatal(err)
	}
	retention := func() (int32, appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy) {
		sts := &appsv1.StatefulSet{}
		w.Get("shop", sts)
		return ptr.Deref(sts.Spec.Replicas, 1), *sts.Spec.PersistentVolumeClaimRetentionPolicy
	}
	if _, policy := retention(); policy.WhenScaled != appsv1.DeletePersistentVolumeClaimRetentionPolicyType {
		t.Fatalf("%+v", policy)
	}
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	rha.Spec.Replicas = ptr.To[int32](0)
	if err := w.Client.Update(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	rha.Status.Master = &v1alpha1.MasterStatus{NodeRef: v1alpha1.NodeRef{Pod: "shop-0", PodUID: "uid-0"}}
	rha.Status.Failover = &v1alpha1.FailoverStatus{
		State: v1alpha1.StateStable, Internal: v1alpha1.FailoverInternal{Initialized: true},
	}
	if err := w.Client.Status().Update(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	if replicas, policy := retention(); replicas != 0 ||
		policy.WhenScaled != appsv1.RetainPersistentVolumeClaimRetentionPolicyType ||
		policy.WhenDeleted != appsv1.DeletePersistentVolumeClaimRetentionPolicyType {
		t.Fatalf("%d replicas, %+v", replicas, policy)
	}
	if err := w.Client.Delete(t.Context(), &corev1.Pod{ObjectMeta: pod.ObjectMeta}); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	w.reconcile()
	if writes := w.reconcile(); len(writes) > 0 {
		t.Errorf("a set that hibernates is written to: %q", writes)
	}
	if c := w.Condition(v1alpha1.ConditionProgressing); c.Reason != v1alpha1.ReasonHibernated {
		t.Errorf("%s: %s", c.Reason, c.Message)
	}
}
