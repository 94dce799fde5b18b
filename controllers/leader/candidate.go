// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/clock"
)

// ElectorTick is the retry period that client-go's elector is to be given along with a Candidate, which makes it wait
// for the rest.
const ElectorTick = 50 * time.Millisecond

// Succession knows whether the holder of the lease is dead; lease.Succession is one.
type Succession interface {
	Saw(holder string)
	Dead(renewal string) bool
}

// errNotHeld means that the lease is another's to let go. client-go's elector lets go of whatever it finds if it learnt
// too late, being frozen for instance, that it had lost it: the lease of its successor.
var errNotHeld = errors.New("the lease that is to be let go is held by another process")

// Candidate is the lock as client-go's elector sees it. The elector looks at the Lease at fixed intervals and waits for
// a leader that does not renew it; it can neither be woken nor be told that there is nothing to wait for. So the
// Candidate does the waiting between two looks, where it can be woken, and shows it the lease of a leader that is
// proven dead as if that leader had let it go. The elector takes the lease then as it takes any: by an update of
// exactly the Lease that was looked at.
//
// Its methods of resourcelock.Interface are for the elector's one goroutine, the others for any.
type Candidate struct {
	*Guard
	clock      clock.Clock
	period     time.Duration
	succession Succession
	hurry      chan struct{}

	holder     string // as last seen or written
	read, sent time.Time
}

// NewCandidate wraps guard. Standbys look, and leaders renew, once in a period.
func NewCandidate(guard *Guard, period time.Duration, succession Succession, clk clock.Clock) *Candidate {
	return &Candidate{Guard: guard, clock: clk, period: period, succession: succession, hurry: make(chan struct{}, 1)}
}

// Hurry has the lease be looked at, or renewed, at once.
func (c *Candidate) Hurry() {
	select {
	case c.hurry <- struct{}{}:
	default:
	}
}

// Doubt is Guard.Doubt, and has the lease be renewed at once.
func (c *Candidate) Doubt() {
	c.Guard.Doubt()
	c.Hurry()
}

// Get implements resourcelock.Interface.
func (c *Candidate) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	if !c.holds() {
		if err := c.rest(ctx, c.read); err != nil {
			return nil, nil, err
		}
	}
	c.read = c.clock.Now()
	record, raw, err := c.Guard.Get(ctx)
	if err != nil {
		return nil, nil, err
	}
	c.saw(record.HolderIdentity)
	if c.holds() || !c.succession.Dead(renewalOf(record)) {
		return record, raw, nil
	}
	released := *record
	released.HolderIdentity = ""
	if raw, err = json.Marshal(released); err != nil {
		return nil, nil, fmt.Errorf("showing the lease of a dead leader as released: %w", err)
	}
	return &released, raw, nil
}

// Create implements resourcelock.Interface.
func (c *Candidate) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	err := c.Guard.Create(ctx, record)
	if err == nil {
		c.saw(record.HolderIdentity)
	}
	return err
}

// Update implements resourcelock.Interface.
func (c *Candidate) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	mine := record.HolderIdentity == c.Identity()
	if !mine && !c.holds() {
		return errNotHeld
	}
	if mine && c.holds() {
		if err := c.rest(ctx, c.sent); err != nil {
			return err
		}
	}
	c.sent = c.clock.Now()
	err := c.Guard.Update(ctx, record)
	if err == nil {
		c.saw(record.HolderIdentity)
	}
	return err
}

func (c *Candidate) holds() bool { return c.holder == c.Identity() }

func (c *Candidate) saw(holder string) {
	c.holder = holder
	c.succession.Saw(holder)
}

// rest waits until a period has passed since, or until there is reason to hurry.
func (c *Candidate) rest(ctx context.Context, since time.Time) error {
	left := c.period - c.clock.Since(since)
	if left <= 0 {
		return ctx.Err()
	}
	timer := c.clock.NewTimer(left)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C():
	case <-c.hurry:
	}
	return nil
}

// renewalOf tells a renewal of the lease from every other. The record that client-go compares is cut to whole seconds.
func renewalOf(record *resourcelock.LeaderElectionRecord) string {
	return fmt.Sprintf(
		"%s, %d transitions, renewed %d", record.HolderIdentity, record.LeaderTransitions, record.RenewTime.UnixNano(),
	)
}

// NoSuccession is that of a process that knows nothing about the leader's: it waits for it.
type NoSuccession struct{}

// Saw implements Succession.
func (NoSuccession) Saw(string) {}

// Dead returns false, always.
func (NoSuccession) Dead(string) bool { return false }
