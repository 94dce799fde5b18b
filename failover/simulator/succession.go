// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"context"
	"time"

	succession "github.com/redisha/redisha/failover/lease"
)

// Timing of a standby's watch over the leader's process, as in failover/lease and controllers.
const (
	firstLook       = 25 * time.Millisecond
	mostLook        = 2 * time.Second
	witnessesWithin = 300 * time.Millisecond
)

// watch is a standby's connection to the other operator's process.
type watch struct {
	up     bool // the standby has not heard of its end
	wakeUp func()
}

// peer is the other operator.
func (o *operator) peer() *operator { return o.world.operators[operatorB-o.party] }

// follow is failover/lease.Succession: what a standby knows of the process that leads, until it leads itself.
func (o *operator) follow(t *task) {
	ended := false
	for pause := firstLook; !o.leading; pause = min(2*pause, mostLook) {
		answer := o.ask(t)
		if answer == succession.Alive && !o.world.defect.silenceIsDeath {
			o.dead = lease{}
			o.attend(t)
			ended, pause = true, firstLook
			continue
		}
		o.judge(t, succession.Evidence{Ended: ended, Answer: answer})
		t.sleep(o.real(pause))
	}
}

// ask dials the other operator. A stopped one and one that is cut off say nothing.
func (o *operator) ask(t *task) succession.Answer {
	w, p := o.world, o.peer()
	t.sleep(2 * w.latency())
	switch {
	case w.cut(o.party, p.party) || w.cut(p.party, o.party) || p.alive && p.stopped:
		return succession.Silent
	case !p.alive:
		return succession.Refused
	}
	return succession.Alive
}

// attend keeps a connection to the other operator until its end is heard of.
func (o *operator) attend(t *task) {
	o.watching, o.watched = &watch{up: true, wakeUp: t.waker()}, o.peer().life
	t.park()
	o.watching = nil
}

// tellOfEnd is what the kernel of a process that has died does: the other operator's connection to it ends, and its
// connection to the other. A leader that hears of that has to renew its lease before it acts again.
func (o *operator) tellOfEnd() {
	w, p := o.world, o.peer()
	if c := p.watching; c != nil && c.up {
		w.send(o.party, p.party, func() {
			p.do(func() {
				if c.up {
					c.up = false
					c.wakeUp()
				}
			})
		})
	}
	if o.watching == nil {
		return
	}
	life := p.life
	w.send(o.party, p.party, func() {
		p.do(func() {
			if p.life == life {
				p.doubted, p.leaseTill = p.now(), time.Time{}
				p.hurryElection()
			}
		})
	})
}

// judge looks whether the holder of the lease is dead: the lease is read first, then the Redis nodes are asked.
func (o *operator) judge(t *task, e succession.Evidence) {
	onSilence := o.world.defect.silenceIsDeath && e.Answer == succession.Silent
	if !e.Suspect() && !onSilence {
		o.dead = lease{}
		return
	}
	ctx, _ := runtime{o}.WithTimeout(context.Background(), time.Second)
	var seen lease
	if o.call(ctx, false, func() error { seen = o.world.api.lease; return nil }) != nil ||
		!o.watchedHolds(seen, onSilence) {
		o.dead = lease{}
		return
	}
	e.Census = o.census(t)
	if !e.Dead() && !onSilence {
		o.dead = lease{}
		return
	}
	if o.dead != seen {
		o.world.note("%s takes %s for dead", o.name, o.peer().name)
	}
	o.dead = seen
	o.hurryElection()
}

// watchedHolds reports a lease of the process that was watched; not of one that was started in its place and has
// renewed it since. A defect that goes by silence alone has watched none.
func (o *operator) watchedHolds(l lease, anyLife bool) bool {
	return l.held && l.holder != o.party && (anyLife || l.life == o.watched)
}

// census asks the Redis nodes of the cache for connections of the other operator. Who does not answer is waited for.
func (o *operator) census(t *task) succession.Census {
	w := o.world
	var c succession.Census
	took := 2 * w.latency()
	for _, v := range o.cache.pods {
		if v.ip == "" {
			continue
		}
		c.Asked++
		p := w.podOf(v.ip)
		if p == nil || w.cut(o.party, p.slot) || w.cut(p.slot, o.party) || p.server != nil && p.server.hung {
			took = witnessesWithin
			continue
		}
		if p.server == nil || !p.server.alive {
			continue
		}
		c.Answered++
		if p.server.lists(o.peer()) {
			c.Listing++
		}
	}
	t.sleep(took)
	return c
}

// lists reports a connection of an operator that the process has not heard the end of.
func (s *server) lists(o *operator) bool {
	for _, c := range s.conns {
		if c.client.o == o && !c.cut && !c.closed {
			return true
		}
	}
	return false
}

// hangUp is this side's end of a connection, which the process hears of after everything that was sent before.
func (c *operatorConn) hangUp() {
	w := c.server.w
	w.send(c.client.o.party, c.server.pod.slot, func() { w.after(w.cfg.latency, func() { c.closed = true }) })
}

// hurryElection wakes the election: the lease is to be looked at, or renewed, at once.
func (o *operator) hurryElection() {
	o.hurried = true
	o.wakeElection()
}

// rest waits between two looks at the lease.
func (o *operator) rest(t *task, d time.Duration) {
	if !o.hurried {
		o.wakeElection = t.waker()
		o.world.after(d, o.wakeElection)
		t.park()
	}
	o.hurried = false
	t.sleep(electorTick)
}

// electorTick is leader.ElectorTick.
const electorTick = 50 * time.Millisecond
