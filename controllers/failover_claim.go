// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/executor"
	"github.com/redisha/redisha/failover/lease"
)

// claim cuts a former leader's connections to each process that we meet for the first time: what it may still have
// queued there must not be executed after what we decide now. It returns the processes for which that failed.
func (r *FailoverReconciler) claim(ctx context.Context, key string, obs failover.Observation) []failover.NodeRef {
	r.mu.Lock()
	before := r.claimed[key]
	r.mu.Unlock()
	now := map[failover.NodeRef]bool{}
	var failed []failover.NodeRef
	for _, n := range obs.Nodes {
		ref := n.Ref()
		switch {
		case !n.Answers():
		case before[ref] || r.executor.Claim(ctx, key, ref, lease.ConnectionPrefix) == nil:
			now[ref] = true
		default:
			failed = append(failed, ref)
		}
	}
	if len(now) == 0 && before == nil {
		return failed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for ref := range before {
		if _, still := obs.Node(ref); still {
			now[ref] = true
		}
	}
	r.claimed[key] = now
	return failed
}

// permitted leaves out the orders to processes that could not be claimed: a former leader's may still be on their way
// there, and would be executed after ours. Each of those was given a deadline; when that is over, what is left does not
// matter any more.
func (r *FailoverReconciler) permitted(key string, actions []failover.Action, unclaimed []failover.NodeRef, now time.Time) (permitted []failover.Action, all bool) {
	var waiting []string // UIDs
	for ref, since := range r.unclaimedSince(key, unclaimed, now) {
		if now.Sub(since) < executor.DefaultTimeout {
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

// unclaimedSince returns since when each of the processes of a RedisHA could not be claimed. It remembers those of a
// minute, and looks through no other RedisHA's: a pod that names itself anew each time leaves hundreds behind.
func (r *FailoverReconciler) unclaimedSince(key string, unclaimed []failover.NodeRef, now time.Time) map[failover.NodeRef]time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.unclaimed[key]
	for ref, since := range known {
		if now.Sub(since) > time.Minute {
			delete(known, ref)
		}
	}
	if len(unclaimed) == 0 {
		return nil
	}
	if known == nil {
		known = map[failover.NodeRef]time.Time{}
		r.unclaimed[key] = known
	}
	since := map[failover.NodeRef]time.Time{}
	for _, ref := range unclaimed {
		if _, found := known[ref]; !found {
			known[ref] = now
		}
		since[ref] = known[ref]
	}
	return since
}

// isOrder reports an action that is carried out by Redis.
func isOrder(a failover.Action) bool {
	switch a.(type) {
	case failover.Detach, failover.Drain, failover.Promote, failover.Follow, failover.CutClients, failover.SetMinReplicas, failover.Unpause:
		return true
	}
	return false
}
