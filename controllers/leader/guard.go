// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/clock"
)

// Guard is the lock of the leader election, watched: it knows for how long no other can
// have become leader. It counts from before the renewing request was sent, on the monotonic
// clock, so that a slow answer or a set wall clock only ever makes it more careful.
type Guard struct {
	resourcelock.Interface
	clock    clock.PassiveClock
	duration time.Duration

	mu      sync.Mutex
	until   time.Time
	doubted time.Time // renewals that were sent before prove nothing
}

// NewGuard wraps lock, whose lease lasts duration after each renewal.
func NewGuard(lock resourcelock.Interface, duration time.Duration, clk clock.PassiveClock) *Guard {
	return &Guard{Interface: lock, clock: clk, duration: duration}
}

// Left returns for how long the lease is certainly still ours; zero or less when it may not be.
func (g *Guard) Left() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.until.Sub(g.clock.Now())
}

// Doubt says that another process may have reason to take this one for dead. The lease is certainly ours again only
// when a renewal that is sent from now on succeeds.
func (g *Guard) Doubt() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.doubted, g.until = g.clock.Now(), time.Time{}
}

// Get implements resourcelock.Interface. A lease that another process holds is not ours, whatever time was left.
func (g *Guard) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := g.Interface.Get(ctx)
	if err == nil && record.HolderIdentity != g.Identity() {
		g.end()
	}
	return record, raw, err
}

// Create implements resourcelock.Interface.
func (g *Guard) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	began := g.clock.Now()
	err := g.Interface.Create(ctx, record)
	g.note(began, record, err)
	return err
}

// Update implements resourcelock.Interface.
func (g *Guard) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	began := g.clock.Now()
	if record.HolderIdentity != g.Identity() {
		g.end() // being released: from before the request on, it may be anybody's
	}
	err := g.Interface.Update(ctx, record)
	g.note(began, record, err)
	return err
}

func (g *Guard) note(began time.Time, record resourcelock.LeaderElectionRecord, err error) {
	switch {
	case apierrors.IsConflict(err):
		g.end() // another process has written the Lease: a standby that takes us for dead, until a look tells otherwise
	case err == nil && record.HolderIdentity == g.Identity():
		g.extend(began)
	}
}

func (g *Guard) extend(began time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !began.Before(g.doubted) {
		g.until = began.Add(g.duration)
	}
}

func (g *Guard) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until = time.Time{}
}

// NoLease is the lease of an operator that runs without leader election: the only one there is.
type NoLease struct{}

// Left returns an hour, always.
func (NoLease) Left() time.Duration { return time.Hour }
