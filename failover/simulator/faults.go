// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// fault is one thing that goes wrong, or that a person does, at an instant.
type fault struct {
	at   instant // after the set has settled for the first time
	kind string
	a, b int // pods by ordinal, theMaster, or parties; what they mean depends on the kind
	dur  time.Duration
}

// theMaster stands for the pod that is the master when the fault strikes.
const theMaster = -1

func (f fault) String() string {
	return fmt.Sprintf("%8.3fs %s a=%d b=%d for %s", f.at.Seconds(), f.kind, f.a, f.b, f.dur)
}

// faultKinds lists each kind as often as it is to be drawn, relative to the others.
var faultKinds = []struct {
	kind   string
	weight int
	strike func(w *world, f fault)
}{
	{"kill", 14, func(w *world, f fault) { w.onPod(f.a, func(p *pod) { p.kill(f.dur) }) }},
	{"kill all", 2, (*world).killAll},
	{"hang", 10, (*world).hang},
	{"busy", 4, (*world).runScript},
	{"max clients", 4, (*world).exhaustClients},
	{"full witness", 2, (*world).fullWitness},
	{"delete pod", 8, func(w *world, f fault) { w.onPod(f.a, func(p *pod) { p.terminate(30 * time.Second) }) }},
	{"lose node", 3, (*world).loseNode},
	{"freeze machine", 5, (*world).freezeMachine},
	{"machine dies", 4, (*world).killMachine},
	{"isolate machine", 4, (*world).isolateMachine},
	{"cut one way", 9, func(w *world, f fault) { w.sever(w.partyOf(f.a), w.partyOf(f.b), f.dur) }},
	{"cut", 9, func(w *world, f fault) { w.severBoth(w.partyOf(f.a), w.partyOf(f.b), f.dur) }},
	{"isolate", 6, func(w *world, f fault) { w.isolate(f.a, f.dur, nil) }},
	{
		"isolate with clients",
		4,
		func(w *world, f fault) { w.isolate(f.a, f.dur, func(p party) bool { return p == clients }) },
	},
	{"isolate twice", 4, (*world).isolateTwice},
	{"split", 5, (*world).split},
	{"API errors", 3, func(w *world, f fault) { w.api.failing = w.now + f.dur }},
	{"API without answers", 3, func(w *world, f fault) { w.api.mute = w.now + f.dur }},
	{"stale caches", 4, func(w *world, f fault) { w.api.slow = w.now + f.dur }},
	{"stalled watch", 4, (*world).stallWatch},
	{"crash at effect", 10, (*world).crashAtEffect},
	{"crash", 3, func(w *world, f fault) { w.leader().crash(f.dur) }},
	{"suspend operator", 5, func(w *world, f fault) { w.leader().suspend(f.dur) }},
	{"isolate operator", 3, func(w *world, f fault) { w.isolateParty(w.leader().party, f.dur, nil) }},
	{"request", 6, (*world).requestSwitchover},
	{"scale", 4, (*world).scale},
	{"pause", 2, (*world).pauseMode},
	{"cordon", 2, (*world).cordon},
	{"sick observer", 1, func(w *world, f fault) { w.sickTill = w.now + f.dur }},
	{"status set back", 3, (*world).setStatusBack},
	{"newer version", 3, (*world).newerVersion},
	{"relabel", 3, (*world).relabel},
	{"garbage", 3, (*world).answerGarbage},
	{"late volume", 3, (*world).volumeIsLate},
	{"promote by hand", 2, (*world).promoteByHand},
	{"follow by hand", 3, (*world).followByHand},
	{"follow a foreign master", 2, (*world).followForeignMaster},
}

// randomFaults draws the faults of a schedule, of the given kinds, or of all where none is given. They come in bursts:
// a corner is where two of them meet.
func randomFaults(r *rand.Rand, pods int, kinds []string) []fault {
	weight := func(kind string, usual int) int {
		if len(kinds) > 0 && !slices.Contains(kinds, kind) {
			return 0
		}
		return usual
	}
	total := 0
	for _, k := range faultKinds {
		total += weight(k.kind, k.weight)
	}
	var faults []fault
	start := time.Duration(0)
	for range 1 + r.IntN(3) {
		start += time.Duration(r.IntN(pick(r, 4000, 4000, 4000, 25000))) * time.Millisecond
		for range 1 + r.IntN(4) {
			n := r.IntN(total)
			for _, k := range faultKinds {
				if n -= weight(k.kind, k.weight); n < 0 {
					faults = append(faults, randomFault(r, k.kind, pods, start+burst(r)))
					break
				}
			}
		}
	}
	return faults
}

// burst is when within a burst: anywhere in a few seconds, most of all at once.
func burst(r *rand.Rand) time.Duration {
	return time.Duration(
		r.Int64N(int64(pick(r, 5*time.Millisecond, 50*time.Millisecond, 500*time.Millisecond, 4*time.Second))),
	)
}

func randomFault(r *rand.Rand, kind string, pods int, at instant) fault {
	target := func() int {
		if r.IntN(2) == 0 {
			return theMaster
		}
		return r.IntN(pods)
	}
	f := fault{at: at, kind: kind, a: target(), b: target()}
	f.dur = time.Duration(
		r.Int64N(int64(pick(r, 50*time.Millisecond, 800*time.Millisecond, 5*time.Second, 12*time.Second))),
	) + 5*time.Millisecond
	switch kind {
	case "cut", "cut one way":
		f.b = pick(r, f.b, int(operatorA), int(operatorB), int(apiServer), int(clients), r.IntN(pods), r.IntN(pods))
		if r.IntN(5) == 0 {
			f.a, f.b = pick(r, int(operatorA), int(operatorB)), int(apiServer)
		}
		if kind == "cut one way" && r.IntN(2) == 0 {
			f.a, f.b = f.b, f.a
		}
	case "split":
		f.b = r.IntN(1 << parties)
	case "crash at effect":
		f.b = 1 + r.IntN(14)
	case "isolate twice":
		f.dur = max(f.dur, time.Second)
	case "kill", "kill all":
		f.dur = min(f.dur, 4*time.Second)
		if r.IntN(2) == 0 { // the container's start command has it back
			f.dur = time.Duration(10+r.IntN(50)) * time.Millisecond
		}
	}
	return f
}

func (w *world) strike(f fault) {
	for _, k := range faultKinds {
		if k.kind == f.kind {
			w.note("--- %s (%d, %d) for %s", f.kind, f.a, f.b, f.dur)
			w.checks.beforeFault(f)
			k.strike(w, f)
			w.busyTill = max(w.busyTill, w.now+f.dur)
		}
	}
}

// partyOf turns a fault's target into an end of the network.
func (w *world) partyOf(a int) party {
	if a == theMaster {
		if m := w.master(); m != nil {
			return m.slot
		}
		return 0
	}
	return party(a)
}

func (w *world) onPod(a int, do func(p *pod)) {
	p := w.podAt(a)
	if a == theMaster {
		p = w.master()
	}
	if p != nil {
		do(p)
	}
}

func (w *world) onServer(a int, do func(s *server)) {
	w.onPod(a, func(p *pod) {
		if p.server != nil && p.server.alive {
			do(p.server)
		}
	})
}

// leader is the operator that leads, or the one that would.
func (w *world) leader() *operator {
	for _, o := range w.operators {
		if o.alive && o.leading {
			return o
		}
	}
	return w.operators[0]
}

func (w *world) killAll(f fault) {
	for _, p := range append([]*pod(nil), w.pods...) {
		p.kill(w.between(10*time.Millisecond, f.dur))
	}
}

func (w *world) hang(f fault) {
	w.onServer(f.a, func(s *server) {
		if s.hung {
			return
		}
		w.note("%s: the process is stopped", s.pod.name)
		s.stop()
		w.after(f.dur, func() {
			if s.alive && s.hung {
				w.note("%s: the process goes on", s.pod.name)
				s.resume()
			}
		})
	})
}

// runScript keeps a process busy with a script that takes long.
func (w *world) runScript(f fault) {
	w.onServer(f.a, func(s *server) {
		if s.hung || s.loading() {
			return
		}
		w.hang(f)
		w.note("%s: that is a script; it answers BUSY", s.pod.name)
		s.busy = true
	})
}

// exhaustClients has a process turn new connections away, and cuts those that it has half of the time, as one slow
// answer may.
func (w *world) exhaustClients(f fault) {
	w.onServer(f.a, func(s *server) { s.turnAway(f.dur, f.b%2 == 0) })
}

// turnAway has a process take no new connection for a while, and lose those that operators have to it.
func (s *server) turnAway(d time.Duration, cut bool) {
	s.pod.fullTill = max(s.pod.fullTill, s.w.now+d)
	if !cut {
		return
	}
	for _, c := range s.conns {
		c.serverEnded()
	}
	s.conns = nil
}

// fullWitness cuts the master off, together with clients and with a replica that is in reach of the operators and turns
// them away.
func (w *world) fullWitness(f fault) {
	m, d := w.master(), max(f.dur, 12*time.Second)
	if m == nil {
		return
	}
	w.onServer((m.ordinal+1)%w.cfg.pods, func(s *server) {
		if s.pod == m || s.hung {
			return
		}
		s.turnAway(d, true)
		w.busyTill = max(w.busyTill, w.now+d)
		w.isolateParty(m.slot, d, func(p party) bool { return p == clients || p == s.pod.slot })
	})
}

// loseNode is a machine that is gone, and whose Node object is deleted a while later.
func (w *world) loseNode(f fault) {
	w.onPod(f.a, func(p *pod) {
		p.kill(time.Hour)
		w.after(f.dur, func() {
			if p.gone {
				return
			}
			p.nodeGone = true
			w.note("the node of %s is deleted", p.name)
			w.api.podsChanged()
			w.after(w.between(50*time.Millisecond, 2*time.Second), p.vanish)
		})
	})
}
