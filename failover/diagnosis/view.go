// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"time"

	"github.com/redisha/redisha/failover"
)

// View is the observation as seen from the present master; what the diagnosis table looks at.
type View struct {
	now       time.Time
	Policy    failover.Policy
	obs       failover.Observation
	Ref       failover.NodeRef
	Found     bool
	Master    failover.Node
	Others    []failover.Node
	witnesses []witness
	Record    failover.NodeRecord // the master's process, as written down
	// the master may accept writes without a replica, for all that was written down before it was heard
	WriteGuardOff bool
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

// NewView looks at an observation from ref, who is master or may be. Record and WriteGuardOff are the caller's to fill
// in.
func NewView(now time.Time, policy failover.Policy, obs failover.Observation, ref failover.NodeRef) View {
	v := View{now: now, Policy: policy, obs: obs, Ref: ref}
	v.Master, v.Found = obs.Node(ref)
	v.Others = obs.Others(ref)
	for _, n := range v.Others {
		if w, ok := v.testimony(n); ok {
			v.witnesses = append(v.witnesses, w)
		}
	}
	return v
}

// testimony hears a node. Only a node that answers and has had a link to this master knows
// anything: one that never got through to it may be what is cut off. One in the middle of a full
// sync has no link to speak of, and abstains.
func (v View) testimony(n failover.Node) (witness, bool) {
	r := n.Replication
	if !n.Answers() || r.Loading || !n.Follows(v.Ref.IP) || !r.Linked || r.Syncing {
		return witness{}, false
	}
	w := witness{name: n.Name}
	// A sample from before the master fell out of contact says nothing about now.
	old := n.SampledAt.Before(v.Master.ContactSince)
	heard := v.now.Sub(n.SampledAt) + r.LastIO // since the replica heard the master, as of now
	w.linkDown = !r.LinkUp && !old
	w.agrees = w.linkDown || (r.LinkUp && heard >= v.heardWithin())
	w.seesMaster = r.LinkUp && !old && r.LastIO < v.heardWithin()
	return w, true
}

// UnreachableReplicas names the replicas that are unreachable as the master is, and were attached when last heard of,
// or on their way there. With as many as min-replicas-to-write asks for, a master that is cut off from us goes on
// taking writes.
func (v View) UnreachableReplicas() []string {
	var names []string
	for _, n := range v.Others {
		if n.IP != "" && MayRunUnseen(n) && (v.wasAttached(n) || v.onItsWay(n)) {
			names = append(names, n.Name)
		}
	}
	return names
}

// MayRunUnseen reports a process that is unreachable and that nothing says has ended.
func MayRunUnseen(n failover.Node) bool {
	return !n.Exited && !n.NodeGone && n.Contact != failover.ContactAnswering && n.Contact != failover.ContactRefused
}

// wasAttached reports that n had its link to the master up when it was last heard, or was about to. Of one that was
// never heard it has to be supposed, for a predecessor of ours may have attached it after the last snapshot was written
// down; and of one that was told to do something, and not heard since.
func (v View) wasAttached(n failover.Node) bool {
	r := n.Replication
	return !n.Sampled || n.Stale || n.Follows(v.Ref.IP) && (r.LinkUp || r.Syncing)
}

// onItsWay reports a replica that follows the master, and had no link to it yet when it was last heard: it tries again
// every second. One that had a link and has lost it is cut off from the master as well.
func (v View) onItsWay(n failover.Node) bool { return n.Follows(v.Ref.IP) && !n.Replication.Linked }

// Attached reports whether n replicates from the master, with its link up and no sync running.
func (v View) Attached(n failover.Node) bool {
	r := n.Replication
	return n.Answers() && n.Follows(v.Ref.IP) && r.LinkUp && !r.Syncing && !r.Loading
}

// LastSeen returns how far the master's history, known as written down, had got when that process was last seen. A
// master gives it another name by itself, in time; one that was made a replica by hand may show that of another.
func (v View) LastSeen(runID string, known failover.Lineage) (failover.Lineage, bool) {
	seen, own := v.Master.Former.Lineage, false
	switch {
	case !v.Found || runID == "":
		return failover.Lineage{}, false
	case v.Master.Sampled && v.Master.Replication.RunID == runID:
		seen, own = v.Master.Replication.Lineage, v.Master.Replication.Role == failover.RoleMaster
	case v.Master.Former.RunID != runID:
		return failover.Lineage{}, false
	}
	return seen, own || known.ReplID == "" || known.Shared(seen) >= 0 || seen.Shared(known) >= 0
}

// AnswersAgain reports a master that was suspected and shows that it lives.
func (v View) AnswersAgain() bool {
	return v.Master.Contact == failover.ContactAnswering || v.Master.Contact == failover.ContactBusy && !v.Unreachable()
}
