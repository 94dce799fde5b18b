// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"time"

	"github.com/redisha/redisha/failover"
)

func (w *world) severBoth(a, b party, d time.Duration) {
	w.sever(a, b, d)
	w.sever(b, a, d)
}

func (w *world) isolate(a int, d time.Duration, except func(party) bool) {
	w.isolateParty(w.partyOf(a), d, except)
}

func (w *world) isolateParty(from party, d time.Duration, except func(party) bool) {
	for to := range parties {
		if to != from && (except == nil || !except(to)) {
			w.severBoth(from, to, d)
		}
	}
}

// isolateTwice cuts a pod off for about down-after, lets the network through for an instant, and cuts it off again,
// with clients beside it.
func (w *world) isolateTwice(f fault) {
	first := w.cfg.downAfter + w.between(0, 1200*time.Millisecond)
	gap := w.between(time.Millisecond, pick(w.rng, 150*time.Millisecond, 1500*time.Millisecond))
	pod := w.partyOf(f.a)
	toClients := func(p party) bool { return p == clients }
	w.isolateParty(pod, first, toClients)
	w.busyTill = max(w.busyTill, w.now+first+gap+f.dur)
	w.after(first+gap, func() { w.isolateParty(pod, f.dur, toClients) })
}

// split parts the network in two: b says, a bit for each party, who is on which side.
func (w *world) split(f fault) {
	for one := range parties {
		for other := range one {
			if f.b>>one&1 != f.b>>other&1 {
				w.severBoth(one, other, f.dur)
			}
		}
	}
}

func (w *world) crashAtEffect(f fault) {
	if o := w.leader(); o.alive {
		o.crashIn = f.b
	}
}

func (w *world) requestSwitchover(f fault) {
	if f.a == theMaster || w.podAt(f.a) == nil {
		w.api.ask(failover.VerbSwitchover, "")
		return
	}
	w.api.ask(failover.VerbSwitchover, w.podAt(f.a).name)
}

// scale asks for one pod more or one fewer, and for the old number again later.
func (w *world) scale(f fault) {
	if w.cfg.consistency == failover.ConsistencyStrict {
		return // who goes may be the only one that has acknowledged: to ask for fewer replicas is to ask for less certainty
	}
	to := w.cfg.pods + 1
	if f.b%2 == 0 && w.cfg.pods > 1 {
		to = w.cfg.pods - 1
	}
	w.scaleTo(to)
	w.after(f.dur, func() { w.scaleTo(w.cfg.pods) })
}

func (w *world) scaleTo(replicas int) {
	w.note("a person scales to %d", replicas)
	w.api.setPolicy(func(p *failover.Policy) { p.Replicas = replicas })
	w.rescale()
}

// rescale is the workload controller: more pods at once, fewer only when the master is not among those to go.
func (w *world) rescale() {
	wanted := w.api.now.policy.Replicas
	if wanted > w.wanted {
		w.want(wanted)
		w.refill()
		return
	}
	if wanted == w.wanted {
		return
	}
	p := w.api.now.progress
	m := w.master()
	if p.State == failover.StateStable && m != nil && m.ordinal < wanted && p.Master.UID == m.uid &&
		w.attachedBelow(wanted) {
		w.want(wanted)
		for _, q := range append([]*pod(nil), w.pods...) {
			if q.ordinal >= wanted {
				q.terminate(30 * time.Second)
			}
		}
		return
	}
	w.after(200*time.Millisecond, w.rescale)
}

// want changes the StatefulSet.
func (w *world) want(pods int) {
	w.wanted = pods
	w.api.now.wanted = pods
	w.api.changed()
}

// attachedBelow reports that one replica that stays is attached: who goes may be the only one with a write.
func (w *world) attachedBelow(wanted int) bool {
	m := w.master()
	for _, p := range w.pods {
		if p != m && p.ordinal < wanted && p.server != nil && p.server.linked() && p.server.up.source == m.server &&
			p.server.up.stalledAt < 0 {
			return true
		}
	}
	return wanted < 2
}

func (w *world) pauseMode(f fault) {
	mode := failover.ModePaused
	if f.b%2 == 0 {
		mode = failover.ModeManual
	}
	w.api.setPolicy(func(p *failover.Policy) { p.Mode = mode })
	w.after(f.dur, func() { w.api.setPolicy(func(p *failover.Policy) { p.Mode = failover.ModeAutomatic }) })
}

func (w *world) cordon(f fault) {
	w.onPod(f.a, func(p *pod) {
		p.cordoned = true
		w.api.podsChanged()
		w.after(f.dur, func() { p.cordoned = false; w.api.podsChanged() })
	})
}

// setStatusBack loses the status, or puts an earlier one in its place.
func (w *world) setStatusBack(f fault) {
	if past := w.api.past; f.b%2 == 0 && len(past) > 0 {
		w.api.setBack(*past[w.rng.IntN(len(past))])
		return
	}
	w.api.setBack(failover.Progress{})
}

// promoteByHand is a person with redis-cli.
func (w *world) promoteByHand(f fault) {
	w.onServer(f.a, func(s *server) {
		if s.hung || s.loading() || s.role == failover.RoleMaster {
			return
		}
		w.note("a person makes %s a master by hand", s.pod.name)
		w.checks.byHand = true
		s.promote("a person")
	})
}

// followByHand is a person who points a node at another one: a ring, or a master made a replica.
func (w *world) followByHand(f fault) {
	w.onServer(f.a, func(s *server) {
		w.onPod(f.b, func(p *pod) {
			if s.hung || s.loading() || p.ip == "" {
				return
			}
			w.note("a person points %s at %s by hand", s.pod.name, p.name)
			w.checks.byHand = true
			s.replicaOf(p.ip, redisPort)
		})
	})
}

// stallWatch leaves one operator, the leader or its standby, with what it knows: its watches are open, and bring
// nothing.
func (w *world) stallWatch(f fault) {
	o := w.operators[f.a&1]
	o.stalled = w.now + f.dur
}
