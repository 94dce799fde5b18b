// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

// runsOn is a script that runs until it is told to end. A shell that is a container's first process is told nothing
// otherwise.
const runsOn = "trap 'exit 0' TERM; while :; do sleep 1; done"

// sidecar is a container beside Redis that runs a shell.
func sidecar(script string) *v1alpha1.PodTemplateSpec {
	return &v1alpha1.PodTemplateSpec{ExtraContainers: []corev1.Container{{
		Name: "exporter", Image: "docker.io/library/redis:7.2", Command: []string{"sh", "-c", script},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}}}
}

// unreadySidecar runs and never becomes ready.
func unreadySidecar() *v1alpha1.PodTemplateSpec {
	template := sidecar(runsOn)
	template.ExtraContainers[0].ReadinessProbe = &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"false"}}}, PeriodSeconds: 1,
	}
	return template
}

// left counts the pods of before that are still there.
func left(t *testing.T, key client.ObjectKey, before map[string]bool) int {
	t.Helper()
	n := 0
	for uid := range podUIDs(t, key) {
		if before[uid] {
			n++
		}
	}
	return n
}

func epochOf(t *testing.T, key client.ObjectKey) int64 {
	t.Helper()
	rha, err := bed.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return rha.Status.Master.Epoch
}

func stoppedAt(t *testing.T, key client.ObjectKey, pod string) {
	t.Helper()
	eventually(t, "the rollout says that it has stopped at "+pod, time.Minute, func(context.Context) (bool, error) {
		c := conditionOf(t, key, v1alpha1.ConditionProgressing)
		return c.Reason == v1alpha1.ReasonRolloutStopped && strings.Contains(c.Message, pod), nil
	})
}

func TestAChangeWhoseSidecarCrashesStopsAtOnePodAndAMendedOneGoesOn(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), v1alpha1.RedisHASpec{})
	before, epoch := podUIDs(t, key), epochOf(t, key)
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.PodTemplate = sidecar("sleep 1; exit 2") })
	stoppedAt(t, key, resources.PodName(key.Name, 2))
	time.Sleep(20 * time.Second) // it must not go on, though the container is up for a second now and then
	if n := left(t, key, before); n != 2 {
		t.Errorf("%d of 3 pods are as before", n)
	}
	if now := epochOf(t, key); now != epoch {
		t.Errorf("the master was switched over: epoch %d became %d", epoch, now)
	}
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.PodTemplate = sidecar(runsOn) })
	settled(t, key)
	if n := left(t, key, before); n != 0 {
		t.Errorf("%d pods do not have the mended spec", n)
	}
}

func TestADrainTakesNoRedisThatServesThoughNoPodIsReady(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	rha := &v1alpha1.RedisHA{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "cache"},
		Spec:       v1alpha1.RedisHASpec{PodTemplate: unreadySidecar()},
	}
	if err := bed.Client.Create(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	key := client.ObjectKeyFromObject(rha)
	eventually(t, "a replica of each serves", time.Minute, func(ctx context.Context) (bool, error) {
		got, err := bed.Get(ctx, key)
		if err != nil {
			return false, err
		}
		up := 0
		for _, n := range got.Status.Nodes {
			if n.Link == "up" {
				up++
			}
		}
		return up == 2 && conditionOf(t, key, v1alpha1.ConditionAvailable).Status == metav1.ConditionTrue, nil
	})
	budgetKnows(t, key, 0)
	before := podUIDs(t, key)
	for ordinal := range 3 {
		if err := evict(t, key, ordinal); !apierrors.IsTooManyRequests(err) {
			t.Errorf("pod %d: %v", ordinal, err)
		}
	}
	if n := left(t, key, before); n != 3 {
		t.Fatalf("%d of 3 pods are left", n)
	}
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.PodTemplate = sidecar(runsOn) })
	settled(t, key)
	if n := left(t, key, before); n != 0 {
		t.Errorf("%d pods do not have the mended spec", n)
	}
}

// evict asks for what kubectl drain asks for.
func evict(t *testing.T, key client.ObjectKey, ordinal int) error {
	t.Helper()
	pod := client.ObjectKey{Namespace: key.Namespace, Name: resources.PodName(key.Name, ordinal)}
	return bed.Evict(t.Context(), pod)
}

// budgetKnows waits until the disruption budget counts that many pods as healthy.
func budgetKnows(t *testing.T, key client.ObjectKey, healthy int32) {
	t.Helper()
	eventually(t, fmt.Sprintf("the budget counts %d", healthy), 30*time.Second, func(ctx context.Context) (bool, error) {
		pdb := &policyv1.PodDisruptionBudget{}
		err := bed.Client.Get(ctx, key, pdb)
		return err == nil && pdb.Status.ObservedGeneration == pdb.Generation && pdb.Status.ExpectedPods == 3 &&
			pdb.Status.CurrentHealthy == healthy, err
	})
}

// The setting is one that cannot be changed at run time, so that it cannot be tried before.
func TestAPodThatIsBrokenForGoodStopsTheRolloutAndMayBeDrained(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), v1alpha1.RedisHASpec{})
	before := podUIDs(t, key)
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Config = map[string]v1alpha1.ConfigValue{"databases": "many"} })
	stoppedAt(t, key, resources.PodName(key.Name, 2))
	budgetKnows(t, key, 2)
	if err := evict(t, key, 1); !apierrors.IsTooManyRequests(err) {
		t.Errorf("a pod that serves, beside one that does not: %v", err)
	}
	broken := podUIDs(t, key)
	if err := evict(t, key, 2); err != nil {
		t.Errorf("the pod that is broken: %v", err)
	}
	eventually(
		t,
		"the broken pod is replaced",
		time.Minute,
		func(context.Context) (bool, error) { return left(t, key, broken) == 2, nil },
	)
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Config = map[string]v1alpha1.ConfigValue{"databases": "32"} })
	settled(t, key)
	if n := left(t, key, before); n != 0 {
		t.Errorf("%d pods do not have the mended spec", n)
	}
}

func TestASettingThatRedisRefusesIsToldBeforeAnyPodIsReplaced(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), v1alpha1.RedisHASpec{})
	before := podUIDs(t, key)
	written := inventory(t.Context(), t, key)["ConfigMap cache-config"].GetResourceVersion()
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Config = map[string]v1alpha1.ConfigValue{"maxmemory": "4Gi"} })
	eventually(t, "the condition has Redis's words", 20*time.Second, func(context.Context) (bool, error) {
		c := conditionOf(t, key, v1alpha1.ConditionReconciled)
		return c.Reason == v1alpha1.ReasonConfigRefused &&
			strings.Contains(c.Message, `maxmemory: "4Gi": argument must be a memory value`), nil
	})
	time.Sleep(5 * time.Second) // nothing may come of it
	if n := left(t, key, before); n != 3 {
		t.Errorf("%d of 3 pods are as before", n)
	}
	// Redis reads the file whenever its process is started anew, in pods that were not replaced as well.
	if inventory(t.Context(), t, key)["ConfigMap cache-config"].GetResourceVersion() != written {
		t.Error("redis.conf was written")
	}
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Config["maxmemory"] = "4gb" })
	settled(t, key)
	if n := left(t, key, before); n != 3 {
		t.Errorf("%d of 3 pods are as before", n)
	}
}
