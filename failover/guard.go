// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"slices"
	"time"
)

// The write guard is min-replicas-to-write of the master. It exists to stop a master that is isolated from the operator: the operator
// promotes another node beside one that it cannot reach only where the guard stops that one by itself. While the operator reaches the
// master, the guard has no reason to refuse writes.
//
// So it counts failure domains, not pods: one more than the replicas that share the master's domain, as long as a replica runs in
// another one. A machine that is lost with the master and a replica on it is then known to stop. And it counts only replicas that the
// master hears: before it stops on account of one that it does not hear any more, the guard is lowered, after it was written down that
// this master can write alone.

// Bounds of the write guard.
const (
	// GuardMaxLag is min-replicas-max-lag: a replica that the master has not heard for longer does not count. Redis compares whole
	// seconds, and looks once a second, so that an isolated master stops GuardMaxLag-1 s to GuardMaxLag+2 s after its replicas were cut off.
	GuardMaxLag = 2 * time.Second
	// guardSettles is how long fewer replicas must have been heard before the guard is lowered on account of it. Redis dates what it
	// hears in whole seconds, so that a sample may show a second too much for some milliseconds.
	guardSettles = 300 * time.Millisecond
	// isolationMargin is by how much longer than down-after a silent master is waited for that may be isolated, and so may still
	// accept writes. With the default down-after of 3 s that is GuardMaxLag+2 s: it has stopped by then.
	isolationMargin = time.Second
	// connectFresh is how old a connection to a silent master may be that proves it not to be isolated: its machine answers, its process hangs.
	connectFresh = 1500 * time.Millisecond
)

// domain is the failure domain that a node runs in.
func (v view) domain(n Node) string { return Domain(v.obs.Nodes, n) }

// sharesDomain reports a node that is lost together with the master when their failure domain is.
func (v view) sharesDomain(n Node) bool {
	home := v.domain(v.master)
	return home != "" && v.domain(n) == home
}

// counted reports a replica that the master may have, for all that is known: it is attached, or unreachable and was attached when
// it was last heard. Whether the master hears it, the master says.
func (v view) counted(n Node) bool {
	switch {
	case n.IP == "" || n.Exited || n.NodeGone || n.Contact == ContactRefused || !n.Sampled:
		return false
	case n.Answers():
		return v.attached(n)
	}
	return v.wasAttached(n)
}

// heard is how many replicas the master hears. Fewer than a moment ago count as more until that has settled.
func (v view) heard() int {
	r := v.master.Replication
	if r.Fresh < r.Followers && v.now.Sub(v.master.FreshSince) < guardSettles {
		return r.Followers
	}
	return r.Fresh
}

// writeGuard is the value that the master's min-replicas-to-write should have; what it has, where nothing is known of it.
func (v view) writeGuard() int {
	if v.master.Replication.MinReplicas < 0 {
		return v.master.Replication.MinReplicas
	}
	beside, elsewhere := 0, 0
	for _, n := range v.others {
		switch {
		case !v.counted(n):
		case v.sharesDomain(n):
			beside++
		default:
			elsewhere++
		}
	}
	want := 1
	if elsewhere > 0 {
		want = 1 + beside
	}
	return min(want, v.heard())
}

// guarded is how many replicas the master needs to accept writes, as far as it is certain: what it was told since it was heard may have
// reached it or not.
func (v view) guarded() int {
	recorded := max(1, v.record.Guard)
	if !v.heardAsMaster() {
		return recorded
	}
	return max(1, min(v.master.Replication.MinReplicas, recorded))
}

// unguarded reports that the master may accept writes without a replica. What it was told since it was heard may have reached it; of one
// that was never heard, the status tells.
func (v view) unguarded() bool {
	if !v.heardAsMaster() {
		return v.writeGuardOff
	}
	return v.master.Replication.MinReplicas == 0 || v.record.WriteGuardOff
}

// heardAsMaster reports that the sample is of the master's process, as master.
func (v view) heardAsMaster() bool {
	r := v.master.Replication
	return v.master.Sampled && r.RunID == v.ref.RunID && r.Role == RoleMaster
}

// mayBeIsolated reports a silent master that may accept writes for all that is known: its machine does not answer either, so that it may
// be cut off together with clients. That a connection to it was made a moment ago shows that its process hangs.
func (v view) mayBeIsolated() bool {
	since := v.now.Sub(v.master.ConnectedAt)
	return v.master.ConnectedAt.IsZero() || since > connectFresh || !v.master.ConnectedAt.After(v.master.LastAnswer)
}

// mayWrite is for how long a silent master may go on accepting writes: it may be isolated, and its write guard stops it some time after
// it has heard a replica.
func (v view) mayWrite() time.Duration {
	if !v.mayBeIsolated() {
		return 0
	}
	return max(0, v.downAfter()-v.now.Sub(v.lastHeard(slices.Concat(v.others, v.obs.Departed))))
}

// lastHeard is when the last of them may have heard the master; zero when none is known to have.
func (v view) lastHeard(nodes []Node) (last time.Time) {
	for _, n := range nodes {
		if h := n.Heard; h.At.After(last) && (h.Master == v.ref.IP || h.Master == FenceHost) {
			last = h.At
		}
		// It was unreachable, and in touch with the master until its end, for all that is known.
		if n.Exited && n.Contact != ContactAnswering && v.wasAttached(n) && n.ExitedAt.After(last) {
			last = n.ExitedAt
		}
	}
	return last
}

// downAfter is how long the master must have been silent before that is acted upon.
func (v view) downAfter() time.Duration {
	after := v.policy.DownAfter
	if v.mayBeIsolated() {
		after = max(after, min(after+isolationMargin, GuardMaxLag+2*time.Second))
	}
	return after
}

// recordGuard writes down that the guard of the master is about to become lower: should the master be cut off then, a successor that
// never hears it has to know.
func (d *decider) recordGuard(master NodeRef, value int) {
	for i, k := range d.next.Known {
		if k.UID == master.UID && k.RunID == master.RunID {
			d.next.Known[i].WriteGuardOff = k.WriteGuardOff || value == 0
			d.next.Known[i].Guard = min(k.Guard, aboveOne(value))
		}
	}
}

// aboveOne is a guard as it is recorded: one of a single replica is the usual case, and not written down.
func aboveOne(guard int) int {
	if guard > 1 {
		return guard
	}
	return 0
}

// guard sets the master's write guard, if it is not what it should be.
func (d *decider) guard(v view) []Action {
	is, want := v.master.Replication.MinReplicas, v.writeGuard()
	if v.master.Replication.Fresh < v.master.Replication.Followers {
		d.dueIn(v.master.FreshSince, guardSettles)
	}
	if want == is || is < 0 {
		return nil
	}
	if want < is {
		d.recordGuard(v.ref, want)
	}
	return []Action{SetMinReplicas{Node: v.ref, MinReplicas: want}}
}

// guardOf is the write guard of a node as it is to be recorded. Of one that does not answer, what was known stays.
func guardOf(v view, n Node, before KnownNode) (guard int, writeGuardOff bool) {
	switch value := n.Replication.MinReplicas; {
	case n.UID != v.ref.UID:
		return 0, false
	case !n.Answers():
		if before.UID != n.UID {
			return 0, false
		}
		return before.Guard, before.WriteGuardOff
	case value < 0:
		return 0, false
	default:
		value = min(value, v.writeGuard())
		return aboveOne(value), value == 0
	}
}
