// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

// trial refuses the value "wrong", where it can be asked.
type trial struct {
	on  string // the pod that was asked last
	err error
}

func (tr *trial) TryConfig(
	_ context.Context, _ string, node failover.NodeRef, settings []redisclient.Setting,
) (refused []redisclient.RefusedSetting, err error) {
	tr.on = node.Pod
	for _, s := range settings {
		if s.Value == "wrong" {
			refused = append(refused, redisclient.RefusedSetting{Setting: s, Why: "argument must be a memory value"})
		}
	}
	return refused, tr.err
}

func (tr *trial) TryUsers(
	_ context.Context, _ string, node failover.NodeRef, users []redisclient.User,
) (refused []redisclient.RefusedUser, err error) {
	tr.on = node.Pod
	for _, u := range users {
		if slices.ContainsFunc(u.Rules, func(rule string) bool { return strings.Contains(rule, "wrong") }) {
			refused = append(refused, redisclient.RefusedUser{Name: u.Name, Why: "Unknown command or category name in ACL"})
		}
	}
	return refused, tr.err
}

// runs makes the pods of a set that serves, master first.
func (w *world) runs(rha *v1alpha1.RedisHA) {
	w.T.Helper()
	rha.Status.Master = &v1alpha1.MasterStatus{NodeRef: v1alpha1.NodeRef{Pod: "shop-0", PodUID: "uid-shop-0"}}
	rha.Status.Failover = &v1alpha1.FailoverStatus{State: v1alpha1.StateStable}
	for ordinal := range int(resources.Replicas(rha)) {
		pod := controllertest.RunningPod(resources.PodName("shop", ordinal), "")
		pod.Namespace, pod.Labels, pod.UID = "store", resources.Labels("shop"), types.UID("uid-"+pod.Name)
		if err := w.Client.Create(w.T.Context(), &pod); err != nil {
			w.T.Fatal(err)
		}
		n := v1alpha1.NodeStatus{
			Pod:    pod.Name,
			PodUID: string(pod.UID),
			RunID:  "run",
			Role:   v1alpha1.RoleReplica,
			Link:   v1alpha1.LinkUp,
		}
		if ordinal == 0 {
			n.Role, n.Link = v1alpha1.RoleMaster, ""
		}
		rha.Status.Nodes = append(rha.Status.Nodes, n)
	}
	if err := w.Client.Status().Update(w.T.Context(), rha); err != nil {
		w.T.Fatal(err)
	}
}

// set changes the settings of the spec.
func (w *world) set(config map[string]v1alpha1.ConfigValue) {
	w.T.Helper()
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	rha.Spec.Config = config
	rha.Generation++
	if err := w.Client.Update(w.T.Context(), rha); err != nil {
		w.T.Fatal(err)
	}
}

// written is redis.conf and the hash of the spec that new pods are made from.
func (w *world) written() string {
	w.T.Helper()
	cm, sts := &corev1.ConfigMap{}, &appsv1.StatefulSet{}
	w.Get("shop-config", cm)
	w.Get("shop", sts)
	return sts.Spec.Template.Annotations[v1alpha1.AnnotationSpecHash] + "\n" + cm.Data["redis.conf"]
}

func TestASettingThatRedisRefusesHoldsTheConfigurationBack(t *testing.T) {
	w := newWorld(t, controllertest.Shop(nil))
	asked := &trial{}
	w.reconciler.Trial = asked
	w.reconcile()
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	w.runs(rha)
	before := w.written()
	w.set(map[string]v1alpha1.ConfigValue{"maxmemory": "wrong"})
	w.reconcile()
	if w.written() != before {
		t.Error("what Redis refuses was applied")
	}
	if asked.on != "shop-1" {
		t.Errorf("tried on %q, want a replica", asked.on)
	}
	got := w.Condition(v1alpha1.ConditionReconciled)
	if got.Reason != v1alpha1.ReasonConfigRefused ||
		!strings.Contains(got.Message, `maxmemory: "wrong": argument must be a memory value`) {
		t.Errorf("Reconciled is %s: %s", got.Reason, got.Message)
	}
	if writes := w.reconcile(); len(writes) > 0 {
		t.Errorf("written again: %q", writes)
	}
	w.set(map[string]v1alpha1.ConfigValue{"maxmemory": "4gb"})
	w.reconcile()
	if after := w.written(); !strings.Contains(after, "maxmemory 4gb") {
		t.Errorf("the mended spec was not applied: %s", after)
	}
	if got := w.Condition(v1alpha1.ConditionReconciled); got.Status != metav1.ConditionTrue {
		t.Errorf("Reconciled is %s: %s", got.Reason, got.Message)
	}
}

func TestAChangeThatCannotBeTriedIsNotHeldUpForLong(t *testing.T) {
	change := map[string]v1alpha1.ConfigValue{"maxmemory": "wrong"}
	t.Run("no Redis serves", func(t *testing.T) {
		w := newWorld(t, controllertest.Shop(nil))
		w.reconciler.Trial = &trial{}
		w.reconcile()
		w.set(change)
		w.reconcile()
		if !strings.Contains(w.written(), "maxmemory wrong") {
			t.Error("it waits for a Redis that serves")
		}
	})
	t.Run("another image", func(t *testing.T) {
		w := newWorld(t, controllertest.Shop(nil))
		w.reconciler.Trial = &trial{}
		w.reconcile()
		rha := &v1alpha1.RedisHA{}
		w.Get("shop", rha)
		w.runs(rha)
		w.Get("shop", rha)
		rha.Spec.Image, rha.Spec.Config = "redis:8", change
		if err := w.Client.Update(t.Context(), rha); err != nil {
			t.Fatal(err)
		}
		w.reconcile()
		if !strings.Contains(w.written(), "maxmemory wrong") {
			t.Error("an image that does not run yet is judged by the one that does")
		}
	})
	t.Run("no connection", func(t *testing.T) {
		w := newWorld(t, controllertest.Shop(nil))
		now := clocktesting.NewFakePassiveClock(rolloutNow)
		w.reconciler.Trial, w.reconciler.Clock = &trial{err: errors.New("no connection")}, now
		w.reconcile()
		rha := &v1alpha1.RedisHA{}
		w.Get("shop", rha)
		w.runs(rha)
		w.set(change)
		if _, err := w.reconciler.Reconcile(
			t.Context(), ctrl.Request{NamespacedName: controllertest.Key("shop")},
		); err == nil {
			t.Error("it is not tried again")
		}
		if strings.Contains(w.written(), "maxmemory wrong") {
			t.Error("it was applied at once")
		}
		now.SetTime(rolloutNow.Add(triesFor))
		w.reconcile()
		if !strings.Contains(w.written(), "maxmemory wrong") {
			t.Error("it waits for ever")
		}
	})
}
