// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"time"
)

// machineOf is the name of the machine that a pod runs on. A pod that is made anew comes back to the machine of the one
// before.
func (w *world) machineOf(p *pod) string {
	return fmt.Sprintf("m-%d", w.cfg.machines[p.ordinal%maxPods])
}

// onMachine lists the pods that share the machine of the pod that a fault names.
func (w *world) onMachine(a int) (pods []*pod) {
	w.onPod(a, func(p *pod) {
		for _, o := range w.pods {
			if w.machineOf(o) == w.machineOf(p) {
				pods = append(pods, o)
			}
		}
	})
	return pods
}

// freezeMachine stops every process of a machine, as a paused guest does.
func (w *world) freezeMachine(f fault) {
	for _, p := range w.onMachine(f.a) {
		w.hang(fault{a: p.ordinal, dur: f.dur})
	}
}

// killMachine is a machine that loses its power, and comes back.
func (w *world) killMachine(f fault) {
	for _, p := range w.onMachine(f.a) {
		p.vanishSilently(max(f.dur, time.Second))
	}
}

// isolateMachine cuts a machine off; half the time clients are cut off with it.
func (w *world) isolateMachine(f fault) {
	pods := w.onMachine(f.a)
	inside := map[party]bool{}
	for _, p := range pods {
		inside[p.slot] = true
	}
	if f.b%2 == 0 {
		inside[clients] = true
	}
	for _, p := range pods {
		w.isolateParty(p.slot, f.dur, func(to party) bool { return inside[to] })
	}
}

// vanishSilently takes a process away without a word, neither to the kubelet nor on its connections, and starts another
// one later.
func (p *pod) vanishSilently(d time.Duration) {
	w := p.w
	for to := range parties {
		if to != p.slot {
			w.severBoth(p.slot, to, d)
		}
	}
	p.kill(d)
}

// fittingGuard is the min-replicas-to-write of a master whose pods are all attached.
func (w *world) fittingGuard(m *pod) int {
	beside, elsewhere := 0, 0
	for _, p := range w.pods {
		switch {
		case p == m:
		case w.machineOf(p) == w.machineOf(m):
			beside++
		default:
			elsewhere++
		}
	}
	if elsewhere == 0 {
		return 1
	}
	return 1 + beside
}
