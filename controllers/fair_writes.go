// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Writes that may be sent for one RedisHA, and for all of a namespace. A failover makes some fifteen. Beyond them a
// write is refused, not queued: who waits in a queue of writes holds up those behind it.
const (
	writesOfOne, writesOfOneAtOnce             = 2, 200
	writesOfNamespace, writesOfNamespaceAtOnce = 200, 800
)

// writeBudget bounds what each namespace and each RedisHA may write, so that none of them slows the writes of another
// down.
type writeBudget struct {
	clock clock.PassiveClock

	mu sync.Mutex
	of map[string]*rate.Limiter
}

// overBudget refuses a write. Nothing was sent.
type overBudget struct {
	whose string
	after time.Duration
}

func (o *overBudget) Error() string {
	return fmt.Sprintf("%s has used up its writes to the Kubernetes API; the next may be sent in %s", o.whose, o.after)
}

// budgetPause is how long to wait after err, if it is a write that was over budget.
func budgetPause(err error) time.Duration {
	var over *overBudget
	if errors.As(err, &over) {
		return over.after
	}
	return 0
}

// take takes a write out of the budget of a RedisHA and of its namespace.
func (b *writeBudget) take(namespace, name string) error {
	now := b.clock.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	own := b.limiter(namespace+"/"+name, writesOfOne, writesOfOneAtOnce)
	shared := b.limiter(namespace, writesOfNamespace, writesOfNamespaceAtOnce)
	switch {
	case own.TokensAt(now) < 1:
		return &overBudget{whose: namespace + "/" + name, after: time.Second / writesOfOne}
	case !shared.AllowN(now, 1):
		return &overBudget{whose: "namespace " + namespace, after: time.Second / writesOfOne}
	}
	own.AllowN(now, 1)
	return nil
}

func (b *writeBudget) limiter(key string, perSecond rate.Limit, atOnce int) *rate.Limiter {
	if b.of == nil {
		b.of = map[string]*rate.Limiter{}
	}
	if b.of[key] == nil {
		b.of[key] = rate.NewLimiter(perSecond, atOnce)
	}
	return b.of[key]
}

// forget is called when a RedisHA is gone. That of its namespace stays: there are few, and it may be refilled by being
// recreated.
func (b *writeBudget) forget(key client.ObjectKey) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.of, key.String())
}

// budgeted is a client whose writes are taken out of a budget.
type budgeted struct {
	client.Client

	budget *writeBudget
}

// withBudget gives a controller a client with a budget of its own.
func withBudget(c client.Client, clock clock.PassiveClock) *budgeted {
	return &budgeted{Client: c, budget: &writeBudget{clock: clock}}
}

// writer is the key under which a context carries the RedisHA that is written for.
type writer struct{}

// writingFor is ctx for writes that are made for a RedisHA.
func writingFor(ctx context.Context, key client.ObjectKey) context.Context {
	return context.WithValue(ctx, writer{}, key)
}

// take takes a write out of the budget of the RedisHA that it is made for.
func (b *budgeted) take(ctx context.Context) error {
	if key, ok := ctx.Value(writer{}).(client.ObjectKey); ok {
		return b.budget.take(key.Namespace, key.Name)
	}
	return nil
}

func (b *budgeted) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	if err := b.take(ctx); err != nil {
		return err
	}
	return b.Client.Create(ctx, obj, opts...)
}

func (b *budgeted) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	if err := b.take(ctx); err != nil {
		return err
	}
	return b.Client.Update(ctx, obj, opts...)
}

func (b *budgeted) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if err := b.take(ctx); err != nil {
		return err
	}
	return b.Client.Patch(ctx, obj, patch, opts...)
}

func (b *budgeted) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	if err := b.take(ctx); err != nil {
		return err
	}
	return b.Client.Delete(ctx, obj, opts...)
}

func (b *budgeted) Apply(ctx context.Context, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	if err := b.take(ctx); err != nil {
		return err
	}
	return b.Client.Apply(ctx, obj, opts...)
}

func (b *budgeted) Status() client.SubResourceWriter {
	return &budgetedStatus{SubResourceWriter: b.Client.Status(), client: b}
}

type budgetedStatus struct {
	client.SubResourceWriter

	client *budgeted
}

func (s *budgetedStatus) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
	if err := s.client.take(ctx); err != nil {
		return err
	}
	return s.SubResourceWriter.Patch(ctx, obj, patch, opts...)
}

func (s *budgetedStatus) Update(ctx context.Context, obj client.Object, opts ...client.SubResourceUpdateOption) error {
	if err := s.client.take(ctx); err != nil {
		return err
	}
	return s.SubResourceWriter.Update(ctx, obj, opts...)
}
