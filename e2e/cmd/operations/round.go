// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/sandbox"
)

const (
	// calm is for how long applications write before an operation, and after all is well again.
	calm = 2 * time.Second
	// limit is how long an operation may take. A Secret is read twice a minute, and some have several steps.
	limit = 8 * time.Minute
)

// round is one operation while it is played.
type round struct {
	*set
	number int
	before *v1alpha1.RedisHA // when all was well
	begun  time.Time         // when the operation began
	took   time.Duration     // until all was well again
	waking time.Duration     // from when a Redis is to run again to the first acknowledged write
	load   *load
}

// playRound plays one round. What went wrong is in the result.
func (s *set) playRound(ctx context.Context, number int) result {
	ctx, cancel := context.WithTimeout(ctx, limit+settles)
	defer cancel()
	to := result{Operation: s.played.name, TLS: s.played.column, Round: number, Outage: s.played.outage}
	r := &round{set: s, number: number, load: &load{set: s}}
	after, err := r.play(ctx)
	r.load.stop()
	if len(r.load.all) > 0 {
		r.load.note(&to, r.begun)
	}
	if err == nil {
		to.Took, to.Waking = r.took.Milliseconds(), r.waking.Milliseconds()
		to.Promotions = promotions(after.Status.History, r.before.Status.Failover.Epoch, r.begun)
		err = r.load.lookUp(ctx, &to)
	}
	if err != nil {
		to.Failure = err.Error()
	}
	return to
}

// play begins with a RedisHA that is well and returns when it is again.
func (r *round) play(ctx context.Context) (*v1alpha1.RedisHA, error) {
	r.begun = time.Now()
	var err error
	if r.before, err = r.ready(ctx); err != nil {
		return nil, err
	}
	usual, err := r.usual(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.load.use(ctx, usual); err != nil {
		return nil, err
	}
	if err := sandbox.Sleep(ctx, calm); err != nil {
		return nil, err
	}
	r.begun = time.Now()
	if err := r.operate(ctx); err != nil {
		return nil, err
	}
	after, err := r.well(ctx)
	if err != nil {
		return nil, fmt.Errorf("it did not settle: %w", err)
	}
	r.took = time.Since(r.begun)
	return after, sandbox.Sleep(ctx, calm)
}

// ready returns the RedisHA when it is as the operation needs it.
func (r *round) ready(ctx context.Context) (*v1alpha1.RedisHA, error) {
	rha, err := r.well(ctx)
	if err != nil || r.played.before == nil {
		return rha, err
	}
	r.before = rha
	if err := r.played.before(ctx, r); err != nil {
		return rha, err
	}
	return r.well(ctx)
}

func (r *round) operate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return r.played.play(ctx, r)
}
