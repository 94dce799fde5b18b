// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
	"github.com/redisha/redisha/redisclient"
)

// TryConfig returns those of the settings that a node's Redis refuses; see [redisclient.Client.TryConfig]. It changes
// nothing, and is sent under the lease all the same, as all that could.
func (e *Executor) TryConfig(
	ctx context.Context, key string, node failover.NodeRef, settings []redisclient.Setting,
) ([]redisclient.RefusedSetting, error) {
	return ask(ctx, e, key, node, func(ctx context.Context, r link.Redis) ([]redisclient.RefusedSetting, error) {
		return r.TryConfig(ctx, settings)
	})
}

// TryUsers returns those of the users that a node's Redis refuses; see [redisclient.Client.TryUsers].
func (e *Executor) TryUsers(
	ctx context.Context, key string, node failover.NodeRef, users []redisclient.User,
) ([]redisclient.RefusedUser, error) {
	return ask(ctx, e, key, node, func(ctx context.Context, r link.Redis) ([]redisclient.RefusedUser, error) {
		return r.TryUsers(ctx, users)
	})
}

// ask sends what is answered to a node's process, and to no other.
func ask[T any](
	ctx context.Context, e *Executor, key string, node failover.NodeRef, say func(context.Context, link.Redis) (T, error),
) (answer T, err error) {
	t, err := e.target(scope{key: key}, node)
	if err != nil {
		return answer, err
	}
	err = t.send(ctx, func(ctx context.Context, r link.Redis) (err error) {
		answer, err = say(ctx, r)
		return err
	})
	return answer, err
}

// SetSettings makes a node's process have these settings; see [redisclient.Client.SetSettings].
func (e *Executor) SetSettings(
	ctx context.Context, key string, node failover.NodeRef, want []redisclient.Setting,
) (told redisclient.ToldSettings, err error) {
	t, err := e.target(scope{key: key}, node)
	if err != nil {
		return told, err
	}
	err = t.send(ctx, func(ctx context.Context, r link.Redis) (err error) {
		told, err = r.SetSettings(ctx, want)
		return err
	})
	return told, err
}
