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
) (refused []redisclient.RefusedSetting, err error) {
	t, err := e.target(scope{key: key}, node)
	if err != nil {
		return nil, err
	}
	err = t.send(ctx, func(ctx context.Context, r link.Redis) (err error) {
		refused, err = r.TryConfig(ctx, settings)
		return err
	})
	return refused, err
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
