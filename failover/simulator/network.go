// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"slices"
	"time"
)

// party is an end of the network: a pod's slot (its ordinal), an operator, the API server, the clients, or the pod of
// another RedisHA.
type party int

const (
	maxPods         = 5
	operatorA party = maxPods + iota - 1
	operatorB
	apiServer
	clients
	elsewhere
	parties
)

// network knows which way is cut, and what waits for a cut to heal.
type network struct {
	cuts [parties][parties]int
	late [parties][parties][]func() // sent into a cut; TCP sends it again

	mended [parties][parties]instant // when the last cut ended
}

func (w *world) cut(from, to party) bool { return from != to && w.net.cuts[from][to] > 0 }

// latency is how long a message travels.
func (w *world) latency() time.Duration { return w.between(50*time.Microsecond, w.cfg.latency) }

// send delivers a message, now or, as TCP does, some time after the cut has healed.
func (w *world) send(from, to party, deliver func()) {
	if w.cut(from, to) {
		w.net.late[from][to] = append(w.net.late[from][to], deliver)
		return
	}
	w.after(w.latency(), deliver)
}

// sever cuts one way for a while.
func (w *world) sever(from, to party, d time.Duration) {
	w.beforeFlowChanges()
	w.net.cuts[from][to]++
	w.afterFlowChanged()
	w.after(d, func() { w.mend(from, to) })
}

func (w *world) mend(from, to party) {
	w.beforeFlowChanges()
	w.net.cuts[from][to]--
	w.net.mended[from][to] = w.now
	w.afterFlowChanged()
	if w.cut(from, to) {
		return
	}
	late := w.net.late[from][to]
	w.net.late[from][to] = nil
	for _, deliver := range late {
		w.after(w.between(0, pick(w.rng, 50*time.Millisecond, 400*time.Millisecond, 3*time.Second)), deliver)
	}
	if to == operatorA || to == operatorB {
		w.api.publishTo(w.operators[to-operatorA])
	}
}

// beforeFlowChanges settles what has arrived, before a link begins or ceases to flow.
func (w *world) beforeFlowChanges() {
	for _, s := range w.servers {
		s.catchUp()
	}
}

// afterFlowChanged looks at every replication link again.
func (w *world) afterFlowChanged() {
	for _, s := range slices.Clone(w.servers) {
		if s.up != nil {
			s.up.flow()
		}
		for _, l := range slices.Clone(s.followers) {
			if !l.up && !w.cut(l.replica.pod.slot, s.pod.slot) {
				s.arrive(func() { s.forget(l) })
			}
		}
	}
}

// flow notes since when a link is stalled in either direction, and ends what stays so.
func (l *upstream) flow() {
	w := l.replica.w
	from, to := l.source.pod.slot, l.replica.pod.slot
	stopped := l.source.hung || l.replica.hung || !l.source.alive
	l.flowData(!stopped && !w.cut(from, to))
	l.flowBack(!stopped && !w.cut(to, from), !w.cut(from, to))
	// The connection may have ended on the other side while nothing could tell.
	if l.endedThere() && l.up && !w.cut(from, to) && (!l.source.alive || !w.cut(to, from)) {
		l.replica.arrive(func() { l.replica.lost(l) })
	}
}

// endedThere reports that for the master's side there is no connection any more.
func (l *upstream) endedThere() bool { return !l.source.alive || !l.counted }

// flowData follows what comes from the master; the replica ends a connection that brings nothing for long.
func (l *upstream) flowData(flows bool) {
	w := l.replica.w
	switch {
	case flows && l.stalledAt >= 0:
		l.flowing, l.stalledAt = w.now, -1
	case !flows && l.stalledAt < 0:
		l.stalledAt = w.now
		if ago := w.between(0, cronPeriod); w.now-ago >= max(l.flowing, l.since) {
			l.pinged = w.now - ago
		}
		since := w.now
		w.after(replTimeout, func() {
			if l.up && l.stalledAt == since && !l.replica.hung && l.replica.alive {
				l.replica.dropUpstream()
				l.replica.connectAfter(cronPeriod)
			}
		})
	}
}

// flowBack follows what comes from the replica. Where nothing confirms it, one more acknowledgement gets through, the
// one that is due within a second: TCP sends that again, and nothing after it.
func (l *upstream) flowBack(flows, confirmed bool) {
	switch {
	case !flows || confirmed:
		l.flowAcks(flows)
		return
	case l.unconfirmed == l.stalledAt:
		return
	}
	l.unconfirmed = l.stalledAt
	l.flowAcks(true)
	since, w := l.stalledAt, l.replica.w
	w.after(w.between(0, cronPeriod), func() {
		if l.stalledAt == since {
			l.flowAcks(false)
		}
	})
}

// flowAcks follows what comes from the replica; the master ends a connection that brings nothing for long.
func (l *upstream) flowAcks(flow bool) {
	w := l.replica.w
	switch {
	case flow:
		if l.silentAt >= 0 {
			l.heardAgain = w.now
		}
		l.silentAt = -1
	case l.silentAt < 0:
		l.silentAt = w.now
		since := w.now
		w.after(replTimeout, func() {
			if !l.counted || l.silentAt != since || l.source.hung || !l.source.alive {
				return
			}
			l.source.forget(l)
			if !w.cut(l.source.pod.slot, l.replica.pod.slot) {
				l.replica.arrive(func() { l.replica.lost(l) })
			}
		})
	}
}
