// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
)

// write is a client's numbered write, and what became of it.
type write struct {
	number  int
	wait    bool // asked for with WAIT 1
	sent    instant
	acked   instant // zero: never
	waited  bool    // WAIT counted a replica
	entry   *entry
	by      *server
	epoch   int64 // of the master that acknowledged it
	refused string
}

// client writes number after number, to the master that the Service leads to.
type client struct {
	w    *world
	conn *clientConn
	busy *write
	wait bool
	// on a connection whatever it answers, as most libraries do: a reply is no reason to connect anew
	stays bool
	route failover.Published // where the kube-proxy of its machine leads it
	led   instant            // since when it is led there
}

// clientConn is a client's connection to a Redis process.
type clientConn struct {
	client *client
	server *server
	ended  bool

	refusedSince instant // that it is no master; zero: it was not, on this connection
}

// Habits of clients.
const (
	clientTimeout = time.Second
	reconnect     = 30 * time.Millisecond
	waitTimeout   = 500 * time.Millisecond
)

func (c *client) start() { c.w.after(c.w.between(0, c.w.cfg.think), c.next) }

// next sends the next write.
func (c *client) next() {
	if c.w.quiet {
		return
	}
	if c.conn == nil && !c.dial() {
		c.w.after(reconnect+c.w.between(0, reconnect), c.next)
		return
	}
	wr := &write{number: len(c.w.writes) + 1, wait: c.wait, sent: c.w.now}
	c.w.writes = append(c.w.writes, wr)
	c.busy = wr
	conn := c.conn
	c.w.send(clients, conn.server.pod.slot, func() {
		conn.server.serve(func() { c.w.execute(conn, wr) }, func() {
			wr.refused = "BUSY"
			c.w.refuse(conn, wr)
		})
	})
	c.w.after(clientTimeout, func() {
		if c.busy == wr {
			c.drop()
		}
	})
}

// dial connects to where the Service leads the client by now.
func (c *client) dial() bool {
	s := c.w.serverAt(c.route.IP)
	if s == nil || s.full() || c.w.cut(clients, s.pod.slot) || c.w.cut(s.pod.slot, clients) {
		return false
	}
	c.conn = &clientConn{client: c, server: s}
	s.clients = append(s.clients, c.conn)
	return true
}

// drop gives the connection up, and what was asked over it.
func (c *client) drop() {
	if c.conn != nil {
		c.conn.ended = true
		s := c.conn.server
		s.clients = slices.DeleteFunc(s.clients, func(o *clientConn) bool { return o == c.conn })
		c.conn = nil
	}
	c.busy = nil
	c.w.after(reconnect+c.w.between(0, reconnect), c.next)
}

// serverEnded is the end of the connection by the other side, as it reaches the client.
func (cc *clientConn) serverEnded() {
	w := cc.client.w
	w.send(cc.server.pod.slot, clients, func() {
		if !cc.ended && cc.client.conn == cc {
			cc.client.drop()
		}
	})
}

// execute is the write in Redis.
func (w *world) execute(conn *clientConn, wr *write) {
	s := conn.server
	if !slices.Contains(s.clients, conn) {
		conn.serverEnded() // the process has closed the connection: what still comes is answered by a reset
		return
	}
	if s.paused() && s.role == "master" {
		s.held = append(s.held, func() { w.execute(conn, wr) })
		return
	}
	good := max(s.good(), s.staleGood)
	if wr.refused = s.refuses(good); wr.refused != "" {
		w.refuse(conn, wr)
		return
	}
	conn.refusedSince, s.withoutSince = 0, 0
	s.append(wr.number, writeBytes)
	wr.entry, wr.by = s.head, s
	w.checks.onWrite(s)
	if !wr.wait {
		w.reply(conn, wr, func() { conn.client.acknowledged(wr, false) })
		return
	}
	w.waitFor(conn, wr, w.now+waitTimeout)
}

// refuse answers a write with an error.
func (w *world) refuse(conn *clientConn, wr *write) {
	if wr.refused == "READONLY" {
		conn.server.refused++
		if conn.refusedSince == 0 {
			conn.refusedSince = w.now
		}
		w.checks.onRefusal(conn)
	}
	if wr.refused == "NOREPLICAS" {
		w.checks.onNoReplicas(conn.server)
	}
	w.reply(conn, wr, func() {
		if !conn.client.stays {
			conn.client.drop()
			return
		}
		conn.client.again()
	})
}

// again sends the next write, a while later.
func (c *client) again() {
	c.busy = nil
	c.w.after(c.w.cfg.think/2+c.w.between(0, c.w.cfg.think), c.next)
}

// waitFor is WAIT 1: the replicas acknowledge as soon as they have the write.
func (w *world) waitFor(conn *clientConn, wr *write, until instant) {
	s := conn.server
	pause := 5 * time.Millisecond
	for _, l := range s.followers {
		pause = min(pause, max(l.lag, 500*time.Microsecond))
	}
	w.after(pause, func() {
		if !s.alive || s.role != "master" {
			return
		}
		s.arrive(func() {
			for _, l := range s.followers {
				l.replica.catchUp()
				if l.counted && l.up && l.silentAt < 0 && l.replica.head.contains(wr.entry) {
					w.reply(conn, wr, func() { conn.client.acknowledged(wr, true) })
					return
				}
			}
			if w.now >= until {
				w.reply(conn, wr, func() { conn.client.acknowledged(wr, false) })
				return
			}
			w.waitFor(conn, wr, until)
		})
	})
}

func (w *world) reply(conn *clientConn, wr *write, then func()) {
	w.send(conn.server.pod.slot, clients, func() {
		if !conn.ended && conn.client.busy == wr {
			then()
		}
	})
}

func (c *client) acknowledged(wr *write, waited bool) {
	wr.acked, wr.waited = max(c.w.now, 1), waited
	wr.epoch = c.w.api.now.progress.Epoch
	c.w.stats.acked++
	c.again()
}

// routeClients is kube-proxy, one on each client's machine: the Service leads new connections elsewhere, some time
// after the slice was written.
func (w *world) routeClients() {
	for _, c := range w.clients {
		w.after(w.between(5*time.Millisecond, w.cfg.proxyDelay), func() {
			if c.route != w.api.now.published {
				c.route, c.led = w.api.now.published, w.now
			}
		})
	}
}
