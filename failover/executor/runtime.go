// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"sync"
	"time"
)

// Runtime is what an Executor takes from the machine it runs on. A simulation puts its own clock and its own, orderly
// way of doing things at the same time in its place.
type Runtime interface {
	// Now is an instant with a monotonic reading, if the runtime's clock has one.
	Now() time.Time
	// WithTimeout is [context.WithTimeout] by this runtime's clock.
	WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc)
	// Sleep waits for d, or returns ctx's error if that ends first.
	Sleep(ctx context.Context, d time.Duration) error
	// Together runs all functions at the same time, and returns when all have returned.
	Together(functions []func())
}

// realRuntime is the machine's clock and goroutines.
type realRuntime struct{}

func (realRuntime) Now() time.Time { return time.Now() }

func (realRuntime) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d)
}

func (realRuntime) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (realRuntime) Together(functions []func()) {
	var running sync.WaitGroup
	for _, f := range functions {
		running.Go(f)
	}
	running.Wait()
}
