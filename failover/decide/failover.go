// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
	"github.com/redisha/redisha/failover/election"
)

// fencing quietens the old master and detaches everybody, then chooses on frozen offsets.
func (d *decider) fencing() failover.Decision {
	if pod, is := d.adoptable(); is {
		return d.adoptLate(pod)
	}
	actions, waiting := d.fence()
	if waiting {
		return failover.Decision{
			Next:    d.next,
			Actions: actions,
			Message: "detaching " + fmt.Sprint(len(actions)) + " node(s)",
			Again:   failover.After(lookAgainSoon),
		}
	}
	switch reason, sentence := d.obstacle(); reason {
	case failover.ReasonNone:
	case failover.ReasonMasterMayStillWrite: // for seconds
		return failover.Decision{
			Next:    d.next,
			Actions: actions,
			Message: sentence,
			Reason:  reason,
			Again:   failover.After(lookAgain),
		}
	default:
		return d.block(actions, reason, sentence)
	}
	chosen := election.Elect(d.next, d.policy, d.obs, d.givenUp())
	if chosen.Candidate == nil {
		return d.block(actions, chosen.Reason, chosen.Sentence)
	}
	d.next.Steps = failover.WithStep(d.next.Steps, failover.StepDetached, d.now)
	if chosen.NewHistory {
		d.next.Retire(d.next.Lineage.ReplID)
		d.next.Lineage = chosen.Candidate.Replication.Lineage
	}
	return d.choose(*chosen.Candidate, chosen.Sentence)
}

// fence detaches whoever is not fenced, and writes down what will not be seen any more once they are.
func (d *decider) fence() (actions []failover.Action, waiting bool) {
	d.noteReplIDChange()
	d.recordFollowers() // whom a successor has not heard when the failover was begun
	return d.detach()
}

// noteReplIDChange notes an old master whose history goes by a new name, while it can be seen that it is still a
// master: one without replicas gives it another in time (repl-backlog-ttl). One that went on beside its successor goes
// by the old name.
func (d *decider) noteReplIDChange() {
	old, lives := d.oldStillMaster()
	if !lives || !old.Answers() || old.Replication.RunID != d.next.OldMaster.RunID {
		return
	}
	l := old.Replication.Lineage
	if !d.next.Descends(l) && l.ReplID != d.next.Lineage.ReplID2 {
		d.next.Retire(l.ReplID)
		d.next.AddInterimMaster(old.Replication.RunID)
	}
}

// detach fences whoever is not seen fenced, and says whether it is worth waiting for them.
func (d *decider) detach() (actions []failover.Action, waiting bool) {
	for _, n := range d.obs.Nodes {
		if !d.detachable(n) {
			continue
		}
		within := failover.DetachWithin
		if d.next.OldMaster != nil && n.UID == d.next.OldMaster.UID {
			within = failover.QuietenWithin
		}
		unordered := !notYetSampled(n) &&
			n.OrderedAt.Before(d.next.Since) // the API's answer to the intent may have taken all the time there was
		waiting = waiting || unordered || d.waitedFor(n) < within
		if !notYetSampled(n) {
			look := n.Replication.Role == failover.RoleReplica && n.Replication.LinkUp
			actions = append(
				actions,
				failover.Detach{Node: n.Ref(), Quieten: n.Replication.Role == failover.RoleMaster, Look: look, Within: within},
			)
		}
	}
	return actions, waiting
}

// detachable reports a node that is to be fenced, for all that is known.
func (d *decider) detachable(n failover.Node) bool {
	detached := n.Answers() && n.Replication.Fenced()
	return !detached && !d.next.IsDivergent(n) && (n.Contact == failover.ContactAnswering || notYetSampled(n))
}

// notYetSampled reports a node that we watch but know nothing of yet. After a takeover that is everybody, for a moment;
// to choose among those who happened to answer first could be to choose the one with less.
func notYetSampled(n failover.Node) bool {
	return n.IP != "" && (n.Contact == failover.ContactNone || n.Contact == failover.ContactAnswering && !n.Sampled)
}

// waitedFor is for how long n has had its chance in this state: a successor's patience begins when it begins to watch.
func (d *decider) waitedFor(n failover.Node) time.Duration {
	since := d.next.Since
	if n.WatchedSince.After(since) {
		since = n.WatchedSince
	}
	return d.now.Sub(since)
}

// oldStillMaster reports an old master that we reach and that did not obey. Promoting next to it
// would make two.
func (d *decider) oldStillMaster() (failover.Node, bool) {
	if d.next.OldMaster == nil {
		return failover.Node{}, false
	}
	n, ok := d.obs.Node(*d.next.OldMaster)
	return n, ok && n.Contact == failover.ContactAnswering && n.Sampled && n.Replication.Role == failover.RoleMaster
}

// obstacle says why no candidate may be promoted yet, however good a candidate there is: the old master serves, or may
// accept writes unseen.
func (d *decider) obstacle() (failover.Reason, string) {
	if old, lives := d.oldStillMaster(); lives {
		return failover.ReasonOldMasterNotFenced, old.Name + " answers as master and does not let itself be demoted"
	}
	if beside := d.rejoined(); len(beside) > 0 {
		return failover.ReasonMasterUnreachableWithReplicas, fmt.Sprintf(
			"%s is unreachable again, before it was fenced, as master %s is: together they may accept writes; promotion "+
				"withheld",
			strings.Join(beside, ", "),
			d.next.OldMaster.Pod,
		)
	}
	if pod, may := d.mayWriteOn(); may {
		return failover.ReasonMasterMayStillWrite, fmt.Sprintf(
			"master %s may be isolated, and its replicas were in touch with it a moment ago, for all that is known: it may "+
				"accept writes until its write guard stops it",
			pod,
		)
	}
	if ahead := d.ahead(); len(ahead) > 0 {
		return failover.ReasonWaitingForData, fmt.Sprintf(
			"%s was in touch with master %s when all that can be reached had lost it, may hold what was written since, "+
				"and does not answer",
			strings.Join(ahead, ", "),
			d.next.OldMaster.Pod,
		)
	}
	return failover.ReasonNone, ""
}

// aheadPatience is how long the replicas are waited for that may hold what a master took that has died, and that went
// on beside us before.
const aheadPatience = 30 * time.Second

// ahead names the unreachable replicas that went on with the old master, for all that is known, when all that can be
// reached had lost it: the network was split, and then the master died. They may hold more than the tail that a death
// costs, so that they are waited for, within bounds. Where the failover was begun on a guess, no master went on:
// rejoined and the guard see to that. What was seen when the failover began is noted: once the others are detached, a
// successor cannot see when they lost the master.
func (d *decider) ahead() []string {
	if d.next.OldMaster == nil || d.next.ForcedPod != "" || d.next.Cause == failover.Cause(failover.DiagnosisMasterDown) ||
		d.now.Sub(d.next.StartedAt) >= aheadPatience {
		return nil
	}
	noted := slices.DeleteFunc(slices.Clone(d.next.AheadPods), func(pod string) bool {
		return slices.ContainsFunc(d.obs.Nodes, func(n failover.Node) bool { return n.Name == pod && n.Answers() })
	})
	v := d.viewFrom(*d.next.OldMaster)
	lost := v.LastHeard(slices.DeleteFunc(slices.Clone(v.Others), func(n failover.Node) bool { return !n.Answers() }))
	if lost.IsZero() || d.next.StartedAt.Sub(lost) <= failover.GuardMaxLag+2*time.Second {
		return noted
	}
	if beside := v.UnreachableReplicas(); len(beside) >= v.Guarded() {
		return beside
	}
	return noted
}

// mayWriteOn names the old master, or another one of this failover, that may accept writes for some seconds more though
// all that can be reached are detached: it may be isolated, and have heard one of them a moment before. A process that
// has ended does not.
func (d *decider) mayWriteOn() (pod string, may bool) {
	if d.next.ForcedPod != "" {
		return "", false
	}
	for _, n := range d.obs.Nodes {
		old := d.next.OldMaster != nil && n.UID == d.next.OldMaster.UID && !provesDeath(failover.Diagnosis(d.next.Cause))
		if (old || d.next.WasInterimMaster(n)) && diagnosis.MayRunUnseen(n) && !n.Replication.Fenced() &&
			d.viewFrom(n.Ref()).MayWrite() > 0 {
			return n.Name, true
		}
	}
	return "", false
}

// rejoined names the replicas that may follow the old master, for all that is known, though it was given up on the word
// of all that could be reached then: some of those are unreachable by now, and may have reached it since.
func (d *decider) rejoined() []string {
	guessed := d.next.Cause == failover.Cause(failover.DiagnosisMasterDown) && d.next.OldMaster != nil &&
		d.next.ForcedPod == "" &&
		len(d.next.InterimMasters) == 0
	if !guessed {
		return nil
	}
	v := d.viewFrom(*d.next.OldMaster)
	beside := v.UnreachableReplicas()
	if !v.Found || !diagnosis.MayRunUnseen(v.Master) || len(beside) < v.Guarded() {
		return nil
	}
	return beside
}

// block gives up for now, says why, and goes on trying to fence.
func (d *decider) block(actions []failover.Action, reason failover.Reason, sentence string) failover.Decision {
	d.move(EventBlock, sentence)
	d.next.Reason = reason
	return failover.Decision{
		Next:    d.next,
		Actions: actions,
		Message: sentence,
		Reason:  reason,
		Again:   failover.After(lookAgain),
	}
}

// blocked looks whether what was missing has come.
func (d *decider) blocked() failover.Decision {
	if d.forced() {
		d.takeUpForce()
	}
	if pod, is := d.adoptable(); is {
		return d.adoptLate(pod)
	}
	actions, _ := d.fence()
	obstacle, sentence := d.obstacle()
	chosen := election.Elect(d.next, d.policy, d.obs, d.givenUp())
	if chosen.Candidate != nil && obstacle == failover.ReasonNone {
		d.move(EventUnblock, chosen.Sentence)
		return failover.Decision{Next: d.next, Actions: actions, Message: chosen.Sentence, Again: failover.Now()}
	}
	if d.now.Sub(d.next.Since) >= failover.WithdrawAfter && d.obs.Published.Pod != "" && obstacle == failover.ReasonNone {
		actions = append(actions, failover.Withdraw{Epoch: d.next.Epoch})
	}
	reason := obstacle
	if obstacle == failover.ReasonNone {
		reason, sentence = chosen.Reason, chosen.Sentence
	}
	d.next.Reason = reason
	return failover.Decision{
		Next:    d.next,
		Actions: actions,
		Message: sentence,
		Reason:  reason,
		Again:   failover.After(lookAgain),
	}
}
