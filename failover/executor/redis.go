// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"errors"
	"fmt"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
	"github.com/redisha/redisha/redisclient"
)

// ErrNoMaster means that a node was to follow itself, or a master without an address. Nothing was sent.
var ErrNoMaster = errors.New("a node can only follow another node that has an address")

// detach fences a node. With Quieten its clients' writes are held back first, so that they get no error before there
// is a master to go to; a Redis that cannot pause is fenced all the same.
func (e *Executor) detach(ctx context.Context, s scope, a failover.Detach) error {
	t, err := e.target(s, a.Node)
	if err != nil {
		return err
	}
	if a.Within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = e.opts.Runtime.WithTimeout(ctx, a.Within)
		defer cancel()
	}
	if a.Look {
		e.links.Refresh(ctx, s.key, a.Node.UID)
	}
	if a.Quieten {
		err := t.pauseWrites(ctx, e.opts.QuietenPause)
		if err != nil && !redisclient.Classify(err).Alive() {
			return err
		}
	}
	return t.fence(ctx)
}

// promote sets min-replicas-to-write before the node accepts its first write. The node may be a former master whose
// writes are still held back; they are let go last.
func (e *Executor) promote(ctx context.Context, s scope, a failover.Promote) error {
	t, err := e.target(s, a.Node)
	if err != nil {
		return err
	}
	ctx, cancel := e.opts.Runtime.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	for _, command := range []func(context.Context, link.Redis) error{
		func(ctx context.Context, r link.Redis) error {
			return r.SetMinReplicas(ctx, a.MinReplicas, failover.GuardMaxLag)
		},
		func(ctx context.Context, r link.Redis) error { return r.Promote(ctx) },
		func(ctx context.Context, r link.Redis) error { return r.UnpauseWrites(ctx) },
	} {
		if err := t.change(ctx, command); err != nil {
			return err
		}
	}
	return nil
}

// follow points a node at the master. If its clients' writes are held back they stay so, until the clients are cut
// off or the pause ends: released now they would be refused, and come back before the new master is published.
func (e *Executor) follow(ctx context.Context, s scope, a failover.Follow) error {
	if a.Master.IP == "" || a.Node.UID == a.Master.UID || a.Node.IP == a.Master.IP {
		return fmt.Errorf("%s: %w", a.Node.Pod, ErrNoMaster)
	}
	t, err := e.target(s, a.Node)
	if err != nil {
		return err
	}
	return t.change(ctx, func(ctx context.Context, r link.Redis) error {
		if s.master.CanEncrypt {
			if err := r.SetReplicationTLS(ctx, s.master.Encrypted); err != nil {
				return err
			}
		}
		return r.ReplicaOf(ctx, a.Master.IP, s.master.Port)
	})
}

// cutClients disconnects everybody, while their writes are still held back if they are, so that the writes go with
// them; or those who write. Whoever comes back while the Service's rules lag behind the EndpointSlice is met by the
// next one.
func (e *Executor) cutClients(ctx context.Context, s scope, a failover.CutClients) error {
	t, err := e.target(s, a.Node)
	if err != nil {
		return err
	}
	ctx, cancel := e.opts.Runtime.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	killed, err := t.killClients(ctx, a.WritersOnly)
	if err != nil {
		return err
	}
	if !a.WritersOnly {
		if err := t.unpauseWrites(ctx); err != nil {
			return err
		}
	}
	e.links.MarkClientsCut(s.key, a.Node.UID, a.WritersOnly, killed)
	return nil
}

func (e *Executor) setMinReplicas(ctx context.Context, s scope, a failover.SetMinReplicas) error {
	t, err := e.target(s, a.Node)
	if err != nil {
		return err
	}
	return t.change(ctx, func(ctx context.Context, r link.Redis) error {
		return r.SetMinReplicas(ctx, a.MinReplicas, failover.GuardMaxLag)
	})
}

func (e *Executor) unpause(ctx context.Context, s scope, a failover.Unpause) error {
	t, err := e.target(s, a.Node)
	if err != nil {
		return err
	}
	return t.unpauseWrites(ctx)
}
