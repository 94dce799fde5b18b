// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

// A rollout of the operator is two versions and one definition, and a rollback leaves what the newer version wrote.
// Each test plays the other version by changing the schema of the definition, which the API server follows within
// moments.

// redefine changes what the definition knows of the status until the test ends.
func redefine(t *testing.T, edit func(failover, node testbed.Properties)) (undo func()) {
	t.Helper()
	put, err := bed.Redefine(t.Context(), edit)
	if err != nil {
		t.Fatal(err)
	}
	undo = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := put(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(undo)
	return undo
}

// asStored is the object with the fields that our types do not have.
func asStored(ctx context.Context, t *testing.T, key client.ObjectKey) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RedisHA"))
	if err := bed.Client.Get(ctx, key, o); err != nil {
		t.Fatal(err)
	}
	return o
}

// writeStatus merges fields into the status until the API server has stored them: it follows a changed definition after
// a moment.
func writeStatus(
	t *testing.T, key client.ObjectKey, fields map[string]any, stored func(*unstructured.Unstructured) bool,
) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"status": fields})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the status is as another version writes it", 20*time.Second, func(ctx context.Context) (bool, error) {
		o := asStored(ctx, t, key)
		if err := bed.Client.Status().Patch(ctx, o, client.RawPatch(types.MergePatchType, patch)); err != nil {
			return false, nil //nolint:nilerr // the schema of before
		}
		return stored(o), nil
	})
}

// killMaster kills the master's process and returns the epoch before.
func killMaster(t *testing.T, key client.ObjectKey) int64 {
	t.Helper()
	rha, err := bed.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := bed.Sandbox.Signal(
		key.Namespace, rha.Status.Master.Pod, resources.RedisContainer, syscall.SIGKILL,
	); err != nil {
		t.Fatal(err)
	}
	return rha.Status.Master.Epoch
}

func failedOver(t *testing.T, key client.ObjectKey, epoch int64, within time.Duration) {
	t.Helper()
	eventually(t, "another master is published", within, func(ctx context.Context) (bool, error) {
		rha, err := bed.Get(ctx, key)
		return err == nil && rha.Status.Master.Epoch == epoch+1, err
	})
}

// writesOf are the operator's writes about a namespace's RedisHA so far.
func writesOf(t *testing.T, key client.ObjectKey) int {
	t.Helper()
	all, err := bed.Sandbox.AuditWrites(sandbox.OperatorUser)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, w := range all {
		if w.Namespace == key.Namespace {
			n++
		}
	}
	return n
}

func conditionOf(t *testing.T, key client.ObjectKey, kind string) metav1.Condition {
	t.Helper()
	rha, err := bed.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c := meta.FindStatusCondition(rha.Status.Conditions, kind); c != nil {
		return *c
	}
	return metav1.Condition{}
}

const mostWrites = 30 // that a failover may take

func TestWhatANewerVersionWroteHoldsNoFailoverUpAndSurvivesIt(t *testing.T) {
	unknown := testbed.Properties{"type": "string"}
	redefine(t, func(failover, node testbed.Properties) { failover["tomorrow"], node["tomorrow"] = unknown, unknown })
	key := create(t, namespace(t), v1alpha1.RedisHASpec{})
	tomorrow := func(o *unstructured.Unstructured) string {
		said, _, _ := unstructured.NestedString(o.Object, "status", "failover", "tomorrow")
		return said
	}
	writeStatus(
		t,
		key,
		map[string]any{"failover": testbed.Properties{"tomorrow": "kept"}},
		func(o *unstructured.Unstructured) bool { return tomorrow(o) == "kept" },
	)
	before := writesOf(t, key)
	failedOver(t, key, killMaster(t, key), 10*time.Second)
	settled(t, key)
	if n := writesOf(t, key) - before; n > mostWrites {
		t.Errorf("a failover took %d API writes", n)
	}
	if said := tomorrow(asStored(t.Context(), t, key)); said != "kept" {
		t.Errorf("what the newer version wrote is %q", said)
	}
	if c := conditionOf(t, key, v1alpha1.ConditionCompatible); c.Status != metav1.ConditionTrue {
		t.Errorf("a field that is not known is reported: %+v", c)
	}
}

func TestAStateThatThisVersionDoesNotKnowIsLeftAloneAndNamesItsWriter(t *testing.T) {
	key := create(t, namespace(t), v1alpha1.RedisHASpec{})
	writeStatus(t, key, map[string]any{"failover": testbed.Properties{
		"state": "Rebalancing", "internal": testbed.Properties{"writtenBy": "v9.8.7", "revision": 1000},
	}},
		func(o *unstructured.Unstructured) bool {
			state, _, _ := unstructured.NestedString(o.Object, "status", "failover", "state")
			return state == "Rebalancing"
		})
	eventually(t, "the condition names the version", 10*time.Second, func(context.Context) (bool, error) {
		c := conditionOf(t, key, v1alpha1.ConditionCompatible)
		return c.Status == metav1.ConditionFalse && strings.Contains(c.Message, "v9.8.7"), nil
	})
	epoch := killMaster(t, key)
	time.Sleep(5 * time.Second)
	if rha, err := bed.Get(
		t.Context(), key,
	); err != nil || rha.Status.Failover.Epoch != epoch ||
		rha.Status.Failover.State != "Rebalancing" {
		t.Errorf("%v, %+v", err, rha.Status.Failover)
	}
	// The newer version comes back and finishes.
	writeStatus(
		t,
		key,
		map[string]any{"failover": testbed.Properties{"state": "Stable"}},
		func(*unstructured.Unstructured) bool { return true },
	)
	failedOver(t, key, epoch, 10*time.Second)
	settled(t, key)
}

func TestADefinitionOfAnOlderVersionIsToldAndFailoversGoOn(t *testing.T) {
	undo := redefine(t, func(failover, _ testbed.Properties) {
		internal := failover["internal"].(testbed.Properties)["properties"].(testbed.Properties)
		delete(internal, "revision")
		delete(internal, "writtenBy")
	})
	time.Sleep(2 * time.Second) // the API server follows
	key := create(t, namespace(t), v1alpha1.RedisHASpec{})
	before := writesOf(t, key)
	failedOver(t, key, killMaster(t, key), 10*time.Second)
	settled(t, key)
	if n := writesOf(t, key) - before; n > mostWrites {
		t.Errorf("a failover took %d API writes", n)
	}
	c := conditionOf(t, key, v1alpha1.ConditionCompatible)
	if c.Reason != v1alpha1.ReasonDefinitionOutdated || !strings.Contains(c.Message, "failover.internal.revision") {
		t.Errorf("%+v", c)
	}
	time.Sleep(3 * time.Second)
	before = writesOf(t, key)
	time.Sleep(10 * time.Second)
	if n := writesOf(t, key) - before; n > 0 {
		t.Errorf("%d API writes in 10 s while nothing happened", n)
	}
	undo()
	time.Sleep(2 * time.Second)
	failedOver(t, key, killMaster(t, key), 10*time.Second)
	settled(t, key)
	eventually(
		t,
		"the condition to tell that the definition was applied",
		10*time.Second,
		func(context.Context) (bool, error) {
			return conditionOf(t, key, v1alpha1.ConditionCompatible).Status == metav1.ConditionTrue, nil
		},
	)
}

func TestAProgressThatIsRefusedForEverIsToldAndTriedEverMoreSeldom(t *testing.T) {
	key := create(t, namespace(t), v1alpha1.RedisHASpec{})
	undo := redefine(t, func(failover, _ testbed.Properties) {
		failover["state"].(map[string]any)["maxLength"] = int64(len("Stable"))
	})
	time.Sleep(2 * time.Second) // the API server follows
	before := writesOf(t, key)
	epoch := killMaster(t, key)
	eventually(t, "the condition tells that the progress is refused", 10*time.Second, func(context.Context) (bool, error) {
		return conditionOf(t, key, v1alpha1.ConditionCompatible).Reason == v1alpha1.ReasonProgressRefused, nil
	})
	time.Sleep(10 * time.Second)
	if n := writesOf(t, key) - before; n > mostWrites {
		t.Errorf("%d API writes in some 10 s, each refused", n)
	}
	events := &corev1.EventList{}
	if err := bed.Client.List(t.Context(), events, client.InNamespace(key.Namespace)); err != nil {
		t.Fatal(err)
	}
	told := false
	for _, e := range events.Items {
		told = told || e.Reason == "ProgressRefused"
	}
	if !told {
		t.Error("no Event tells that the progress is refused")
	}
	undo()
	failedOver(t, key, epoch, 15*time.Second)
	settled(t, key)
	if c := conditionOf(t, key, v1alpha1.ConditionCompatible); c.Status != metav1.ConditionTrue {
		t.Errorf("once it could be written: %+v", c)
	}
}
