// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"context"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

// redisConn is the client behind a link (redisclient.Client): one connection, on which an overdue reply is waited for.
type redisConn struct {
	o      *operator
	m      *monitor
	opts   redisclient.Options
	conn   *operatorConn
	closed bool
}

// operatorConn is a TCP connection of an operator to a Redis process.
type operatorConn struct {
	client  *redisConn
	server  *server
	asked   instant // when the last question was sent
	ended   bool    // as this side knows
	cut     bool    // by the process: what still arrives is not heard
	closed  bool    // as the process knows: by this side
	overdue bool    // a reply did not come in time
	late    bool    // it has come since
	answer  func()  // who waits for the overdue reply
}

// redialAfter is how long after a question the connection on which its reply is overdue is the only one.
const redialAfter = time.Second

type reply string

func (r reply) Error() string { return string(r) }

// RedisError marks what Redis said.
func (reply) RedisError() {}

// serverEnded is the process's end, as it reaches the operator.
func (c *operatorConn) serverEnded() {
	o, w := c.client.o, c.server.w
	w.send(c.server.pod.slot, o.party, func() {
		if c.ended {
			return
		}
		c.ended = true
		if c.answer != nil {
			c.answer()
		}
		if c.client.conn == c && !c.client.closed && o.alive {
			c.client.opts.OnEOF(io.EOF)
		}
	})
}

// connected sees to a connection.
func (r *redisConn) connected(ctx context.Context) error {
	if c := r.conn; c != nil {
		if c.overdue && !c.ended {
			if err := c.awaitAnswer(ctx); err != nil {
				return err
			}
			if c.late && !c.ended { // what was late is dropped, and the connection is as good as before
				c.overdue, c.late = false, false
				return nil
			}
		} else if !c.ended {
			return nil
		}
		c.hangUp()
		r.conn = nil
	}
	if _, err := r.opts.Dialer(ctx, "tcp", r.opts.Addr); err != nil {
		return err
	}
	return r.dial(ctx)
}

// awaitAnswer waits for an overdue reply, or for the time to try another connection.
func (c *operatorConn) awaitAnswer(ctx context.Context) error {
	if c.late {
		return nil
	}
	return c.client.o.await(ctx, func(done func(error)) {
		c.answer = func() { done(nil) }
		w := c.server.w
		w.at(max(w.now, c.asked+redialAfter), c.answer)
	})
}

// dial opens a connection: to a stopped process too, as the kernel sees to that.
func (r *redisConn) dial(ctx context.Context) error {
	w, o := r.o.world, r.o
	var to *server
	err := o.await(ctx, func(done func(error)) {
		target := w.podOf(r.m.target.IP)
		if target == nil {
			if w.rng.IntN(2) == 0 {
				w.after(w.latency(), func() { done(syscall.EHOSTUNREACH) })
			}
			return // or nothing comes back at all
		}
		if w.cut(o.party, target.slot) || w.cut(target.slot, o.party) {
			return
		}
		w.after(2*w.latency(), func() {
			to = target.server
			if to == nil || !to.alive {
				done(syscall.ECONNREFUSED)
				return
			}
			done(nil)
		})
	})
	if err != nil {
		return err
	}
	if !to.alive {
		return syscall.ECONNRESET
	}
	r.opts.OnConnect()
	if to.full() {
		return reply("ERR max number of clients reached")
	}
	r.conn = &operatorConn{client: r, server: to, asked: w.now}
	to.conns = append(to.conns, r.conn)
	return nil
}

// exchange sends a command and waits for its reply.
func (r *redisConn) exchange(ctx context.Context, run func(s *server) error) error {
	if r.closed {
		return redisclient.ErrClosed
	}
	if err := r.connected(ctx); err != nil {
		return err
	}
	c, w, o := r.conn, r.o.world, r.o
	err := o.await(ctx, func(done func(error)) {
		finish := func(err error) {
			done(err)
			c.late = c.overdue
			if c.answer != nil {
				c.answer()
			}
		}
		c.answer, c.asked = nil, w.now
		w.send(o.party, c.server.pod.slot, func() {
			if !c.server.alive {
				w.send(c.server.pod.slot, o.party, func() { c.ended = true; finish(syscall.ECONNRESET) })
				return
			}
			answer := func(run func(s *server) error) func() {
				return func() {
					if c.cut {
						return
					}
					err := run(c.server)
					w.send(c.server.pod.slot, o.party, func() { finish(err) })
				}
			}
			c.server.serve(answer(run), answer(busyScript))
		})
	})
	if c.ended && err != nil {
		return syscall.ECONNRESET
	}
	if redisclient.Classify(err) == redisclient.ClassTimeout {
		c.overdue = true
	}
	return err
}

// busyScript answers for a process that runs a script.
func busyScript(*server) error { return reply("BUSY Redis is busy running a script.") }

// Info implements link.Redis.
func (r *redisConn) Info(ctx context.Context) (redisclient.Info, error) {
	var info redisclient.Info
	err := r.exchange(ctx, func(s *server) error {
		switch info = s.info(); {
		case !s.garbage():
		case s.lies:
			info = s.untrue(info)
		default:
			return errGarbage
		}
		return nil
	})
	return info, err
}

// order sends a command that changes something.
func (r *redisConn) order(ctx context.Context, name string, run func(s *server) error) error {
	r.o.effect()
	o := r.o
	o.world.checks.onEffect(o, name)
	return r.exchange(ctx, func(s *server) error {
		if s.loading() {
			return reply("LOADING Redis is loading the dataset in memory")
		}
		return run(s)
	})
}

// ReplicaOf implements link.Redis.
func (r *redisConn) ReplicaOf(ctx context.Context, host string, port int) error {
	if p := r.o.world.podOf(r.m.target.IP); p != nil && p.server != nil {
		r.o.world.checks.onReplicaOfSent(r.o, p.server, host)
	}
	return r.order(ctx, "replicaof", func(s *server) error {
		if s.masterIP != host {
			s.w.note("%s orders %s to replicate from %s", r.o.name, s.pod.name, s.w.nameOf(host))
		}
		s.replicaOf(host, port)
		return nil
	})
}

// Promote implements link.Redis.
func (r *redisConn) Promote(ctx context.Context) error {
	intent := *r.o.world.api.now.progress
	taken := intent.State == unknownState && intent.Epoch == r.o.last.Next.Epoch
	if decided := r.o.last.Next; intends(decided) &&
		(taken || r.o.world.checks.forgotten[decided.Epoch]) {
		intent = decided // it was persisted, and set back or taken up by a newer version since
	}
	r.o.world.checks.onPromoteSent(r.o, r.m, intent)
	return r.order(ctx, "promote", func(s *server) error {
		if s.role != failover.RoleMaster {
			s.w.checks.onPromote(s, intent)
			s.w.note("%s promotes %s: %s", r.o.name, s.pod.name, s.describe())
		}
		s.promote(r.o.name)
		return nil
	})
}

// PauseWrites implements link.Redis.
func (r *redisConn) PauseWrites(ctx context.Context, d time.Duration) error {
	return r.order(ctx, "pause", func(s *server) error { s.pause(d); return nil })
}

// PauseAndInfo implements link.Redis.
func (r *redisConn) PauseAndInfo(ctx context.Context, d time.Duration) (redisclient.Info, error) {
	var info redisclient.Info
	err := r.order(ctx, "pause", func(s *server) error { s.pause(d); info = s.info(); return nil })
	return info, err
}

// UnpauseWrites implements link.Redis.
func (r *redisConn) UnpauseWrites(ctx context.Context) error {
	return r.order(ctx, "unpause", func(s *server) error { s.pausedTill = 0; s.release(); return nil })
}

// KillClients implements link.Redis.
func (r *redisConn) KillClients(ctx context.Context) (int, error) {
	killed := 0
	r.o.world.checks.onKillClientsSent(r.o, r.m.target.UID)
	err := r.order(ctx, "kill", func(s *server) error {
		killed = len(s.clients)
		s.held = nil
		for _, c := range s.clients {
			c.serverEnded()
		}
		s.clients = nil
		return nil
	})
	return killed, err
}

// KillWriters implements link.Redis. Whoever was refused a write has written last.
func (r *redisConn) KillWriters(ctx context.Context) (int, error) {
	killed := 0
	r.o.world.checks.onKillClientsSent(r.o, r.m.target.UID)
	err := r.order(ctx, "kill writers", func(s *server) error {
		var kept []*clientConn
		for _, c := range s.clients {
			if c.refusedSince == 0 {
				kept = append(kept, c)
				continue
			}
			killed++
			c.serverEnded()
		}
		s.clients = kept
		return nil
	})
	return killed, err
}

// TryConfig implements link.Redis. The simulated servers refuse nothing.
func (r *redisConn) TryConfig(ctx context.Context, _ []redisclient.Setting) ([]redisclient.RefusedSetting, error) {
	return nil, r.exchange(ctx, func(*server) error { return nil })
}

// SetSettings implements link.Redis. The simulated servers have every setting.
func (r *redisConn) SetSettings(ctx context.Context, _ []redisclient.Setting) (redisclient.ToldSettings, error) {
	return redisclient.ToldSettings{}, r.exchange(ctx, func(*server) error { return nil })
}

// Encrypt implements link.Redis. The simulated servers are talked to in clear.
func (r *redisConn) Encrypt(ctx context.Context, _ redisclient.Encryption) (int, error) {
	return 0, r.exchange(ctx, func(*server) error { return nil })
}

// SetUsers implements link.Redis. The simulated servers ask for no password.
func (r *redisConn) SetUsers(ctx context.Context, _ redisclient.Users) (string, error) {
	return "", r.exchange(ctx, func(*server) error { return nil })
}

// Users implements link.Redis.
func (r *redisConn) Users(ctx context.Context) (string, error) {
	return "", r.exchange(ctx, func(*server) error { return nil })
}

// TryUsers implements link.Redis.
func (r *redisConn) TryUsers(ctx context.Context, _ []redisclient.User) ([]redisclient.RefusedUser, error) {
	return nil, r.exchange(ctx, func(*server) error { return nil })
}

// SetReplicationTLS implements link.Redis.
func (r *redisConn) SetReplicationTLS(ctx context.Context, _ bool) error {
	return r.exchange(ctx, func(*server) error { return nil })
}

// KillOperatorConnections implements link.Redis.
func (r *redisConn) KillOperatorConnections(ctx context.Context, _ string) (int, error) {
	killed := 0
	err := r.exchange(ctx, func(s *server) error {
		var kept []*operatorConn
		for _, c := range s.conns {
			if c.client.o == r.o {
				kept = append(kept, c)
				continue
			}
			if !c.cut {
				killed++
				c.cut = true
				c.serverEnded()
			}
		}
		s.conns = kept
		return nil
	})
	return killed, err
}

// SetMinReplicas implements link.Redis.
func (r *redisConn) SetMinReplicas(ctx context.Context, n int, _ time.Duration) error {
	if p := r.o.world.podOf(r.m.target.IP); p != nil && p.server != nil {
		r.o.world.checks.onMinReplicasSent(r.o, p.server, n)
	}
	return r.order(ctx, "min-replicas", func(s *server) error { s.minReplicas = n; return nil })
}

// Close implements link.Redis.
func (r *redisConn) Close() {
	r.closed = true
	if r.conn != nil {
		r.conn.ended = true
		r.conn.hangUp()
		r.conn = nil
	}
}

// nameOf is for timelines.
func (w *world) nameOf(ip string) string {
	if ip == failover.FenceHost {
		return "no pod"
	}
	if p := w.podOf(ip); p != nil {
		return p.name
	}
	return strings.TrimSpace(ip + " (no pod)")
}

func (w *world) podOf(ip string) *pod {
	if ip == w.foreignMaster.ip {
		return w.foreignMaster
	}
	for _, p := range w.pods {
		if p.ip == ip && ip != "" {
			return p
		}
	}
	return nil
}
