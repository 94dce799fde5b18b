// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
	"github.com/redisha/redisha/redisclient"
)

// Encrypt makes a node's process take and make connections like want; see [redisclient.Client.Encrypt]. It changes
// nothing of who follows whom.
func (e *Executor) Encrypt(ctx context.Context, key string, node failover.NodeRef, want redisclient.Encryption) error {
	t, err := e.target(scope{key: key, replied: &uids{}}, node)
	if err != nil {
		return err
	}
	return t.change(ctx, func(ctx context.Context, r link.Redis) error {
		_, err := r.Encrypt(ctx, want)
		return err
	})
}

// SetUsers makes a node's process know these users and no others; see [redisclient.Client.SetUsers].
func (e *Executor) SetUsers(
	ctx context.Context, key string, node failover.NodeRef, u redisclient.Users,
) (fingerprint string, err error) {
	return ask(ctx, e, key, node, func(ctx context.Context, r link.Redis) (string, error) { return r.SetUsers(ctx, u) })
}

// Users tells which users a node's process knows; see [redisclient.Client.Users].
func (e *Executor) Users(ctx context.Context, key string, node failover.NodeRef) (fingerprint string, err error) {
	return ask(ctx, e, key, node, func(ctx context.Context, r link.Redis) (string, error) { return r.Users(ctx) })
}
