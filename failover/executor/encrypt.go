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

// SetPasswords makes a node's process take these passwords; see [redisclient.Client.SetPasswords].
func (e *Executor) SetPasswords(ctx context.Context, key string, node failover.NodeRef, p redisclient.Passwords) error {
	t, err := e.target(scope{key: key}, node)
	if err != nil {
		return err
	}
	return t.send(ctx, func(ctx context.Context, r link.Redis) error { return r.SetPasswords(ctx, p) })
}
