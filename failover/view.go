// SPDX-License-Identifier: Apache-2.0

package failover

import "time"

// view is the observation as seen from the present master; what the diagnosis table looks at.
type view struct {
	now           time.Time
	policy        Policy
	obs           Observation
	ref           NodeRef
	found         bool
	master        Node
	others        []Node
	witnesses     []witness
	record        KnownNode // the master's process, as written down
	writeGuardOff bool      // the master may accept writes without a replica, for all that was written down before it was heard
}

// witness is a reachable replica's testimony about the master.
type witness struct {
	name       string
	linkDown   bool // it lost its link to the master
	seesMaster bool // its link is up and carries fresh data: the master lives
	agrees     bool // it too has heard nothing for down-after
}

// pingSlack is what master_last_io_seconds_ago of a healthy link may show: masters ping once a
// second (repl-ping-replica-period 1) and the value is in whole seconds.
const pingSlack = 2 * time.Second

func newView(now time.Time, policy Policy, obs Observation, ref NodeRef) view {
	v := view{now: now, policy: policy, obs: obs, ref: ref}
	v.master, v.found = obs.Node(ref)
	v.others = obs.Others(ref)
	for _, n := range v.others {
		if w, ok := v.testimony(n); ok {
			v.witnesses = append(v.witnesses, w)
		}
	}
	return v
}

// testimony hears a node. Only a node that answers and has had a link to this master knows
// anything: one that never got through to it may be what is cut off. One in the middle of a full
// sync has no link to speak of, and abstains.
func (v view) testimony(n Node) (witness, bool) {
	r := n.Replication
	if !n.Answers() || r.Loading || !n.Follows(v.ref.IP) || !r.Linked || r.Syncing {
		return witness{}, false
	}
	w := witness{name: n.Name}
	// A sample from before the master fell out of contact says nothing about now.
	old := n.SampledAt.Before(v.master.ContactSince)
	heard := v.now.Sub(n.SampledAt) + r.LastIO // since the replica heard the master, as of now
	w.linkDown = !r.LinkUp && !old
	w.agrees = w.linkDown || (r.LinkUp && heard >= max(v.policy.DownAfter, pingSlack))
	w.seesMaster = r.LinkUp && !old && r.LastIO < max(v.policy.DownAfter, pingSlack)
	return w, true
}

// unreachable reports whether the master is suspected: silent for down-after, or refusing
// connections. (ContactRefused without down links is what a filter between us looks like.)
func (v view) unreachable() bool {
	switch v.master.Contact {
	case ContactSilent, ContactNone, ContactBusy, ContactFull, ContactErring:
		return v.master.SilentFor(v.now) >= v.policy.DownAfter
	case ContactRefused:
		return v.now.Sub(v.master.ContactSince) >= refusedSettles
	case ContactAnswering, ContactDenied:
		return false
	}
	return false
}

// refusedSettles is how long a refusal may stand without a witness before it is called a
// suspicion: a replica notices the broken link a few milliseconds after us.
const refusedSettles = 500 * time.Millisecond

// unreachableReplicas names the replicas that are unreachable as the master is, and were attached when last heard of, or on their way
// there. With as many as min-replicas-to-write asks for, a master that is cut off from us goes on taking writes.
func (v view) unreachableReplicas() []string {
	var names []string
	for _, n := range v.others {
		if n.IP != "" && mayRunUnseen(n) && (v.wasAttached(n) || v.onItsWay(n)) {
			names = append(names, n.Name)
		}
	}
	return names
}

// mayRunUnseen reports a process that is unreachable and that nothing says has ended.
func mayRunUnseen(n Node) bool {
	return !n.Exited && !n.NodeGone && n.Contact != ContactAnswering && n.Contact != ContactRefused
}

// wasAttached reports that n had its link to the master up when it was last heard, or was about to. Of one that was never heard it has
// to be supposed, for a predecessor of ours may have attached it after the last snapshot was written down; and of one that was told to
// do something, and not heard since.
func (v view) wasAttached(n Node) bool {
	r := n.Replication
	return !n.Sampled || n.Stale || n.Follows(v.ref.IP) && (r.LinkUp || r.Syncing)
}

// onItsWay reports a replica that follows the master, and had no link to it yet when it was last heard: it tries again every second. One
// that had a link and has lost it is cut off from the master as well.
func (v view) onItsWay(n Node) bool { return n.Follows(v.ref.IP) && !n.Replication.Linked }

// attached reports whether n replicates from the master, with its link up and no sync running.
func (v view) attached(n Node) bool {
	r := n.Replication
	return n.Answers() && n.Follows(v.ref.IP) && r.LinkUp && !r.Syncing && !r.Loading
}

// lastSeen returns how far the master's history, known as written down, had got when that process was last seen. A master gives
// it another name by itself, in time; one that was made a replica by hand may show that of another.
func (v view) lastSeen(runID string, known Lineage) (Lineage, bool) {
	seen, own := v.master.Former.Lineage, false
	switch {
	case !v.found || runID == "":
		return Lineage{}, false
	case v.master.Sampled && v.master.Replication.RunID == runID:
		seen, own = v.master.Replication.Lineage, v.master.Replication.Role == RoleMaster
	case v.master.Former.RunID != runID:
		return Lineage{}, false
	}
	return seen, own || known.ReplID == "" || known.Shared(seen) >= 0 || seen.Shared(known) >= 0
}
