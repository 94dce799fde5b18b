package simulator

import (
	"time"

	"github.com/redisha/redisha/failover"
)

// cutOverWithin is how long a client that is led to the master may be answered by another node that it is no master, when everything is
// as it should be.
const cutOverWithin = 2500 * time.Millisecond

// onRefusal: no client is left on a node that is not master.
func (c *checks) onRefusal(conn *clientConn) {
	s, cl, p := conn.server, conn.client, c.w.api.now.progress
	m := c.w.master()
	switch {
	case p.State != failover.StateStable || c.byHand || s.isForeign():
		return // nothing is done, or what is done is not the operator's
	case m == nil || m.server == nil || m.server.role != failover.RoleMaster || p.Master == nil || !m.server.isNode(p.Master.NodeRef):
		return
	case cl.route != c.w.api.now.published:
		return // a kube-proxy lags
	case !c.apiServes():
		return // the leader waits for an answer of the API server, or does not see the pod
	}
	for _, o := range c.w.operators {
		// The leader has to reach both: who does not hear the master does nothing.
		calm := min(c.w.reachableFor(o, s), c.w.reachableFor(o, m.server), c.w.now-m.server.roleSince, c.w.now-cl.led, c.w.now-conn.refusedSince)
		if o.leading && c.leaderServes(o) && calm > cutOverWithin && c.w.now-s.roleSince > cutOverWithin {
			c.fail("clients", "a client has been on %s, which is no master, since %s, and %s is published", s.pod.name, conn.refusedSince, m.name)
		}
	}
}

// onClientsAtEnd: the same when everything has been healed for a while.
func (c *checks) onClientsAtEnd() {
	for _, cl := range c.w.clients {
		conn := cl.conn
		if conn != nil && conn.refusedSince > 0 && conn.server.role != failover.RoleMaster && c.w.now-conn.refusedSince > 2*cutOverWithin {
			c.fail("clients", "a client is left on %s, which is no master", conn.server.pod.name)
		}
	}
}
