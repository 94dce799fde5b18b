// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
	"github.com/redisha/redisha/redisclient"
)

// ErrCannotCatchUp means that the candidate of a switchover did not get all that the master holds: its link is down, it
// synchronises, is of another lineage, does not answer, or is too far behind. The master serves on.
var ErrCannotCatchUp = errors.New("the candidate cannot catch up")

// pollEvery is the time between two looks at the candidate's offset. Its acknowledgements to the master come once a
// second only, so it is asked itself.
const pollEvery = time.Millisecond

// pauseMargin is by how much a pause outlasts the drain that it is for.
const pauseMargin = 2 * time.Second

// unpauseWithin bounds how long a master that could not be drained is waited for.
const unpauseWithin = 250 * time.Millisecond

// drain stops the master's writes, waits until the candidate has all of them, and fences the master. If that cannot
// be had, the master serves on as before. Should we die or lose the lease in between, the pause ends by itself.
func (e *Executor) drain(ctx context.Context, s scope, a failover.Drain) error {
	master, err := e.target(s, a.Master)
	if err != nil {
		return err
	}
	candidate, err := e.target(s, a.Candidate)
	if err != nil {
		return err
	}
	within := a.Within
	if within <= 0 {
		within = e.opts.Timeout
	}
	bounded, cancel := e.opts.Runtime.WithTimeout(ctx, within)
	defer cancel()
	err = drainTo(bounded, master, candidate, within+pauseMargin)
	if err == nil {
		s.replied.add(a.Candidate.UID) // it is promoted as soon as its sample shows what it was just seen to have
		return nil
	}
	// Even if the caller is gone, and even if the pause seems to have failed: its reply may have been lost. A master that
	// does not answer is not waited for twice: a failover may be what is needed now, and the pause ends by itself.
	unpause, stop := e.opts.Runtime.WithTimeout(context.WithoutCancel(ctx), unpauseWithin)
	defer stop()
	return errors.Join(err, master.unpauseWrites(unpause))
}

func drainTo(ctx context.Context, master, candidate target, pause time.Duration) error {
	var paused redisclient.Info
	err := master.change(ctx, func(ctx context.Context, r link.Redis) (err error) {
		paused, err = r.PauseAndInfo(ctx, pause)
		return err
	})
	if err != nil {
		return err
	}
	// The replication stream carries the master's pings too, so the offset may move under the pause.
	for goal := paused; ; {
		if err := catchUp(ctx, candidate, goal); err != nil {
			return err
		}
		now, err := master.info(ctx)
		if err != nil {
			return err
		}
		if now.Offset == goal.Offset && now.ReplID == goal.ReplID {
			break
		}
		goal = now
	}
	return master.fence(ctx)
}

// catchUp waits until the candidate has applied everything up to goal's offset.
func catchUp(ctx context.Context, candidate target, goal redisclient.Info) error {
	missing := goal.Offset
	for ctx.Err() == nil {
		info, err := candidate.info(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCannotCatchUp, err)
		}
		if info.Role != redisclient.RoleReplica || !info.LinkUp || info.SyncInProgress || info.Loading ||
			info.ReplID != goal.ReplID {
			return fmt.Errorf("%s: %w", candidate.ref.Pod, ErrCannotCatchUp)
		}
		if missing = goal.Offset - info.AppliedOffset; missing <= 0 {
			return nil
		}
		_ = candidate.executor.opts.Runtime.Sleep(ctx, pollEvery)
	}
	return fmt.Errorf("%s: %w: %d bytes missing in time: %w", candidate.ref.Pod, ErrCannotCatchUp, missing, ctx.Err())
}
