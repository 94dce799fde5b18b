// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
)

// reader is an API server that answers lists so.
type reader struct {
	client.Reader

	answer func(namespace string) error
}

func (r reader) List(_ context.Context, _ client.ObjectList, opts ...client.ListOption) error {
	asked := client.ListOptions{}
	asked.ApplyOptions(opts)
	return r.answer(asked.Namespace)
}

// An operator that was upgraded without its definitions, or without its role, fails over as any other.
func TestRequestsWaitForTheirKindToBeServedAndReadable(t *testing.T) {
	kind := schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "redisharequests"}
	for name, refusal := range map[string]error{
		"not defined": apierrors.NewNotFound(kind, ""), "not allowed": apierrors.NewForbidden(kind, "", nil), "no answer": context.DeadlineExceeded,
	} {
		t.Run(name, func(t *testing.T) {
			var served atomic.Bool
			told := atomic.Int32{}
			clock := clocktesting.NewFakeClock(time.Now())
			r := &Reconciler{
				Clock:      clock,
				Inbox:      &Inbox{},
				Namespaces: []string{"a", "b"},
				APIReader: reader{answer: func(namespace string) error {
					if namespace == "b" && !served.Load() {
						return refusal
					}
					return nil
				}},
			}
			log := funcr.New(func(_, _ string) { told.Add(1) }, funcr.Options{})
			done := make(chan bool, 1)
			go func() { done <- r.waitUntilServed(t.Context(), log) }()
			for range 3 {
				awaitWaiter(t, clock, done)
				clock.Step(servedAgain)
			}
			awaitWaiter(t, clock, done)
			if told.Load() != 1 {
				t.Errorf("told %d times", told.Load())
			}
			if request, err := r.Inbox.Next(t.Context(), &v1alpha1.RedisHA{}, clock.Now()); request != nil || err != nil {
				t.Errorf("the inbox is not served, and has %+v, %v", request, err)
			}
			served.Store(true)
			clock.Step(servedAgain)
			if !<-done {
				t.Error("it gave up")
			}
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	r := &Reconciler{
		Clock:     clocktesting.NewFakeClock(time.Now()),
		APIReader: reader{answer: func(string) error { return context.Canceled }},
	}
	if r.waitUntilServed(ended, logr.Discard()) {
		t.Error("it was never served")
	}
}

// awaitWaiter waits until the clock is waited for.
func awaitWaiter(t *testing.T, clock *clocktesting.FakeClock, done <-chan bool) {
	t.Helper()
	for range 1000 {
		select {
		case <-done:
			t.Fatal("it did not wait")
		case <-time.After(time.Millisecond):
		}
		if clock.HasWaiters() {
			return
		}
	}
	t.Fatal("it does not look again")
}
