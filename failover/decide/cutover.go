// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
)

// Clients are led to the master by its Service. Who is connected elsewhere is cut over, that is disconnected, so that
// it connects anew to where the Service leads. A library with default settings that is answered READONLY stays where it
// is, for a reply is no reason to reconnect; and connections go on arriving at the old address for as long as any
// kube-proxy leads there, which is a second and more.
//
// The role label is the durable record of it. A pod is labelled replica, so that NAME-replicas leads readers to it,
// only once no client that was led there as to a master is left. Until then everybody who is connected is cut;
// afterwards only who writes.

// Bounds of cutting clients over.
const (
	// cutPauseLeast and cutPauseMost are the times between two disconnections of all clients; the pause grows with the
	// time passed.
	cutPauseLeast = 10 * time.Millisecond
	cutPauseMost  = 250 * time.Millisecond
	// cutQuiet is how long no client must have arrived before a node counts as left: kube-proxy waits a second between two
	// syncs.
	cutQuiet = 1100 * time.Millisecond
	// cutWithin bounds the time in which readers are disconnected, too.
	cutWithin = 10 * time.Second
	// writersPauseLeast and writersPauseMost are the times between two looks for clients that write to a replica. The
	// pause doubles with each look: a client that is meant to read, writes all the same, and comes back each time, must
	// not keep the node busy.
	writersPauseLeast = 50 * time.Millisecond
	writersPauseMost  = time.Second
	// writersMissed is how many looks may find no client that writes, though writes are refused, before all are
	// disconnected, which happens once in missedPause at most. A connection that reads after each write may be missed by
	// every look.
	writersMissed = 8
	missedPause   = time.Minute
)

// cutOver disconnects the clients of who is not master, where that is due. The master is published.
func (d *decider) cutOver(v diagnosis.View) []failover.Action {
	var actions []failover.Action
	for _, n := range v.Others {
		closed := n.Replication.Role == failover.RoleReplica || n.Replication.MinReplicas >= failover.WriteGuardClosed
		if n.Contact != failover.ContactAnswering || !n.Sampled || !closed {
			continue
		}
		if writersOnly, due := d.cutDue(n); due {
			actions = append(actions, failover.CutClients{Node: n.Ref(), WritersOnly: writersOnly})
		}
	}
	return actions
}

// cutDue reports whether clients of n are to be disconnected now, and whether only those that write.
func (d *decider) cutDue(n failover.Node) (writersOnly, due bool) {
	if n.RoleLabel != failover.RoleReplica && !d.left(n) {
		pause := min(max(d.now.Sub(n.Cut.First)/8, cutPauseLeast), cutPauseMost)
		return false, d.dueIn(n.Cut.Last, pause)
	}
	if n.RefusedAt.IsZero() || n.RefusedAt.Before(n.Cut.Writers) || n.RefusedAt.Before(n.Cut.Last) {
		return false, false
	}
	if n.Cut.Misses >= writersMissed && d.now.Sub(n.Cut.Last) >= missedPause {
		return false, true
	}
	pause := min(writersPauseLeast<<min(n.Cut.Looks, 10), writersPauseMost)
	return true, d.dueIn(n.Cut.Writers, pause)
}

// dueIn reports whether pause has passed since last; if not, it is looked at again then.
func (d *decider) dueIn(last time.Time, pause time.Duration) bool {
	wait := last.Add(pause).Sub(d.now)
	if wait <= 0 {
		return true
	}
	d.due = d.due.Sooner(failover.After(wait))
	return false
}

// left reports that no client is on n that was led there as to a master: all were disconnected, and none has come for a
// while. It is said of a process that answers only.
func (d *decider) left(n failover.Node) bool {
	if n.Cut.First.IsZero() || n.Contact != failover.ContactAnswering {
		return false
	}
	calm := n.Cut.First
	if n.Cut.Hit.After(calm) {
		calm = n.Cut.Hit
	}
	return d.now.Sub(calm) >= cutQuiet && n.Cut.Last.Sub(calm) >= cutQuiet-cutPauseMost ||
		d.now.Sub(n.Cut.First) >= cutWithin
}
