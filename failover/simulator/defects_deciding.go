// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/decide"
)

// believingTheStatus takes nothing for later than the status.
func believingTheStatus(
	_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
	r *failover.Request,
) failover.Decision {
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
func takingUnknownForStable(
	_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
	r *failover.Request,
) failover.Decision {
	if p.State == unknownState && p.Master != nil {
		p.State = failover.StateStable
	}
	return decide.Decide(now, policy, obs, p, r)
}

// waitingForTheClock waits until the time has come that an operator with another clock has written down.
func waitingForTheClock(
	_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
	r *failover.Request,
) failover.Decision {
	if p.Running() && p.Since.After(now.Add(2*time.Second)) {
		return failover.Decision{
			Next:    p,
			Message: "waiting",
			Reason:  failover.ReasonWaitingForPods,
			Again:   failover.After(time.Second),
		}
	}
	return decide.Decide(now, policy, obs, p, r)
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
	return func(
		_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
		r *failover.Request,
	) failover.Decision {
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
func believing(
	o *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
	r *failover.Request,
) failover.Decision {
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
func hearingOneWitness(
	_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
	r *failover.Request,
) failover.Decision {
	convicts := func(n failover.Node) bool {
		l := n.Replication
		return p.Master != nil && n.UID != p.Master.UID && n.Answers() && l.Linked &&
			(!l.LinkUp || l.LastIO >= max(policy.DownAfter, 2*time.Second))
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

func cuttingEarly(
	_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
	r *failover.Request,
) failover.Decision {
	d := decide.Decide(now, policy, obs, p, r)
	if d.Next.State == failover.StatePromoting && d.Next.OldMaster != nil {
		d.Actions = append(d.Actions, failover.CutClients{Node: *d.Next.OldMaster})
	}
	return d
}

// cuttingOnlyTheOldProcess takes the process that was master for the only one that clients may be connected to.
func cuttingOnlyTheOldProcess(
	_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
	r *failover.Request,
) failover.Decision {
	d := decide.Decide(now, policy, obs, p, r)
	d.Actions = slices.DeleteFunc(d.Actions, func(a failover.Action) bool {
		c, is := a.(failover.CutClients)
		return is && (p.OldMaster == nil || c.Node.RunID != p.OldMaster.RunID)
	})
	return d
}

// cuttingOnce takes it for done when the clients of a process were cut.
func cuttingOnce(
	_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
	r *failover.Request,
) failover.Decision {
	d := decide.Decide(now, policy, obs, p, r)
	d.Actions = slices.DeleteFunc(d.Actions, func(a failover.Action) bool {
		c, is := a.(failover.CutClients)
		n, found := obs.Node(a.Target())
		return is && found && (c.WritersOnly || !n.Cut.First.IsZero())
	})
	return d
}

// dampingTheNew sits a master's silence out when another one was given up less than a minute before.
func dampingTheNew(
	_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
	r *failover.Request,
) failover.Decision {
	d := decide.Decide(now, policy, obs, p, r)
	recent := len(p.SoftFailovers) > 0 && now.Sub(p.SoftFailovers[0].At) < time.Minute
	if recent && len(d.Next.SoftFailovers) > len(p.SoftFailovers) {
		return failover.Decision{
			Next:    p,
			Reason:  failover.ReasonCooldown,
			Message: "cooling down",
			Again:   failover.After(time.Second),
		}
	}
	return d
}

func loweringEarly(
	_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
	r *failover.Request,
) failover.Decision {
	d := decide.Decide(now, policy, obs, p, r)
	if d.Next.State != failover.StateStable || p.Master == nil {
		return d
	}
	m, found := obs.Node(p.Master.NodeRef)
	silent := slices.ContainsFunc(
		obs.Others(p.Master.NodeRef),
		func(n failover.Node) bool { return n.Contact != failover.ContactAnswering },
	)
	if found && silent && m.Replication.MinReplicas != 0 {
		d.Actions = append(d.Actions, failover.SetMinReplicas{Node: m.Ref()})
	}
	return d
}

func reusingEpochs(
	_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
	r *failover.Request,
) failover.Decision {
	d := decide.Decide(now, policy, obs, p, r)
	if p.Initialized {
		d.Next.Epoch = p.Epoch
	}
	return d
}

// pickingAgain chooses anew in Promoting when the candidate is not a master yet.
func pickingAgain(
	o *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
	r *failover.Request,
) failover.Decision {
	if p.State == failover.StatePromoting && p.OldMaster != nil && p.Candidate != nil &&
		o.last.Next.State != failover.StatePromoting {
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

// pickingAnotherToSwitchTo chooses anew in SwitchingOver, under the same epoch, when it comes to a switchover whose
// master another operator has demoted: the candidate may be master.
func pickingAnotherToSwitchTo(
	_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
	r *failover.Request,
) failover.Decision {
	if p.State != failover.StateSwitchingOver || p.Candidate == nil || p.OldMaster == nil {
		return decide.Decide(now, policy, obs, p, r)
	}
	if m, _ := obs.Node(*p.OldMaster); m.Answers() && m.Replication.Fenced() && m.OrderedAt.IsZero() {
		for _, n := range obs.Others(*p.Candidate) {
			if n.Answers() && n.Replication.Role == failover.RoleReplica && !n.Replication.Fenced() {
				ref := n.Ref()
				p.Candidate = &ref
				break
			}
		}
	}
	return decide.Decide(now, policy, obs, p, r)
}

// promotingWhileDraining orders the candidate to become master together with the draining of the old one.
func promotingWhileDraining(
	_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
	r *failover.Request,
) failover.Decision {
	d := decide.Decide(now, policy, obs, p, r)
	for _, a := range d.Actions {
		if drain, is := a.(failover.Drain); is {
			d.Actions = append(d.Actions, failover.Promote{Node: drain.Candidate})
		}
	}
	return d
}

// switchingOverBlindly demotes the master at once, and takes the candidate for complete.
func switchingOverBlindly(
	_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
	r *failover.Request,
) failover.Decision {
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
