// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/redisha/redisha/controllers/controllertest"
)

func requestFor(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

func TestARedisHAWaitsForOneOfAnotherNamespaceAtMost(t *testing.T) {
	q := NewQueue("test-fair", workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer q.ShutDown()
	for i := range 100 {
		q.Add(requestFor("crowd", fmt.Sprint(i)))
	}
	q.Add(requestFor("victim", "a"))
	q.Add(requestFor("victim", "b"))
	var got []string
	for range 4 {
		item, _ := q.Get()
		q.Done(item)
		got = append(got, item.String())
	}
	if want := []string{"crowd/0", "victim/a", "crowd/1", "victim/b"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("they come as %v, want %v", got, want)
	}
	for i := 2; i < 100; i++ {
		if item, _ := q.Get(); item.String() != fmt.Sprintf("crowd/%d", i) {
			t.Fatalf("%v came instead of crowd/%d", item, i)
		}
	}
	if q.Len() != 0 {
		t.Errorf("%d are left", q.Len())
	}
}

func TestThereIsAlwaysAWorkerForAnotherNamespace(t *testing.T) {
	for crowds, each := range map[int]int{1: 16, 2: 10, 3: 8} {
		w := Workers{All: 32}
		for range 100 {
			for i := range crowds {
				w.Enter(fmt.Sprint(i))
			}
		}
		for i := range crowds {
			if got := w.held[fmt.Sprint(i)]; got < each || got > 32/(crowds+1)+1 {
				t.Errorf("one of %d namespaces holds %d of 32 workers, want %d", crowds, got, each)
			}
		}
		if !w.Enter("victim") {
			t.Errorf("%d namespaces hold all workers", crowds)
		}
	}
	w := Workers{All: 2}
	if !w.Enter("only") || w.Enter("only") {
		t.Error("of two workers a namespace gets one")
	}
	w.Leave("only")
	if !w.Enter("only") || w.busy != 1 {
		t.Error("what is left is not free")
	}
	if one := (Workers{All: 1}); !one.Enter("only") {
		t.Error("a single worker is for whoever comes")
	}
}

func TestTheWritesOfOneTenantAreNotTakenFromAnother(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Now())
	sent := 0
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p"}}
	c := WithBudget(interceptor.NewClient(controllertest.New(t, pod).Client, interceptor.Funcs{
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return nil
		},
	}), now)
	write := func(namespace, name string) error {
		ctx := WritingFor(t.Context(), client.ObjectKey{Namespace: namespace, Name: name})
		err := c.Patch(ctx, pod.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{}`)))
		if err == nil {
			sent++
		}
		return err
	}
	for range writesOfOneAtOnce {
		if err := write("noisy", "a"); err != nil {
			t.Fatal(err)
		}
	}
	if wait := PauseFor(fmt.Errorf("persisting: %w", write("noisy", "a"))); wait <= 0 || sent != writesOfOneAtOnce {
		t.Errorf("the write after the last was sent (%d), or is not to be tried again (%s)", sent, wait)
	}
	if err := write("noisy", "b"); err != nil {
		t.Errorf("another of the same namespace: %v", err)
	}
	for i := 0; write("noisy", fmt.Sprint(i%40)) == nil || i < 2*writesOfNamespaceAtOnce; i++ {
		continue // 40 RedisHA, together
	}
	if sent > writesOfNamespaceAtOnce {
		t.Errorf("a namespace sent %d writes at once", sent)
	}
	for range 100 { // six failovers
		if err := write("victim", "a"); err != nil {
			t.Fatalf("another tenant's write: %v", err)
		}
	}
	now.SetTime(now.Now().Add(time.Second))
	if err := write("noisy", "a"); err != nil {
		t.Errorf("a second later: %v", err)
	}
	if err := c.Patch(
		context.Background(),
		pod.DeepCopy(),
		client.RawPatch(types.MergePatchType, []byte(`{}`)),
	); err != nil {
		t.Errorf("a write for no RedisHA: %v", err)
	}
	if PauseFor(errors.New("other")) != 0 {
		t.Error("another error is taken for a write over budget")
	}
}

// A set that is scaled again and again has its conditions change all the time.
func TestWhatPeopleAreToldIsNotTakenFromWhatClientsWaitFor(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Now())
	c := WithBudget(controllertest.New(t).Client, now)
	ctx := WritingFor(t.Context(), client.ObjectKey{Namespace: "n", Name: "a"})
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "a"}}
	told := 0
	for ; PauseFor(c.Delete(Telling(ctx), pod)) == 0; told++ {
		if told > wordsOfOneAtOnce {
			t.Fatal("what people are told has no bound")
		}
	}
	if told != wordsOfOneAtOnce {
		t.Errorf("people were told %d times", told)
	}
	for i := range writesOfOneAtOnce {
		if err := c.Delete(ctx, pod); PauseFor(err) > 0 {
			t.Fatalf("write %d that clients wait for: %v", i, err)
		}
	}
	now.SetTime(now.Now().Add(time.Second))
	if err := c.Delete(Telling(ctx), pod); PauseFor(err) > 0 {
		t.Errorf("a second later: %v", err)
	}
}

// A kind of write that is not counted is none that one tenant could not take from all others.
func TestEveryKindOfWriteIsCounted(t *testing.T) {
	c := WithBudget(controllertest.New(t).Client, clocktesting.NewFakePassiveClock(time.Now()))
	ctx := WritingFor(t.Context(), client.ObjectKey{Namespace: "noisy", Name: "a"})
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "noisy", Name: "a"}}
	for range writesOfOneAtOnce {
		_ = c.Delete(ctx, pod)
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{}`))
	configuration := client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: map[string]any{}})
	for name, write := range map[string]func() error{
		"create":        func() error { return c.Create(ctx, pod) },
		"update":        func() error { return c.Update(ctx, pod) },
		"patch":         func() error { return c.Patch(ctx, pod, patch) },
		"delete":        func() error { return c.Delete(ctx, pod) },
		"apply":         func() error { return c.Apply(ctx, configuration) },
		"status update": func() error { return c.Status().Update(ctx, pod) },
		"status patch":  func() error { return c.Status().Patch(ctx, pod, patch) },
		"status apply":  func() error { return c.Status().Apply(ctx, configuration) },
		"resize":        func() error { return c.SubResource("resize").Patch(ctx, pod, patch) },
	} {
		if err := write(); PauseFor(err) <= 0 {
			t.Errorf("%s went past the budget: %v", name, err)
		}
	}
}
