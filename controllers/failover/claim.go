// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/executor"
	"github.com/redisha/redisha/failover/lease"
)

// claims are the processes whose connections of a former leader were cut, and those for which that failed.
type claims struct {
	done   map[failover.NodeRef]bool
	failed map[failover.NodeRef]time.Time // since when
}

// claim cuts a former leader's connections to each process that we meet for the first time: what it may still have
// queued there must not be executed after what we decide now. It returns the processes for which that failed.
func (r *Reconciler) claim(ctx context.Context, key string, obs failover.Observation, c *claims) []failover.NodeRef {
	now := map[failover.NodeRef]bool{}
	var failed []failover.NodeRef
	for _, n := range obs.Nodes {
		ref := n.Ref()
		switch {
		case !n.Answers():
		case c.done[ref] || r.executor.Claim(ctx, key, ref, lease.ConnectionPrefix) == nil:
			now[ref] = true
		default:
			failed = append(failed, ref)
		}
	}
	for ref := range c.done {
		if _, still := obs.Node(ref); still {
			now[ref] = true
		}
	}
	c.done = now
	return failed
}

// permitted leaves out the orders to processes that could not be claimed: a former leader's may still be on their way
// there, and would be executed after ours. Each of those was given a deadline; when that is over, what is left does not
// matter any more.
func (c *claims) permitted(
	actions []failover.Action, unclaimed []failover.NodeRef, now time.Time,
) (permitted []failover.Action, all bool) {
	c.forgetEarlier(now)
	var waiting []string // UIDs
	for _, ref := range unclaimed {
		if now.Sub(c.failedSince(ref, now)) < executor.DefaultTimeout {
			waiting = append(waiting, ref.UID)
		}
	}
	if len(waiting) == 0 {
		return actions, true
	}
	permitted = slices.DeleteFunc(slices.Clone(actions), func(a failover.Action) bool {
		return isOrder(a) && slices.Contains(waiting, a.Target().UID)
	})
	return permitted, len(permitted) == len(actions)
}

// failedSince returns since when a process could not be claimed that cannot be now.
func (c *claims) failedSince(ref failover.NodeRef, now time.Time) time.Time {
	if _, found := c.failed[ref]; !found {
		if c.failed == nil {
			c.failed = map[failover.NodeRef]time.Time{}
		}
		c.failed[ref] = now
	}
	return c.failed[ref]
}

// forgetEarlier forgets what failed more than a minute ago: a pod that names itself anew each time leaves hundreds
// behind.
func (c *claims) forgetEarlier(now time.Time) {
	maps.DeleteFunc(c.failed, func(_ failover.NodeRef, since time.Time) bool { return now.Sub(since) > time.Minute })
}

// isOrder reports an action that is carried out by Redis.
func isOrder(a failover.Action) bool {
	switch a.(type) {
	case failover.Detach,
		failover.Drain,
		failover.Promote,
		failover.Follow,
		failover.CutClients,
		failover.SetMinReplicas,
		failover.Unpause:
		return true
	}
	return false
}
