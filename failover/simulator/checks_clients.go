// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
)

// cutOverWithin is how long a client that is led to the master may be answered by another node that it is no master,
// when everything is as it should be.
const cutOverWithin = 2500 * time.Millisecond

// onRefusal: no client is left on a node that is not master.
func (c *checks) onRefusal(conn *clientConn) {
	s, cl := conn.server, conn.client
	m := c.servingMaster()
	if m == nil || c.byHand || s.isForeign() || !c.apiServes() || cl.route != c.w.api.now.published {
		return // what is done is not the operator's, or a kube-proxy lags
	}
	if c.couldMend(s, m.server, max(cl.led, conn.refusedSince)) {
		c.fail(
			"clients", "a client has been on %s, which is no master, since %s, and %s is published", s.pod.name,
			conn.refusedSince, m.name,
		)
	}
}

// onSecondWriter: beside the master that serves no other takes writes for long, whoever made it one (S1).
func (c *checks) onSecondWriter(s *server) {
	m := c.servingMaster()
	if m == nil || m.server == s || c.w.api.now.policy.Mode == failover.ModePaused || !c.apiServes() {
		return
	}
	if c.couldMend(s, m.server, c.w.api.stateSince) {
		c.fail("S1", "%s takes writes beside %s, which is published", s.pod.name, m.name)
	}
}

// couldMend reports that a leader has had the time to put right what has been wrong with s since then.
func (c *checks) couldMend(s, master *server, since instant) bool {
	since = max(since, master.roleSince, s.roleSince)
	return slices.ContainsFunc(c.w.operators, func(o *operator) bool {
		// The leader has to reach both: it does nothing while it does not hear the master.
		calm := min(c.w.reachableFor(o, s), c.w.reachableFor(o, master), c.w.now-since)
		return o.leading && c.leaderServes(o) && calm > cutOverWithin
	})
}

// servingMaster is the pod that is published, runs, and is the master that the status names; nil while there is none.
func (c *checks) servingMaster() *pod {
	m, p := c.w.master(), c.w.api.now.progress
	if p.State != failover.StateStable || p.Master == nil || m == nil || m.server == nil ||
		m.server.role != failover.RoleMaster {
		return nil
	}
	if !m.server.isNode(p.Master.NodeRef) {
		return nil
	}
	return m
}

// onClientsAtEnd: the same when everything has been healed for a while, as far as an operator has led and reached both
// for long enough since. Where a person has meddled this counts as well.
func (c *checks) onClientsAtEnd() {
	m := c.servingMaster()
	for _, cl := range c.w.clients {
		conn := cl.conn
		if m != nil && conn != nil && conn.refusedSince > 0 && conn.server.role != failover.RoleMaster &&
			c.w.now-conn.refusedSince > 2*cutOverWithin && c.couldMend(conn.server, m.server, conn.refusedSince) {
			c.fail("clients", "a client is left on %s, which is no master", conn.server.pod.name)
		}
	}
}
