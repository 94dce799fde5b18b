// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/decide"
)

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
func seeing(
	change func(*failover.Observation, failover.Progress), filter func([]failover.Action) []failover.Action,
) decideFunc {
	return func(
		_ *operator, now time.Time, policy failover.Policy, obs failover.Observation, p failover.Progress,
		r *failover.Request,
	) failover.Decision {
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
	return slices.DeleteFunc(
		actions,
		func(a failover.Action) bool { d, is := a.(failover.Detach); return is && !d.Quieten },
	)
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

// noWriters drops what meets clients that come when a node has long been labelled replica.
func noWriters(actions []failover.Action) []failover.Action {
	return slices.DeleteFunc(
		actions,
		func(a failover.Action) bool { c, is := a.(failover.CutClients); return is && c.WritersOnly },
	)
}

// noClosing drops what has a master that was not elected refuse writes.
func noClosing(actions []failover.Action) []failover.Action {
	return slices.DeleteFunc(actions, func(a failover.Action) bool {
		s, is := a.(failover.SetMinReplicas)
		return is && s.MinReplicas == failover.WriteGuardClosed
	})
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
