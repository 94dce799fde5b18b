// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// fencing quietens the old master and detaches everybody, then chooses on frozen offsets.
func (d *decider) fencing() Decision {
	d.noteReplIDChange()
	d.recordFollowers() // whom a successor has not heard when the failover was begun
	actions, waiting := d.detach()
	if waiting {
		return Decision{Next: d.next, Actions: actions, Message: "detaching " + fmt.Sprint(len(actions)) + " node(s)", RequeueAfter: lookAgainSoon}
	}
	switch reason, sentence := d.obstacle(); reason {
	case ReasonNone:
	case ReasonMasterMayStillWrite: // for seconds
		return Decision{Next: d.next, Actions: actions, Message: sentence, Reason: reason, RequeueAfter: lookAgain}
	default:
		return d.block(actions, reason, sentence)
	}
	chosen := elect(d.next, d.policy, d.obs, d.givenUp())
	if chosen.candidate == nil {
		return d.block(actions, chosen.reason, chosen.sentence)
	}
	d.next.Steps = withStep(d.next.Steps, StepDetached, d.now)
	if chosen.newHistory {
		d.next.retire(d.next.Lineage.ReplID)
		d.next.Lineage = chosen.candidate.Replication.Lineage
	}
	return d.choose(*chosen.candidate, chosen.sentence)
}

// noteReplIDChange notes an old master whose history goes by a new name, while it can be seen that it is still a master: one without
// replicas gives it another in time (repl-backlog-ttl). One that went on beside its successor goes by the old name.
func (d *decider) noteReplIDChange() {
	old, lives := d.oldStillMaster()
	if !lives || !old.Answers() || old.Replication.RunID != d.next.Old.RunID {
		return
	}
	l := old.Replication.Lineage
	if !d.next.descends(l) && l.ReplID != d.next.Lineage.ReplID2 {
		d.next.retire(l.ReplID)
		d.next.lead(old.Replication.RunID)
	}
}

// detach fences whoever is not seen fenced, and says whether it is worth waiting for them.
func (d *decider) detach() (actions []Action, waiting bool) {
	for _, n := range d.obs.Nodes {
		if !d.detachable(n) {
			continue
		}
		within := DetachWithin
		if d.next.Old != nil && n.UID == d.next.Old.UID {
			within = QuietenWithin
		}
		unordered := !notYetSampled(n) && n.OrderedAt.Before(d.next.Since) // the API's answer to the intent may have taken all the time there was
		waiting = waiting || unordered || d.waitedFor(n) < within
		if !notYetSampled(n) {
			look := n.Replication.Role == RoleReplica && n.Replication.LinkUp
			actions = append(actions, Detach{Node: n.Ref(), Quieten: n.Replication.Role == RoleMaster, Look: look, Within: within})
		}
	}
	return actions, waiting
}

// detachable reports a node that is to be fenced, for all that is known.
func (d *decider) detachable(n Node) bool {
	detached := n.Answers() && n.Replication.Fenced()
	return !detached && !d.next.isDivergent(n) && (n.Contact == ContactAnswering || notYetSampled(n))
}

// notYetSampled reports a node that we watch but know nothing of yet. After a takeover that is everybody, for a moment; to choose
// among those who happened to answer first could be to choose the one with less.
func notYetSampled(n Node) bool {
	return n.IP != "" && (n.Contact == ContactNone || n.Contact == ContactAnswering && !n.Sampled)
}

// waitedFor is for how long n has had its chance in this state: a successor's patience begins when it begins to watch.
func (d *decider) waitedFor(n Node) time.Duration {
	since := d.next.Since
	if n.WatchedSince.After(since) {
		since = n.WatchedSince
	}
	return d.now.Sub(since)
}

// oldStillMaster reports an old master that we reach and that did not obey. Promoting next to it
// would make two.
func (d *decider) oldStillMaster() (Node, bool) {
	if d.next.Old == nil {
		return Node{}, false
	}
	n, ok := d.obs.Node(*d.next.Old)
	return n, ok && n.Contact == ContactAnswering && n.Sampled && n.Replication.Role == RoleMaster
}

// obstacle says why no candidate may be promoted yet, however good a candidate there is: the old master serves, or may accept writes unseen.
func (d *decider) obstacle() (Reason, string) {
	if old, lives := d.oldStillMaster(); lives {
		return ReasonOldMasterNotFenced, old.Name + " answers as master and does not let itself be demoted"
	}
	if beside := d.rejoined(); len(beside) > 0 {
		return ReasonMasterUnreachableWithReplicas, fmt.Sprintf("%s is unreachable again, before it was fenced, as master %s is: together they may accept writes; promotion withheld",
			strings.Join(beside, ", "), d.next.Old.Pod)
	}
	if pod, may := d.mayWriteOn(); may {
		return ReasonMasterMayStillWrite, fmt.Sprintf("master %s may be isolated, and its replicas were in touch with it a moment ago, for all that is known: it may "+
			"accept writes until its write guard stops it", pod)
	}
	if ahead := d.ahead(); len(ahead) > 0 {
		return ReasonWaitingForData, fmt.Sprintf("%s was in touch with master %s when all that can be reached had lost it, may hold what was written since, "+
			"and does not answer", strings.Join(ahead, ", "), d.next.Old.Pod)
	}
	return ReasonNone, ""
}

// aheadPatience is how long the replicas are waited for that may hold what a master took that has died, and that went on beside us before.
const aheadPatience = 30 * time.Second

// ahead names the unreachable replicas that went on with the old master, for all that is known, when all that can be reached had lost it:
// the network was split, and then the master died. They may hold more than the tail that a death costs, so that they are waited for, within
// bounds. Where the failover was begun on a guess, no master went on: rejoined and the guard see to that.
func (d *decider) ahead() []string {
	if d.next.Old == nil || d.next.Forced != "" || d.next.Cause == Cause(DiagnosisMasterDown) || d.now.Sub(d.next.StartedAt) >= aheadPatience {
		return nil
	}
	v := d.viewFrom(*d.next.Old)
	lost := v.lastHeard(slices.DeleteFunc(slices.Clone(v.others), func(n Node) bool { return !n.Answers() }))
	if lost.IsZero() || d.next.StartedAt.Sub(lost) <= GuardMaxLag+2*time.Second {
		return nil
	}
	if beside := v.unreachableReplicas(); len(beside) >= v.guarded() {
		return beside
	}
	return nil
}

// mayWriteOn names the old master, or another one of this failover, that may accept writes for some seconds more though all that can be
// reached are detached: it may be isolated, and have heard one of them a moment before. A process that has ended does not.
func (d *decider) mayWriteOn() (pod string, may bool) {
	if d.next.Forced != "" {
		return "", false
	}
	for _, n := range d.obs.Nodes {
		old := d.next.Old != nil && n.UID == d.next.Old.UID && !provesDeath(Diagnosis(d.next.Cause))
		if (old || d.next.led(n)) && mayRunUnseen(n) && !n.Replication.Fenced() && d.viewFrom(n.Ref()).mayWrite() > 0 {
			return n.Name, true
		}
	}
	return "", false
}

// rejoined names the replicas that may follow the old master, for all that is known, though it was given up on the word of all that
// could be reached then: some of those are unreachable by now, and may have reached it since.
func (d *decider) rejoined() []string {
	guessed := d.next.Cause == Cause(DiagnosisMasterDown) && d.next.Old != nil && d.next.Forced == "" && len(d.next.Led) == 0
	if !guessed {
		return nil
	}
	v := d.viewFrom(*d.next.Old)
	beside := v.unreachableReplicas()
	if !v.found || !mayRunUnseen(v.master) || len(beside) < v.guarded() {
		return nil
	}
	return beside
}

// block gives up for now, says why, and goes on trying to fence.
func (d *decider) block(actions []Action, reason Reason, sentence string) Decision {
	d.move(EventBlock, sentence)
	d.next.Reason = reason
	return Decision{Next: d.next, Actions: actions, Message: sentence, Reason: reason, RequeueAfter: lookAgain}
}

// blocked looks whether what was missing has come.
func (d *decider) blocked() Decision {
	if d.forced() {
		d.takeUpForce()
	}
	d.noteReplIDChange()
	d.recordFollowers()
	actions, _ := d.detach()
	obstacle, sentence := d.obstacle()
	chosen := elect(d.next, d.policy, d.obs, d.givenUp())
	if chosen.candidate != nil && obstacle == ReasonNone {
		d.move(EventUnblock, chosen.sentence)
		return Decision{Next: d.next, Actions: actions, Message: chosen.sentence, RequeueAfter: time.Nanosecond}
	}
	if d.now.Sub(d.next.Since) >= WithdrawAfter && d.obs.Published.Pod != "" && obstacle == ReasonNone {
		actions = append(actions, Withdraw{Epoch: d.next.Epoch})
	}
	reason := obstacle
	if obstacle == ReasonNone {
		reason, sentence = chosen.reason, chosen.sentence
	}
	d.next.Reason = reason
	return Decision{Next: d.next, Actions: actions, Message: sentence, Reason: reason, RequeueAfter: lookAgain}
}
