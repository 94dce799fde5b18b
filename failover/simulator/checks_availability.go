// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/decide"
)

// refusalWithin is how long a master that the leader reaches may refuse writes for want of replicas (S10).
const refusalWithin = 1500 * time.Millisecond

// onNoReplicas: nothing that happens to replicas stops a master that the operator reaches (S10).
func (c *checks) onNoReplicas(s *server) {
	if s.withoutSince == 0 {
		s.withoutSince = c.w.now
	}
	p := c.w.api.now.progress
	master := p.State == failover.StateStable && p.Master != nil && s.isNode(p.Master.NodeRef)
	if !master || !c.operatorActs() || c.w.now-max(s.withoutSince, c.w.api.stateSince) <= refusalWithin {
		return
	}
	for _, o := range c.w.operators {
		if o.leading && c.w.reachableFor(o, s) > 2*refusalWithin && c.leaderServes(o) {
			c.fail(
				"S10", "%s has been refusing writes since %s for want of replicas, although %s reaches it", s.pod.name,
				s.withoutSince, o.name,
			)
		}
	}
}

// operatorActs reports that what is not done can be held against the operator: it may act, no person has meddled, and
// the API server serves.
func (c *checks) operatorActs() bool {
	return c.w.api.now.policy.Mode != failover.ModePaused && !c.byHand && c.apiServes()
}

// apiServes reports that the API server has answered everything for long enough that the leader waits for no answer,
// and knows the mode.
func (c *checks) apiServes() bool {
	api := c.w.api
	well := max(api.mute, api.failing, api.slow, api.modeSince, api.newerTill)
	for _, o := range c.w.operators {
		well = max(well, o.stalled)
	}
	return c.w.now > well+requestTimeout+cutOverWithin
}

// leaderServes reports an operator that has had the API server in reach for that long, too.
func (c *checks) leaderServes(o *operator) bool {
	there, back := c.w.net.mended[o.party][apiServer], c.w.net.mended[apiServer][o.party]
	cut := c.w.cut(o.party, apiServer) || c.w.cut(apiServer, o.party)
	return o.alive && !o.stopped && !cut && c.w.now-max(there, back, o.awakeSince) > requestTimeout+cutOverWithin
}

// takesOneMachine are the faults that one machine's loss looks like.
var takesOneMachine = []string{"freeze machine", "machine dies", "isolate machine", "hang", "kill"}

// beforeFault: one machine's loss, in a set that was whole, leaves it without a master for down-after and a second at
// most (S10).
func (c *checks) beforeFault(f fault) {
	c.strikes++
	w := c.w
	within := w.cfg.downAfter + time.Second + 1500*time.Millisecond // a margin for what persisting and promoting take
	if !slices.Contains(takesOneMachine, f.kind) || f.dur < within || !c.survivable(f) {
		return
	}
	strike, began := c.strikes, w.now
	w.after(within, func() {
		o := w.leader()
		if !o.leading || o.stopped || o.awakeSince > began || c.strikes != strike || c.byHand {
			return // the leader has died meanwhile, or something else has happened
		}
		if !c.hasMaster(f) {
			c.fail(
				"S10", "%s after %s of %d at %s there is no master: %s (%s)", within, f.kind, f.a, began,
				w.api.now.progress.State, o.last.Message,
			)
		}
	})
}

// hasMaster reports a published master that runs, and that clients reach unless they were cut off with the machine.
func (c *checks) hasMaster(f fault) bool {
	m := c.w.master()
	if m == nil || m.server == nil || m.server.hung || m.server.role != failover.RoleMaster {
		return false
	}
	return !c.w.cut(clients, m.slot) || f.b%2 == 0
}

// survivable reports a set that is whole, and of which a replica in sync runs on another machine than the fault is
// about.
func (c *checks) survivable(f fault) bool {
	w := c.w
	if w.now <= w.busyTill+3*time.Second || w.settled() != "" || !c.plain() || w.master() == nil {
		return false
	}
	lost := w.onMachine(f.a)
	return slices.ContainsFunc(w.pods, func(p *pod) bool {
		attached := p != w.master() && p.server != nil && p.server.attachedTo(w.master()) &&
			w.now-p.server.up.since > 3*time.Second
		return attached && !slices.Contains(lost, p)
	})
}

// plain reports a set whose configuration holds no failover back, and a leader that is there to begin one.
func (c *checks) plain() bool {
	w, o := c.w, c.w.leader()
	ordinary := w.cfg.laggard < 0 && w.cfg.priorityZero < 0 && w.cfg.consistency != failover.ConsistencyStrict
	recent := 0
	for _, s := range w.api.now.progress.SoftFailovers {
		if o.now().Sub(s.At) < decide.SoftWindow+10*time.Second {
			recent++
		}
	}
	return ordinary && recent < decide.SoftLimit && w.api.now.policy.Mode == failover.ModeAutomatic && c.operatorActs() &&
		o.leading &&
		c.leaderServes(o)
}
