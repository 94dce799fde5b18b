// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
)

// The write guard is min-replicas-to-write of the master. It exists to stop a master that is isolated from the
// operator: the operator promotes another node beside one that it cannot reach only where the guard stops that one by
// itself. While the operator reaches the master, the guard has no reason to refuse writes.
//
// So it counts failure domains, not pods: one more than the replicas that share the master's domain, as long as a
// replica runs in another one. A machine that is lost with the master and a replica on it is then known to stop. And it
// counts only replicas that the master hears: before it stops on account of one that it does not hear any more, the
// guard is lowered, after it was written down that this master can write alone. A replica that is to be scaled away is
// none to count on: several go within milliseconds of each other, and the master would refuse writes until the guard is
// lowered.

// Bounds of the write guard.
const (
	// GuardSettles is how long fewer replicas must have been heard before the guard is lowered on account of it. Redis
	// dates what it hears in whole seconds, so that a sample may show a second too much for some milliseconds.
	GuardSettles = 300 * time.Millisecond
	// IsolationMargin is by how much longer than down-after a silent master is waited for that may be isolated, and so may
	// still accept writes. With the default down-after of 3 s that is GuardMaxLag+2 s: it has stopped by then.
	IsolationMargin = time.Second
	// connectFresh is how old a connection to a silent master may be that proves it not to be isolated: its machine
	// answers, its process hangs.
	connectFresh = 1500 * time.Millisecond
)

// domain is the failure domain that a node runs in.
func (v View) domain(n failover.Node) string { return failover.Domain(v.obs.Nodes, n) }

// sharesDomain reports a node that is lost together with the master when their failure domain is.
func (v View) sharesDomain(n failover.Node) bool {
	home := v.domain(v.Master)
	return home != "" && v.domain(n) == home
}

// counted reports a replica that the master may have, for all that is known: it is attached, or unreachable and was
// attached when it was last heard. Whether the master hears it, the master says.
func (v View) counted(n failover.Node) bool {
	switch {
	case n.IP == "" || n.Exited || n.NodeGone || n.Contact == failover.ContactRefused || !n.Sampled:
		return false
	case n.Answers():
		return v.Attached(n)
	}
	return v.wasAttached(n)
}

// heard is how many replicas the master hears. Fewer than a moment ago count as more until that has settled.
func (v View) heard() int {
	r := v.Master.Replication
	if r.Fresh < r.Followers && v.now.Sub(v.Master.FreshSince) < GuardSettles {
		return r.Followers
	}
	return r.Fresh
}

// WriteGuard is the value that the master's min-replicas-to-write should have; what it has, where nothing is known of
// it.
func (v View) WriteGuard() int {
	if v.Master.Replication.MinReplicas < 0 {
		return v.Master.Replication.MinReplicas
	}
	beside, elsewhere := 0, 0
	for _, n := range v.Others {
		switch {
		case !v.counted(n) || v.Surplus(n):
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

// Surplus reports a node that the spec has no place for: it is to be scaled away.
func (v View) Surplus(n failover.Node) bool {
	return v.Policy.Replicas > 0 && n.Ordinal >= v.Policy.Replicas
}

// Deserted reports a master whose last replicas are being ended, on purpose: it is about to be without any. None of
// them can take over from it.
func (v View) Deserted() bool {
	ending := false
	for _, n := range v.Others {
		if v.counted(n) && !n.Terminating {
			return false
		}
		ending = ending || v.counted(n)
	}
	return ending
}

// Guarded is how many replicas the master needs to accept writes, as far as it is certain: what it was told since it
// was heard may have reached it or not.
func (v View) Guarded() int {
	recorded := max(1, v.Record.WriteGuard)
	if !v.heardAsMaster() {
		return recorded
	}
	return max(1, min(v.Master.Replication.MinReplicas, recorded))
}

// unguarded reports that the master may accept writes without a replica. What it was told since it was heard may have
// reached it; of one that was never heard, the status tells.
func (v View) unguarded() bool {
	if !v.heardAsMaster() {
		return v.WriteGuardOff
	}
	return v.Master.Replication.MinReplicas == 0 || v.Record.WriteGuardOff
}

// heardAsMaster reports that the sample is of the master's process, as master.
func (v View) heardAsMaster() bool {
	r := v.Master.Replication
	return v.Master.Sampled && r.RunID == v.Ref.RunID && r.Role == failover.RoleMaster
}

// MayWrite is for how long a silent master may go on accepting writes: it may be isolated, and its write guard stops it
// some time after it has heard a replica.
func (v View) MayWrite() time.Duration {
	if !v.mayBeIsolated() {
		return 0
	}
	return max(0, v.givenUpAfter()-v.now.Sub(v.LastHeard(slices.Concat(v.Others, v.obs.Departed))))
}

// LastHeard is when the last of them may have heard the master; zero when none is known to have.
func (v View) LastHeard(nodes []failover.Node) (last time.Time) {
	for _, n := range nodes {
		if h := n.Heard; h.At.After(last) && (h.Master == v.Ref.IP || h.Master == failover.FenceHost) {
			last = h.At
		}
		// It was unreachable, and in touch with the master until its end, for all that is known.
		if n.Exited && n.Contact != failover.ContactAnswering && v.wasAttached(n) && n.ExitedAt.After(last) {
			last = n.ExitedAt
		}
	}
	return last
}
