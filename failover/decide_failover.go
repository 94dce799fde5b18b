// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// bootstrapping decides while there has never been a master.
func (d *decider) bootstrapping() Decision {
	if d.next.Master != nil {
		return d.hold(ReasonUnknownState, "the status names a master but says that there never was one", 0)
	}
	chosen, cause := d.firstMaster()
	if chosen.candidate == nil {
		return d.hold(chosen.reason, chosen.sentence, lookAgain)
	}
	d.begin(cause, view{})
	if cause == CauseBootstrap && d.policy.Persistent {
		d.next.Unmet = notHeard(d.obs)
	}
	d.next.Steps = withStep(d.next.Steps, StepIntent, d.now)
	return d.choose(*chosen.candidate, chosen.sentence)
}

// firstMaster adopts the master that is there, or elects one.
func (d *decider) firstMaster() (election, Cause) {
	masters := d.obs.Masters()
	if len(masters) > 1 {
		return election{reason: ReasonSplitBrain, sentence: fmt.Sprintf(
			"%d nodes are master and no status tells which one is right; demote all but one by hand (REPLICAOF)", len(masters))}, CauseAdopted
	}
	if len(masters) == 1 {
		return election{candidate: &masters[0], sentence: masters[0].Name + " is master already; adopting it"}, CauseAdopted
	}
	if wait, ok := awaited(d.next, d.obs); ok {
		return election{reason: ReasonWaitingForData, sentence: wait}, CauseBootstrap
	}
	return d.seed(), CauseBootstrap
}

// seed elects the very first master: who holds data that is older than the RedisHA, else ordinal 0.
func (d *decider) seed() election {
	var fit []Node
	for _, n := range d.obs.Nodes {
		if mayHoldTheFirstData(n) && n.SilentFor(d.now) < bootstrapPatience {
			return election{reason: ReasonWaitingForPods, sentence: "waiting for " + n.Name}
		}
		if n.Answers() && !n.Terminating && !n.Replication.Loading {
			fit = append(fit, n)
		}
	}
	if len(fit) == 0 {
		return election{reason: ReasonWaitingForPods, sentence: "waiting for the first Redis to answer"}
	}
	slices.SortFunc(fit, func(a, b Node) int { return bySeed(a, b, d.next, d.policy) })
	return election{candidate: &fit[0], sentence: fmt.Sprintf("%s becomes the first master with %d key(s)", fit[0].Name, fit[0].Replication.Keys)}
}

// mayHoldTheFirstData reports a node that may be preferred when it is heard.
func mayHoldTheFirstData(n Node) bool {
	return n.Ordinal == 0 && !n.Answers() || notYetSampled(n) || n.IP != "" && (n.Contact == ContactSilent || n.Contact.errorsOnly())
}

// bootstrapPatience is how long the first master is kept for ordinal 0 when others are there already, and how long one that may be there with
// data is waited for: a status that was lost looks like a set that never had a master.
const bootstrapPatience = 10 * time.Second

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

// choose writes the candidate down; only then it is promoted.
func (d *decider) choose(candidate Node, sentence string) Decision {
	ref := candidate.Ref()
	d.next.Candidate = &ref
	// The lost history reaches as far as the candidate holds it, though the master was not seen there: what lies beyond is the candidate's own.
	d.next.Lineage.Offset = max(d.next.Lineage.Offset, d.next.Lineage.Shared(candidate.Replication.Lineage))
	d.move(EventChoose, sentence)
	decision := d.promoting()
	decision.Message = sentence + "; promoting"
	return decision
}

// promoting makes the candidate master, believes it when INFO says so, and publishes it.
func (d *decider) promoting() Decision {
	if d.next.Candidate == nil {
		return d.hold(ReasonUnknownState, "the status names no candidate in state Promoting", 0)
	}
	ref := *d.next.Candidate
	n, found := d.obs.Node(ref)
	if !n.Answers() && d.obs.Published.LeadsTo(ref) {
		return d.serving(ref)
	}
	return d.candidacy(ref, n, found)
}

// candidacy promotes and publishes a candidate, or gives it up.
func (d *decider) candidacy(ref NodeRef, n Node, found bool) Decision {
	if sentence, lost := d.candidateLost(n, found); lost {
		return d.giveUp(sentence)
	}
	if !n.Answers() {
		return d.hold(ReasonNone, "waiting for candidate "+ref.Pod, lookAgainSoon)
	}
	if n.Replication.Role != RoleMaster {
		if sentence, came := d.overtaken(n); came {
			return d.anotherCandidate(sentence)
		}
		return Decision{Next: d.next, Message: "promoting " + ref.Pod, RequeueAfter: lookAgainSoon,
			Actions: []Action{Promote{Node: ref, MinReplicas: d.firstMinReplicas(n)}}}
	}
	if !d.obs.Published.Is(ref, d.next.Epoch) {
		// Its siblings may follow at the same time: with min-replicas-to-write 1 it needs one to accept writes.
		actions := append(d.follow(d.viewFrom(ref)), Publish{Node: ref, Epoch: d.next.Epoch})
		return Decision{Next: d.next, Message: ref.Pod + " is master; publishing it", RequeueAfter: lookAgainSoon, Actions: actions}
	}
	if d.clientsFirst() {
		v := d.viewFrom(ref)
		return Decision{Next: d.next, Message: ref.Pod + " is published as master; its clients are cut over first",
			Actions: append(d.follow(v), d.cutOver(v)...), RequeueAfter: lookAgainSoon}
	}
	return d.published(n)
}

// serving judges a candidate that clients are led to and that does not answer. It may be master, though the status does not name it
// yet, and take writes without a replica: it is given up for what a master is given up for, and for nothing less.
func (d *decider) serving(ref NodeRef) Decision {
	f := diagnose(d.viewFrom(ref))
	if d.forced() {
		d.takeUpForce()
		return d.anotherCandidate(fmt.Sprintf("a person forces a failover to %s (%s)", d.request.Target, f.sentence))
	}
	decision := d.hold(f.reason(), "waiting for "+ref.Pod+", which is published", lookAgainSoon)
	switch f.class {
	case classHard:
		decision = d.giveUp(f.sentence)
	case classSoft:
		damped, rest := d.damped(f)
		if decision = damped; !rest {
			d.cool(ref.Pod)
			decision = d.giveUp(f.sentence)
		}
	case classHold:
		decision = d.hold(f.reason(), f.sentence+"; holding", lookAgain)
	case classPlanned, classNone:
	}
	decision.Diagnosis = f.diagnosis
	return decision
}

// candidateLost reports a candidate that cannot be waited for any longer.
func (d *decider) candidateLost(n Node, found bool) (string, bool) {
	ref := *d.next.Candidate
	switch {
	case !found:
		return fmt.Sprintf("pod %s of the candidate is gone", ref.Pod), true
	case n.Sampled && ref.RunID != "" && n.Replication.RunID != "" && n.Replication.RunID != ref.RunID:
		return fmt.Sprintf("candidate %s was restarted", ref.Pod), true
	case d.exchanged(n):
		return fmt.Sprintf("candidate %s holds another history by now than the one it was chosen for", ref.Pod), true
	case n.Contact == ContactRefused && d.waitedFor(n) >= QuietenWithin:
		return fmt.Sprintf("candidate %s refuses connections", ref.Pod), true
	case n.Contact != ContactAnswering && d.waitedFor(n) >= PromoteWithin:
		return fmt.Sprintf("candidate %s does not answer", ref.Pod), true
	}
	return "", false
}

// exchanged reports that the data of the candidate is not what it was chosen for: it, or the node that it followed, was pointed elsewhere,
// elsewhere while no operator was there to go on.
func (d *decider) exchanged(n Node) bool {
	chosenForHistory := d.next.Old != nil && d.next.Forced == "" && d.next.Lineage.ReplID != "" && !d.next.led(n)
	unpromoted := n.Answers() && n.Replication.Role == RoleReplica && n.Replication.RunID == d.next.Candidate.RunID
	return chosenForHistory && unpromoted && d.next.Lineage.Shared(n.Replication.Lineage) < 0
}

// overtaken says who has come, for as long as no operator was there to go on, and is to be preferred to a candidate that is not promoted
// yet. Where that is data of what was lost, the failover is about that history again.
func (d *decider) overtaken(candidate Node) (string, bool) {
	if old, lives := d.oldStillMaster(); lives && old.Answers() && old.UID != candidate.UID {
		return old.Name + " answers as master again, and has served since", true
	}
	if old := d.next.Old; old != nil && provesDeath(Diagnosis(d.next.Cause)) && candidate.Replication.LinkUp && candidate.Follows(old.IP) {
		return fmt.Sprintf("candidate %s replicates from %s again", candidate.Name, old.Pod), true
	}
	survivor, came := d.survivor(candidate)
	if !came {
		return "", false
	}
	d.next.Lineage = survivor.Replication.Lineage // what was lost is to be continued after all
	return fmt.Sprintf("%s has come with %d key(s) of what was lost", survivor.Name, survivor.Replication.Keys), true
}

// survivor returns who answers by now with data of the history that was lost, when it was decided to begin a new one with an empty
// candidate, as no node had any: its pod, or its place in the spec, has come since.
func (d *decider) survivor(candidate Node) (Node, bool) {
	if len(d.next.Retired) == 0 || d.next.Forced != "" || candidate.Replication.Keys > 0 {
		return Node{}, false
	}
	lost, begun := d.next.Retired[0], d.next.Lineage
	for _, n := range d.obs.Others(*d.next.Candidate) {
		r := n.Replication
		if n.Answers() && r.Lineage.ReplID == lost && begun.Shared(r.Lineage) < 0 && r.Keys > 0 && !d.next.isForeign(n) {
			return n, true
		}
	}
	return Node{}, false
}

// giveUp starts over without the candidate, once everybody was heard: after a takeover, only its follower may know what it has written.
func (d *decider) giveUp(sentence string) Decision {
	if slices.ContainsFunc(d.obs.Nodes, func(n Node) bool { return notYetSampled(n) && d.waitedFor(n) < DetachWithin }) {
		return d.hold(ReasonNone, sentence+"; hearing the others first", lookAgainSoon)
	}
	return d.anotherCandidate(sentence)
}

// anotherCandidate starts over under a new epoch: the one before may or may not have become master.
// What was lost is still the same master; the candidate continued its history, perhaps with writes of its own.
func (d *decider) anotherCandidate(sentence string) Decision {
	if d.next.Master == nil {
		if d.obs.Published.Is(*d.next.Candidate, d.next.Epoch) {
			return d.overrule() // it led: what became of it is judged as what became of any master
		}
		d.move(EventRestart, sentence)
		d.next.Candidate = nil
		return Decision{Next: d.next, Message: sentence + "; bootstrapping again", RequeueAfter: lookAgainSoon}
	}
	if !d.move(EventFailOver, sentence) {
		return d.hold(ReasonUnknownState, d.next.Message, lookAgainSlow)
	}
	d.adoptHistory()
	d.recordFollowers()
	d.next.Epoch++
	d.next.Candidate = nil
	d.next.Steps = slices.DeleteFunc(d.next.Steps, func(s Step) bool { return s.Name == StepDemoted }) // no switchover any more
	return Decision{Next: d.next, Message: sentence + "; choosing again", RequeueAfter: time.Nanosecond}
}

// firstMinReplicas is the value a new master starts with: 1 if a replica is there to follow it at
// once. Otherwise it must accept writes alone.
func (d *decider) firstMinReplicas(candidate Node) int {
	for _, n := range d.obs.Others(candidate.Ref()) {
		if n.Answers() && !n.Terminating && !n.Replication.Loading && d.next.Initialized &&
			d.next.Lineage.Holds(n.Replication.Lineage.ReplID, n.Replication.Lineage.Offset) {
			return 1
		}
	}
	return 0
}
