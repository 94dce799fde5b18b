// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

// TryConfig tells which of the settings a Redis refuses, on the connections of the prober, under the lease.
func (r *Reconciler) TryConfig(
	ctx context.Context, key string, node failover.NodeRef, settings []redisclient.Setting,
) ([]redisclient.RefusedSetting, error) {
	return r.executor.TryConfig(ctx, key, node, settings)
}

// SetSettings makes a Redis have those settings, in the same way.
func (r *Reconciler) SetSettings(
	ctx context.Context, key string, node failover.NodeRef, want []redisclient.Setting,
) (redisclient.ToldSettings, error) {
	return r.executor.SetSettings(ctx, key, node, want)
}
