package simulator

import (
	"time"

	"github.com/redisha/redisha/failover"
)

// refusalWithin is how long a master that the leader reaches may refuse writes for want of replicas (S10).
const refusalWithin = 1500 * time.Millisecond

// onNoReplicas: nothing that happens to replicas stops a master that the operator reaches (S10).
func (c *checks) onNoReplicas(s *server) {
	if s.withoutSince == 0 {
		s.withoutSince = c.w.now
	}
	p := c.w.api.now.progress
	acts := p.State == failover.StateStable && p.Master != nil && s.isNode(p.Master.NodeRef) && c.w.api.now.policy.Mode != failover.ModePaused
	if !acts || c.byHand || !c.apiServes() || c.w.now-max(s.withoutSince, c.w.api.stateSince) <= refusalWithin {
		return
	}
	for _, o := range c.w.operators {
		if o.leading && c.w.reachableFor(o, s) > 2*refusalWithin && c.leaderServes(o) {
			c.fail("S10", "%s has been refusing writes since %s for want of replicas, although %s reaches it", s.pod.name, s.withoutSince, o.name)
		}
	}
}

// apiServes reports that the API server has answered everything for long enough that the leader waits for no answer, and knows the mode.
func (c *checks) apiServes() bool {
	return c.w.now > max(c.w.api.mute, c.w.api.failing, c.w.api.slow, c.w.api.modeSince)+requestTimeout+cutOverWithin
}

// leaderServes reports an operator that has had the API server in reach for that long, too.
func (c *checks) leaderServes(o *operator) bool {
	there, back := c.w.net.mended[o.party][apiServer], c.w.net.mended[apiServer][o.party]
	cut := c.w.cut(o.party, apiServer) || c.w.cut(apiServer, o.party)
	return o.alive && !o.stopped && !cut && c.w.now-max(there, back, o.awakeSince) > requestTimeout+cutOverWithin
}

// beforeFault: one machine's loss, in a set that was whole, leaves it without a master for down-after and a second at most (S10).
func (c *checks) beforeFault(f fault) {
	c.strikes++
	w := c.w
	takes := f.kind == "freeze machine" || f.kind == "machine dies" || f.kind == "isolate machine" || f.kind == "hang" || f.kind == "kill"
	within := w.cfg.downAfter + time.Second + 1500*time.Millisecond // a second of margin for what persisting and promoting take
	if !takes || f.dur < within || !c.survivable(f) {
		return
	}
	strike, began := c.strikes, w.now
	w.after(within, func() {
		m, o := w.master(), w.leader()
		if !o.leading || o.stopped || o.awakeSince > began {
			return // the leader has died meanwhile
		}
		if c.strikes == strike && !c.byHand && (m == nil || m.server == nil || m.server.hung || m.server.role != failover.RoleMaster || w.cut(clients, m.slot) && f.b%2 != 0) {
			c.fail("S10", "%s after %s of %d at %s there is no master: %s (%s)", within, f.kind, f.a, began, w.api.now.progress.State, o.last.Verdict)
		}
	})
}

// survivable reports a set that is whole, and of which a replica in sync runs on another machine than the fault is about.
func (c *checks) survivable(f fault) bool {
	w := c.w
	calm := w.now > w.busyTill+3*time.Second && w.settled() == "" && c.apiServes() && w.cfg.consistency != failover.ConsistencyStrict
	plain := w.cfg.laggard < 0 && w.cfg.priorityZero < 0 && w.api.now.policy.Mode == failover.ModeAutomatic && !c.byHand
	if !calm || !plain || !c.leaderServes(w.leader()) || !w.leader().leading || w.master() == nil {
		return false
	}
	recent := 0
	for _, s := range w.api.now.progress.SoftFailovers {
		if w.leader().now().Sub(s.At) < failover.SoftWindow+10*time.Second {
			recent++
		}
	}
	lost := w.onMachine(f.a)
	for _, p := range w.pods {
		elsewhere := true
		for _, l := range lost {
			elsewhere = elsewhere && l != p
		}
		if elsewhere && p != w.master() && p.server != nil && p.server.attachedTo(w.master()) && c.w.now-p.server.up.since > 3*time.Second {
			return recent < failover.SoftLimit
		}
	}
	return false
}
