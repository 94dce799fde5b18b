// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"fmt"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
	"github.com/redisha/redisha/redisclient"
)

// target is the incarnation of a node that an action is meant for, with the way to it.
type target struct {
	executor *Executor
	scope    scope
	ref      failover.NodeRef
	link     *link.Link
}

func (e *Executor) target(s scope, ref failover.NodeRef) (target, error) {
	l, ok := e.links.Link(s.key, ref.UID)
	if !ok {
		return target{}, fmt.Errorf("%s: %w", ref.Pod, ErrNoLink)
	}
	return target{executor: e, scope: s, ref: ref, link: l}, nil
}

// send sends one command that may change what the process does, but nothing of what its sample shows: under a lease
// that outlasts it, and to the process that is meant.
func (t target) send(ctx context.Context, command func(context.Context, link.Redis) error) error {
	e := t.executor
	ctx, cancel := e.opts.Runtime.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	err := t.link.Do(ctx, t.ref.RunID, func(ctx context.Context, r link.Redis) error {
		if err := e.covered(ctx); err != nil {
			return err
		}
		return command(ctx, r)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", t.ref.Pod, err)
	}
	return nil
}

// change sends one changing command: when it is our turn on the connection, if the process is the one that is meant,
// and if the lease outlasts the command. The sample is marked stale before, as the command may take effect at any
// moment from then on, and after, as a probe in between may have seen the state from before. A node that replied is
// worth waiting for a fresh sample of; one that did not is the prober's to watch.
func (t target) change(ctx context.Context, command func(context.Context, link.Redis) error) error {
	links := t.executor.links
	return t.send(ctx, func(ctx context.Context, r link.Redis) error {
		links.MarkStale(t.scope.key, t.ref.UID)
		defer links.MarkStale(t.scope.key, t.ref.UID)
		err := command(ctx, r)
		if redisclient.Classify(err).Alive() {
			t.scope.replied.add(t.ref.UID)
		}
		return err
	})
}

// info reads; no lease is needed for that.
func (t target) info(ctx context.Context) (redisclient.Info, error) {
	info, err := t.link.Info(ctx)
	if err != nil {
		return info, fmt.Errorf("%s: %w", t.ref.Pod, err)
	}
	if t.ref.RunID != "" && info.RunID != t.ref.RunID {
		return info, fmt.Errorf("%s: %w: %s instead of %s", t.ref.Pod, link.ErrOtherIncarnation, info.RunID, t.ref.RunID)
	}
	return info, nil
}

func (t target) fence(ctx context.Context) error {
	return t.change(ctx, func(ctx context.Context, r link.Redis) error {
		return r.ReplicaOf(ctx, failover.FenceHost, failover.FencePort)
	})
}

func (t target) pauseWrites(ctx context.Context, d time.Duration) error {
	return t.change(ctx, func(ctx context.Context, r link.Redis) error { return r.PauseWrites(ctx, d) })
}

func (t target) unpauseWrites(ctx context.Context) error {
	return t.send(ctx, func(ctx context.Context, r link.Redis) error { return r.UnpauseWrites(ctx) })
}

func (t target) killClients(ctx context.Context, writersOnly bool) (killed int, err error) {
	err = t.send(ctx, func(ctx context.Context, r link.Redis) (err error) {
		if writersOnly {
			killed, err = r.KillWriters(ctx)
		} else {
			killed, err = r.KillClients(ctx)
		}
		return err
	})
	return killed, err
}
