// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/controllers/memory"
)

// Writes that may be sent for one RedisHA, and for all of a namespace. A failover makes some fifteen. Beyond them a
// write is refused, not queued: who waits in a queue of writes holds up those behind it.
const (
	writesOfOne, writesOfOneAtOnce             = 2, 200
	writesOfNamespace, writesOfNamespaceAtOnce = 200, 800
	// Writes by which people are told have a budget of their own: clients may wait for the others.
	wordsOfOne, wordsOfOneAtOnce = 1, 100
)

// budget bounds what each namespace and each RedisHA may write, so that none of them slows the writes of another down.
type budget struct {
	clock clock.PassiveClock
	one   memory.Store[rate.Limiter] // by RedisHA
	words memory.Store[rate.Limiter] // by RedisHA
	all   memory.Store[rate.Limiter] // by namespace
}

func newBudget(clock clock.PassiveClock) *budget {
	limited := func(perSecond rate.Limit, atOnce int) memory.Store[rate.Limiter] {
		return memory.Store[rate.Limiter]{New: func() *rate.Limiter { return rate.NewLimiter(perSecond, atOnce) }}
	}
	return &budget{
		clock: clock,
		one:   limited(writesOfOne, writesOfOneAtOnce),
		words: limited(wordsOfOne, wordsOfOneAtOnce),
		all:   limited(writesOfNamespace, writesOfNamespaceAtOnce),
	}
}

// overBudget refuses a write. Nothing was sent.
type overBudget struct {
	whose string
	after time.Duration
}

func (o *overBudget) Error() string {
	return fmt.Sprintf("%s has used up its writes to the Kubernetes API; the next may be sent in %s", o.whose, o.after)
}

// PauseFor is how long to wait after err, if it is a write that was over budget.
func PauseFor(err error) time.Duration {
	var over *overBudget
	if errors.As(err, &over) {
		return over.after
	}
	return 0
}

// take takes a write out of the budget of a RedisHA, or of that for its words, and of its namespace.
func (b *budget) take(key client.ObjectKey, telling bool) error {
	now, one, pause := b.clock.Now(), b.one.Of(key), time.Second/writesOfOne
	if telling {
		one, pause = b.words.Of(key), time.Second/wordsOfOne
	}
	switch {
	case one.TokensAt(now) < 1:
		return &overBudget{whose: key.String(), after: pause}
	case !b.all.Of(client.ObjectKey{Namespace: key.Namespace}).AllowN(now, 1):
		return &overBudget{whose: "namespace " + key.Namespace, after: pause}
	}
	one.AllowN(now, 1)
	return nil
}

// Client is a client whose writes are taken out of a budget: those that are made for a RedisHA (WritingFor).
type Client struct {
	client.Client

	budget *budget
}

// WithBudget gives a controller a client with a budget of its own.
func WithBudget(c client.Client, clock clock.PassiveClock) *Client {
	return &Client{Client: c, budget: newBudget(clock)}
}

// Forget is called when a RedisHA is gone. The budget of its namespace stays: there are few, and making a RedisHA anew
// must not refill it.
func (c *Client) Forget(key client.ObjectKey) {
	c.budget.one.Forget(key)
	c.budget.words.Forget(key)
}

// writer is the key under which a context carries the RedisHA that is written for.
type writer struct{}

// WritingFor is ctx for writes that are made for a RedisHA.
func WritingFor(ctx context.Context, key client.ObjectKey) context.Context {
	return context.WithValue(ctx, writer{}, key)
}

// telling is the key under which a context says that people are told by what is written.
type telling struct{}

// Telling is ctx for writes by which people are told and nothing is decided. They have a budget of their own.
func Telling(ctx context.Context) context.Context { return context.WithValue(ctx, telling{}, true) }

// take takes a write out of the budget of the RedisHA that it is made for.
func (c *Client) take(ctx context.Context) error {
	if key, ok := ctx.Value(writer{}).(client.ObjectKey); ok {
		return c.budget.take(key, ctx.Value(telling{}) != nil)
	}
	return nil
}

// Create implements client.Client.
func (c *Client) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	if err := c.take(ctx); err != nil {
		return err
	}
	return c.Client.Create(ctx, obj, opts...)
}

// Update implements client.Client.
func (c *Client) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	if err := c.take(ctx); err != nil {
		return err
	}
	return c.Client.Update(ctx, obj, opts...)
}

// Patch implements client.Client.
func (c *Client) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if err := c.take(ctx); err != nil {
		return err
	}
	return c.Client.Patch(ctx, obj, patch, opts...)
}

// Delete implements client.Client.
func (c *Client) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	if err := c.take(ctx); err != nil {
		return err
	}
	return c.Client.Delete(ctx, obj, opts...)
}

// Apply implements client.Client.
func (c *Client) Apply(ctx context.Context, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	if err := c.take(ctx); err != nil {
		return err
	}
	return c.Client.Apply(ctx, obj, opts...)
}

// Status implements client.Client.
func (c *Client) Status() client.SubResourceWriter {
	return &budgetedWriter{SubResourceWriter: c.Client.Status(), client: c}
}

// SubResource implements client.Client.
func (c *Client) SubResource(name string) client.SubResourceClient {
	sub := c.Client.SubResource(name)
	return &budgetedResource{SubResourceReader: sub, budgetedWriter: budgetedWriter{SubResourceWriter: sub, client: c}}
}

type budgetedResource struct {
	client.SubResourceReader
	budgetedWriter
}

type budgetedWriter struct {
	client.SubResourceWriter

	client *Client
}

func (s *budgetedWriter) Patch(
	ctx context.Context, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption,
) error {
	if err := s.client.take(ctx); err != nil {
		return err
	}
	return s.SubResourceWriter.Patch(ctx, obj, patch, opts...)
}

func (s *budgetedWriter) Apply(
	ctx context.Context, obj runtime.ApplyConfiguration, opts ...client.SubResourceApplyOption,
) error {
	if err := s.client.take(ctx); err != nil {
		return err
	}
	return s.SubResourceWriter.Apply(ctx, obj, opts...)
}

func (s *budgetedWriter) Update(ctx context.Context, obj client.Object, opts ...client.SubResourceUpdateOption) error {
	if err := s.client.take(ctx); err != nil {
		return err
	}
	return s.SubResourceWriter.Update(ctx, obj, opts...)
}
