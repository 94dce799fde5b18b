// SPDX-License-Identifier: Apache-2.0

package simulator

import (
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
	since := max(m.server.roleSince, s.roleSince, cl.led, conn.refusedSince)
	for _, o := range c.w.operators {
		// The leader has to reach both: it does nothing while it does not hear the master.
		calm := min(c.w.reachableFor(o, s), c.w.reachableFor(o, m.server), c.w.now-since)
		if o.leading && c.leaderServes(o) && calm > cutOverWithin {
			c.fail(
				"clients", "a client has been on %s, which is no master, since %s, and %s is published", s.pod.name,
				conn.refusedSince, m.name,
			)
		}
	}
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

// onClientsAtEnd: the same when everything has been healed for a while.
func (c *checks) onClientsAtEnd() {
	for _, cl := range c.w.clients {
		conn := cl.conn
		if conn != nil && conn.refusedSince > 0 && conn.server.role != failover.RoleMaster &&
			c.w.now-conn.refusedSince > 2*cutOverWithin {
			c.fail("clients", "a client is left on %s, which is no master", conn.server.pod.name)
		}
	}
}
