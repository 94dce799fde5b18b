// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"iter"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/decide"
)

// decideFunc is decide.Decide, or something that does worse, for an operator.
type decideFunc func(*operator, time.Time, failover.Policy, failover.Observation, failover.Progress, *failover.Request) failover.Decision

// defect is a deliberate mistake, switched on alone, to show that the simulator would notice it. All of them are made
// around the real code, which knows nothing of them.
type defect struct {
	name   string
	decide decideFunc
	faults []string // the kinds in which it shows; all where none is named

	bootAsMaster   bool // Redis starts as a master
	leaseIgnored   bool
	sliceUnchecked bool // the endpoint is written whatever it says by now
	persistSkipped bool // the intent is persisted after its effects
	swapUnchecked  bool // the progress is written without comparing
	cacheTrusted   bool // a new leader begins with what its cache shows
	labelsTrusted  bool // a pod that has lost its label is taken for gone
	silenceIsDeath bool // a standby takes the lease of a leader that does not answer it
}

var noDefect = &defect{name: "none", decide: decideAsIs}

func decideAsIs(_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress, r *failover.Request) failover.Decision {
	return decide.Decide(now, policy, obs, p, r)
}

// defects are the mistakes, in the order of the table that is printed.
func defects() []*defect {
	return []*defect{
		{name: "no replica is detached before choosing", decide: seeing(everybodyFenced, mastersOnly)},
		{name: "the lowest ordinal is promoted before the most data", decide: choosing(lowestOrdinal)},
		{name: "the best priority is promoted before the most data", decide: choosing(bestPriority)},
		{name: "lineage is ignored", decide: seeing(oneLineage, nil)},
		{name: "promotion without a persisted intent", decide: decideAsIs, persistSkipped: true},
		{name: "the lease is not checked", decide: decideAsIs, leaseIgnored: true},
		{name: "the lease is taken on silence", decide: decideAsIs, silenceIsDeath: true},
		{name: "the veto is ignored", decide: seeing(deafWitnesses, nil)},
		{name: "one witness convicts, whatever the others say", decide: hearingOneWitness, faults: []string{"cut", "cut one way", "split", "isolate", "isolate with clients"}},
		{name: "an order is taken for its effect", decide: believing},
		{name: "clients are cut before the new master is published", decide: cuttingEarly},
		{name: "no boot fence", decide: decideAsIs, bootAsMaster: true},
		{name: "min-replicas is lowered on soft evidence", decide: loweringEarly},
		{name: "an empty node is eligible", decide: seeing(emptyIsAsGood, nil)},
		{name: "the epoch is reused", decide: reusingEpochs},
		{name: "a successor picks another candidate", decide: pickingAgain},
		{name: "a stale cache of the endpoint is trusted", decide: decideAsIs, sliceUnchecked: true, faults: []string{"kill", "request", "isolate operator", "cut one way"}},
		{name: "the progress is written without compare-and-swap", decide: decideAsIs, swapUnchecked: true},
		{name: "a new leader trusts its cache", decide: decideAsIs, cacheTrusted: true, faults: []string{"request", "kill", "stalled watch", "crash"}},
		{name: "a node that loads its disk is not waited for", decide: seeing(loadingIsDead, nil)},
		{name: "a switchover does not wait for the last writes", decide: switchingOverBlindly},
		{name: "silence is taken for death", decide: seeing(silentIsDead, nil)},
		{name: "a former master that returns is left alone", decide: seeing(nil, without[failover.Follow])},
		{name: "disks that may hold more are not waited for", decide: seeing(noDisks, nil), faults: []string{"kill", "kill all", "delete pod", "lose node"}},
		{name: "clients of the old master's next process are not cut", decide: cuttingOnlyTheOldProcess},
		{name: "clients are cut once only", decide: cuttingOnce},
		{name: "the guard does not know machines", decide: seeing(oneMachine, nil)},
		{name: "a replica that the master does not hear is counted", decide: seeing(silentIsHeard, nil)},
		{name: "a status that was set back is believed", decide: believingTheStatus, faults: []string{"status set back", "kill", "request"}},
		{
			name: "what the replicas heard of a silent master is forgotten", decide: seeing(nothingHeard, nil),
			faults: []string{"isolate twice", "full witness", "lose node"},
		},
		{name: "a pod that has lost its label is taken for gone", decide: decideAsIs, labelsTrusted: true, faults: []string{"relabel", "kill"}},
		{name: "a state of a newer version is taken for Stable", decide: takingUnknownForStable, faults: []string{"newer version", "kill", "request"}},
		{name: "a time that lies ahead is waited for", decide: waitingForTheClock},
		{name: "an error reply keeps the old sample in force", decide: seeing(errorsAreAnswers, nil), faults: []string{"full witness"}},
		{name: "a new master is damped", decide: dampingTheNew, faults: []string{"freeze machine", "hang"}},
		{name: "clients that write to a replica are not cut", decide: seeing(nil, noWriters)},
	}
}

// believingTheStatus takes nothing for later than the status.
func believingTheStatus(_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress, r *failover.Request) failover.Decision {
	known := p.Epoch
	if p.Master != nil && p.State == failover.StateStable {
		known = p.Master.Epoch
	}
	if obs.Published.Epoch > known {
		obs.Published = failover.Published{}
	}
	return decide.Decide(now, policy, obs, p, r)
}

// takingUnknownForStable goes on as if the master were only watched.
func takingUnknownForStable(_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress, r *failover.Request) failover.Decision {
	if p.State == unknownState && p.Master != nil {
		p.State = failover.StateStable
	}
	return decide.Decide(now, policy, obs, p, r)
}

// waitingForTheClock waits until the time has come that an operator with another clock has written down.
func waitingForTheClock(_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress, r *failover.Request) failover.Decision {
	if p.Running() && p.Since.After(now.Add(2*time.Second)) {
		return failover.Decision{Next: p, Message: "waiting", Reason: failover.ReasonWaitingForPods, Again: failover.After(time.Second)}
	}
	return decide.Decide(now, policy, obs, p, r)
}

// errorsAreAnswers takes what a node said before its errors for what is so.
func errorsAreAnswers(obs *failover.Observation, _ failover.Progress) {
	for i := range obs.Nodes {
		switch n := &obs.Nodes[i]; n.Contact {
		case failover.ContactBusy, failover.ContactFull, failover.ContactErring:
			n.Contact = failover.ContactAnswering
		default:
		}
	}
}

// nothingHeard forgets until when links may have carried anything.
func nothingHeard(obs *failover.Observation, _ failover.Progress) {
	for i := range obs.Nodes {
		obs.Nodes[i].Heard = failover.Heard{}
	}
}

// seeing changes what is observed, and what is done about it.
func seeing(change func(*failover.Observation, failover.Progress), filter func([]failover.Action) []failover.Action) decideFunc {
	return func(_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress, r *failover.Request) failover.Decision {
		if change != nil {
			obs.Nodes = slices.Clone(obs.Nodes)
			change(&obs, p)
		}
		d := decide.Decide(now, policy, obs, p, r)
		if filter != nil {
			d.Actions = filter(d.Actions)
		}
		return d
	}
}

func without[A failover.Action](actions []failover.Action) []failover.Action {
	return slices.DeleteFunc(actions, func(a failover.Action) bool { _, is := a.(A); return is })
}

// mastersOnly drops the orders to detach replicas.
func mastersOnly(actions []failover.Action) []failover.Action {
	return slices.DeleteFunc(actions, func(a failover.Action) bool { d, is := a.(failover.Detach); return is && !d.Quieten })
}

func choosesNow(p failover.Progress) bool {
	return p.State == failover.StateFencing || p.State == failover.StateBlocked
}

func everybodyFenced(obs *failover.Observation, p failover.Progress) {
	for i := range obs.Nodes {
		if r := &obs.Nodes[i].Replication; choosesNow(p) && r.Role == failover.RoleReplica {
			r.MasterHost, r.MasterPort = failover.FenceHost, failover.FencePort
		}
	}
}

func oneLineage(obs *failover.Observation, p failover.Progress) {
	for i := range obs.Nodes {
		if r := &obs.Nodes[i].Replication; choosesNow(p) && p.Lineage.ReplID != "" {
			r.Lineage.ReplID = p.Lineage.ReplID
		}
	}
}

func deafWitnesses(obs *failover.Observation, p failover.Progress) {
	if p.Master == nil {
		return
	}
	m, found := obs.Node(p.Master.NodeRef)
	if !found || m.Contact == failover.ContactAnswering {
		return
	}
	for i := range obs.Nodes {
		obs.Nodes[i].Replication.LinkUp, obs.Nodes[i].Heard = false, failover.Heard{}
	}
}

func emptyIsAsGood(obs *failover.Observation, p failover.Progress) {
	for i := range obs.Nodes {
		if r := &obs.Nodes[i].Replication; choosesNow(p) && r.Keys == 0 {
			r.Lineage = p.Lineage
		}
	}
}

func loadingIsDead(obs *failover.Observation, p failover.Progress) {
	for i := range obs.Nodes {
		if n := &obs.Nodes[i]; choosesNow(p) && n.Replication.Loading {
			n.Contact, n.MayHoldData = failover.ContactRefused, false
		}
	}
}

func silentIsDead(obs *failover.Observation, _ failover.Progress) {
	for i := range obs.Nodes {
		if n := &obs.Nodes[i]; n.Contact == failover.ContactSilent {
			n.Exited = true
		}
	}
}

func noDisks(obs *failover.Observation, _ failover.Progress) {
	for i := range obs.Nodes {
		obs.Nodes[i].MayHoldData = false
	}
	obs.Absent = nil
}

func lowestOrdinal(obs failover.Observation, best failover.NodeRef) failover.NodeRef {
	for _, n := range obs.Nodes {
		r := n.Replication
		if n.Answers() && r.Fenced() && !r.Loading && !r.Syncing && r.Keys > 0 && r.Priority != 0 {
			return n.Ref()
		}
	}
	return best
}

func bestPriority(obs failover.Observation, best failover.NodeRef) failover.NodeRef {
	priority := 101
	for _, n := range obs.Nodes {
		r := n.Replication
		if n.Answers() && r.Fenced() && !r.Loading && !r.Syncing && r.Keys > 0 && r.Priority > 0 && r.Priority < priority {
			best, priority = n.Ref(), r.Priority
		}
	}
	return best
}

// choosing replaces the candidate of a failover.
func choosing(other func(failover.Observation, failover.NodeRef) failover.NodeRef) decideFunc {
	return func(_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress, r *failover.Request) failover.Decision {
		d := decide.Decide(now, policy, obs, p, r)
		if choosesIn(p, d.Next) {
			ref := other(obs, *d.Next.Candidate)
			d.Next.Candidate = &ref
			d.Actions = []failover.Action{failover.Promote{Node: ref}}
		}
		return d
	}
}

// believing takes what was ordered for what is.
func believing(o *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress, r *failover.Request) failover.Decision {
	obs.Nodes = slices.Clone(obs.Nodes)
	for i := range obs.Nodes {
		n := &obs.Nodes[i]
		switch a := o.ordered[n.UID].(type) {
		case failover.Promote:
			n.Stale, n.Contact, n.Replication.Role = false, failover.ContactAnswering, failover.RoleMaster
		case failover.Detach:
			n.Stale, n.Replication.Role = false, failover.RoleReplica
			n.Replication.MasterHost, n.Replication.MasterPort = failover.FenceHost, failover.FencePort
		case failover.Follow:
			n.Stale, n.Replication.Role, n.Replication.MasterHost = false, failover.RoleReplica, a.Master.IP
		}
	}
	d := decide.Decide(now, policy, obs, p, r)
	for _, a := range d.Actions {
		switch a.(type) {
		case failover.Promote, failover.Detach, failover.Follow:
			o.ordered[a.Target().UID] = a
		}
	}
	return d
}

// hearingOneWitness believes a replica that has heard nothing of the master for down-after, whatever the others say.
func hearingOneWitness(_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress, r *failover.Request) failover.Decision {
	convicts := func(n failover.Node) bool {
		l := n.Replication
		return p.Master != nil && n.UID != p.Master.UID && n.Answers() && l.Linked && (!l.LinkUp || l.LastIO >= max(policy.DownAfter, 2*time.Second))
	}
	if slices.ContainsFunc(obs.Nodes, convicts) {
		obs.Nodes = slices.Clone(obs.Nodes)
		for i := range obs.Nodes {
			n := &obs.Nodes[i]
			if n.Replication.Linked = n.Replication.Linked && (convicts(*n) || n.UID == p.Master.UID); !n.Replication.Linked {
				n.Heard = failover.Heard{}
			}
		}
	}
	return decide.Decide(now, policy, obs, p, r)
}

func cuttingEarly(_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress, r *failover.Request) failover.Decision {
	d := decide.Decide(now, policy, obs, p, r)
	if d.Next.State == failover.StatePromoting && d.Next.OldMaster != nil {
		d.Actions = append(d.Actions, failover.CutClients{Node: *d.Next.OldMaster})
	}
	return d
}

// cuttingOnlyTheOldProcess takes the process that was master for the only one that clients may be connected to.
func cuttingOnlyTheOldProcess(_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress, r *failover.Request) failover.Decision {
	d := decide.Decide(now, policy, obs, p, r)
	d.Actions = slices.DeleteFunc(d.Actions, func(a failover.Action) bool {
		c, is := a.(failover.CutClients)
		return is && (p.OldMaster == nil || c.Node.RunID != p.OldMaster.RunID)
	})
	return d
}

// cuttingOnce takes it for done when the clients of a process were cut.
func cuttingOnce(_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress, r *failover.Request) failover.Decision {
	d := decide.Decide(now, policy, obs, p, r)
	d.Actions = slices.DeleteFunc(d.Actions, func(a failover.Action) bool {
		c, is := a.(failover.CutClients)
		n, found := obs.Node(a.Target())
		return is && found && (c.WritersOnly || !n.Cut.First.IsZero())
	})
	return d
}

// noWriters drops what meets clients that come when a node has long been labelled replica.
func noWriters(actions []failover.Action) []failover.Action {
	return slices.DeleteFunc(actions, func(a failover.Action) bool { c, is := a.(failover.CutClients); return is && c.WritersOnly })
}

func oneMachine(obs *failover.Observation, _ failover.Progress) {
	for i := range obs.Nodes {
		obs.Nodes[i].Machine = ""
	}
}

func silentIsHeard(obs *failover.Observation, _ failover.Progress) {
	for i := range obs.Nodes {
		obs.Nodes[i].Replication.Fresh = obs.Nodes[i].Replication.Followers
	}
}

// dampingTheNew sits a master's silence out when another one was given up less than a minute before.
func dampingTheNew(_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress, r *failover.Request) failover.Decision {
	d := decide.Decide(now, policy, obs, p, r)
	recent := len(p.SoftFailovers) > 0 && now.Sub(p.SoftFailovers[0].At) < time.Minute
	if recent && len(d.Next.SoftFailovers) > len(p.SoftFailovers) {
		return failover.Decision{Next: p, Reason: failover.ReasonCooldown, Message: "cooling down", Again: failover.After(time.Second)}
	}
	return d
}

func loweringEarly(_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress, r *failover.Request) failover.Decision {
	d := decide.Decide(now, policy, obs, p, r)
	if d.Next.State != failover.StateStable || p.Master == nil {
		return d
	}
	m, found := obs.Node(p.Master.NodeRef)
	silent := slices.ContainsFunc(obs.Others(p.Master.NodeRef), func(n failover.Node) bool { return n.Contact != failover.ContactAnswering })
	if found && silent && m.Replication.MinReplicas != 0 {
		d.Actions = append(d.Actions, failover.SetMinReplicas{Node: m.Ref()})
	}
	return d
}

func reusingEpochs(_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress, r *failover.Request) failover.Decision {
	d := decide.Decide(now, policy, obs, p, r)
	if p.Initialized {
		d.Next.Epoch = p.Epoch
	}
	return d
}

// pickingAgain chooses anew in Promoting when the candidate is not a master yet.
func pickingAgain(o *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress, r *failover.Request) failover.Decision {
	if p.State == failover.StatePromoting && p.OldMaster != nil && p.Candidate != nil && o.last.Next.State != failover.StatePromoting {
		for _, n := range obs.Nodes {
			if n.Answers() && n.Replication.Role == failover.RoleReplica && n.UID != p.Candidate.UID && n.Replication.Keys > 0 {
				ref := n.Ref()
				p.Candidate = &ref
				break
			}
		}
	}
	return decide.Decide(now, policy, obs, p, r)
}

// switchingOverBlindly demotes the master at once, and takes the candidate for complete.
func switchingOverBlindly(_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress, r *failover.Request) failover.Decision {
	if p.State == failover.StateSwitchingOver && p.Master != nil && p.Candidate != nil {
		obs.Nodes = slices.Clone(obs.Nodes)
		m, _ := obs.Node(p.Master.NodeRef)
		for i := range obs.Nodes {
			if n := &obs.Nodes[i]; n.UID == p.Candidate.UID && m.Replication.Fenced() {
				n.Replication.Lineage.Offset = max(n.Replication.Lineage.Offset, m.Replication.Lineage.Offset)
			}
		}
	}
	d := decide.Decide(now, policy, obs, p, r)
	for i, a := range d.Actions {
		if drain, is := a.(failover.Drain); is {
			d.Actions[i] = failover.Detach{Node: drain.Master, Within: time.Second}
		}
	}
	return d
}

// Catch is what the search for a defect ended with.
type Catch struct {
	Defect    string
	Invariant string // empty: not caught
	Sentence  string
	Schedules int // played until it was caught
}

// Defects switches each deliberate defect on, alone, and plays schedules until a promise is broken.
func Defects(seed uint64, schedules, workers int) iter.Seq[Catch] {
	return func(yield func(Catch) bool) {
		for _, d := range defects() {
			c := Catch{Defect: d.name}
			stats, finding := hunt(seed, schedules, workers, d)
			c.Schedules = stats.Schedules
			if finding != nil {
				c.Invariant, c.Sentence = finding.Invariant, finding.Sentence
			}
			if !yield(c) {
				return
			}
		}
	}
}
