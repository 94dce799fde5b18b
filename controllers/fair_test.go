// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func requestFor(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

func TestARedisHAWaitsForOneOfAnotherNamespaceAtMost(t *testing.T) {
	q := newFairQueue("test-fair", retries())
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
		w := workers{all: 32}
		for range 100 {
			for i := range crowds {
				w.enter(fmt.Sprint(i))
			}
		}
		for i := range crowds {
			if got := w.held[fmt.Sprint(i)]; got < each || got > 32/(crowds+1)+1 {
				t.Errorf("one of %d namespaces holds %d of 32 workers, want %d", crowds, got, each)
			}
		}
		if !w.enter("victim") {
			t.Errorf("%d namespaces hold all workers", crowds)
		}
	}
	w := workers{all: 2}
	if !w.enter("only") || w.enter("only") {
		t.Error("of two workers a namespace gets one")
	}
	w.leave("only")
	if !w.enter("only") || w.busy != 1 {
		t.Error("what is left is not free")
	}
	if one := (workers{all: 1}); !one.enter("only") {
		t.Error("a single worker is for whoever comes")
	}
}

// A failover and its aftermath take a few dozen turns, most of which follow a write or wait for something.
func TestAFailoverIsNotSlowedDown(t *testing.T) {
	var p pace
	now := time.Now()
	for kill := range 10 {
		for turn := range 50 {
			if wait := p.begin("a/1", now); wait > 0 {
				t.Fatalf("turn %d of kill %d waits for %s", turn, kill, wait)
			}
			if again := p.next("a/1", turn%10 == 0, 0, now); again != 0 {
				t.Fatalf("turn %d of kill %d is followed by one %s later", turn, kill, again)
			}
			now = now.Add(20 * time.Millisecond)
		}
		if again := p.next("a/1", false, -1, now); again >= 0 {
			t.Fatal("a loop that rests is woken")
		}
		now = now.Add(time.Second)
	}
}

func TestTurnsThatLeadNowhereComeMoreAndMoreSlowly(t *testing.T) {
	var p pace
	now := time.Now()
	turnsUntil := func(end time.Time) (turns int) {
		for ; now.Before(end); turns++ {
			wait := p.begin("a/1", now)
			if wait == 0 {
				wait = p.next("a/1", false, 0, now)
			}
			now = now.Add(max(wait, 2*time.Millisecond)) // what a turn takes
		}
		return turns
	}
	began := now
	if turns := turnsUntil(began.Add(10 * time.Second)); turns > 400 {
		t.Errorf("%d turns in 10 s for a Redis that never obeys", turns)
	}
	turnsUntil(began.Add(time.Minute))
	if turns := turnsUntil(now.Add(time.Minute)); turns > 31 {
		t.Errorf("%d turns in the second minute for a Redis that never obeys", turns)
	}
}

// A Redis that obeys in the end, after a long script say, has waited for most of it anyway.
func TestATurnAfterManyThatLedNowhereIsLateByAFractionOfTheWait(t *testing.T) {
	for _, stuck := range []time.Duration{time.Second, 10 * time.Second, time.Minute, time.Hour} {
		var p pace
		began := time.Now()
		p.begin("a/1", began)
		p.next("a/1", false, stepPause, began)
		if wait := p.next("a/1", false, stepPause, began.Add(stuck)); wait > max(stepPause, min(stuck/25, 2*time.Second)) {
			t.Errorf("after %s the next turn comes %s later", stuck, wait)
		}
	}
}

// What rests by itself has not been turning in vain.
func TestALoopThatRestsIsNotSlowedDownAfterwards(t *testing.T) {
	var p pace
	now := time.Now()
	for range 60 {
		p.begin("a/1", now)
		if wait := p.next("a/1", false, resting, now); wait != resting {
			t.Fatalf("a loop that looks each %s waits for %s", resting, wait)
		}
		now = now.Add(resting)
	}
	p.begin("a/1", now)
	if wait := p.next("a/1", false, stepAtOnce, now); wait != stepAtOnce {
		t.Errorf("its next turn comes %s later", wait)
	}
}

func TestARedisThatSaysSomethingElseEachTimeIsDecidedOnFourTimesASecond(t *testing.T) {
	var p pace
	now, turns := time.Now(), 0
	for end := now.Add(60 * time.Second); now.Before(end); now = now.Add(10 * time.Millisecond) {
		if p.begin("a/1", now) == 0 {
			p.next("a/1", true, -1, now)
			turns++
		}
	}
	if most := turnsAtOnce + 60*turnsPerSecond; turns > most {
		t.Errorf("%d turns in a minute, want %d at most", turns, most)
	}
	if p.begin("b/1", now) != 0 {
		t.Error("another RedisHA waits for it")
	}
}

func TestTheWritesOfOneTenantAreNotTakenFromAnother(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Now())
	sent := 0
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p"}}
	c := withBudget(interceptor.NewClient(newWorld(t, pod).client, interceptor.Funcs{
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return nil
		},
	}), now)
	write := func(namespace, name string) error {
		ctx := writingFor(t.Context(), client.ObjectKey{Namespace: namespace, Name: name})
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
	if wait := budgetPause(fmt.Errorf("persisting: %w", write("noisy", "a"))); wait <= 0 || sent != writesOfOneAtOnce {
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
	if err := c.Patch(context.Background(), pod.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{}`))); err != nil {
		t.Errorf("a write for no RedisHA: %v", err)
	}
	if budgetPause(errors.New("other")) != 0 {
		t.Error("another error is taken for a write over budget")
	}
}
