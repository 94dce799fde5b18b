// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
)

// From the demotion of the old master until clients are led to the next one, every writer of a switchover waits. So
// nothing is written to the Kubernetes API meanwhile but where the Service leads. The status has named the candidate
// and its epoch since the switchover was begun; state Promoting is written down only where the way is a longer one.
// For whoever reads a status in state SwitchingOver, an operator that came later included, the candidate may be master
// already.

// unwrittenFor is how long after the demotion the candidate may take to be published before state Promoting is written
// down.
const unwrittenFor = 300 * time.Millisecond

// goOn makes the candidate of a switchover master, and publishes it, as in state Promoting.
func (d *decider) goOn(v diagnosis.View) failover.Decision {
	ref := *d.next.Candidate
	soon := d.isDemoted(v) && d.now.Sub(v.Master.RoleSince) < unwrittenFor
	d.noteDemotion(v)
	if n, found := d.obs.Node(ref); found && n.Sampled {
		d.reach(n.Replication.Lineage)
	}
	d.move(EventChoose, ref.Pod+" takes over from "+v.Ref.Pod)
	d.moved = "" // what follows is what is written down
	decision := d.promoting()
	if d.obs.Published.Is(ref, d.next.Epoch) {
		soon = d.clientsFirst()
	}
	if soon && decision.Next.State == failover.StatePromoting {
		decision.Next = d.prev
	}
	return decision
}

// isPromoted reports a candidate that has become master. A master that a person has made of it, while the old one
// serves, is none.
func (d *decider) isPromoted(v diagnosis.View) bool {
	n, _ := d.obs.Node(*d.next.Candidate)
	return n.Answers() && n.Ref() == *d.next.Candidate && n.Replication.Role == failover.RoleMaster && !serves(v)
}

// wasOrdered reports that this operator has ordered the candidate to become master: no other order is given to a
// candidate in a switchover.
func (d *decider) wasOrdered() bool {
	n, found := d.obs.Node(*d.next.Candidate)
	return found && !n.OrderedAt.Before(d.next.Since)
}

// mayBePromoted reports a candidate that is not known not to have been ordered to become master. It is known if this
// operator has given an order to the old master and none to the candidate since: it gives one in a switchover only to
// who answers as master, so that no operator before has demoted it, and the candidate is promoted after that. The times
// in the status are no help, as they may be by another clock.
func (d *decider) mayBePromoted(v diagnosis.View) bool {
	n, found := d.obs.Node(*d.next.Candidate)
	unordered := found && v.Found && n.OrderedAt.Before(v.Master.OrderedAt)
	return !unordered || d.wasOrdered() || n.Replication.Role == failover.RoleMaster ||
		v.Master.Follows(d.next.Candidate.IP)
}

// unpromoted waits for a candidate that may be master and does not say so, or gives it up: another is not chosen under
// the same epoch then.
func (d *decider) unpromoted(waited time.Duration) failover.Decision {
	ref := *d.next.Candidate
	n, found := d.obs.Node(ref)
	sentence, lost := d.candidateLost(n, found)
	switch {
	case lost:
		return d.giveUp(sentence)
	case !n.Answers():
		return d.hold(failover.ReasonNone, "waiting for candidate "+ref.Pod, failover.After(lookAgainSoon))
	case waited < settleBehind:
		return d.awaitLastBytes()
	}
	return d.giveUp(fmt.Sprintf("candidate %s lacks writes of %s", ref.Pod, d.next.OldMaster.Pod))
}
