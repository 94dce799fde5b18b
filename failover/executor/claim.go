// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
)

// Claim cuts the connections that other operators hold to a node, those whose name begins with prefix, and with them
// whatever an operator that led before still has queued on them. Once per node and leadership is enough: who does not
// hold the lease sends nothing new. It changes nothing else, so the node's sample stays good.
func (e *Executor) Claim(ctx context.Context, key string, node failover.NodeRef, prefix string) error {
	t, err := e.target(scope{key: key}, node)
	if err != nil {
		return err
	}
	return t.send(ctx, func(ctx context.Context, r link.Redis) error {
		_, err := r.KillOperatorConnections(ctx, prefix)
		return err
	})
}
