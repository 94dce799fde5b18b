// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
)

// schedule is a world and what goes wrong in it. It follows from its seed, unless it was shortened.
type schedule struct {
	seed   uint64
	cfg    config
	faults []fault
}

func scheduleOf(seed uint64, d *defect) schedule {
	r := rand.New(rand.NewPCG(seed, 0xFA017))
	cfg := randomConfig(r)
	return schedule{seed: seed, cfg: cfg, faults: randomFaults(r, cfg.pods, d.faults)}
}

// Bounds of a schedule in simulated time.
const (
	beginWithin    = 30 * time.Second // a set without faults has its first master by then
	convergeWithin = 90 * time.Second // after the last fault has healed
	settleFor      = 1500 * time.Millisecond
	personAfter    = 8 * time.Second // of being blocked, a person does what the message says
	lookEvery      = 100 * time.Millisecond
)

// outcome is what came of a schedule.
type outcome struct {
	violation *Violation
	timeline  []string
	stats     Stats
}

// play runs a schedule to its end.
func (s schedule) play(d *defect, tracing bool) outcome {
	w := newWorld(s.seed, s.cfg, d, tracing)
	defer w.close()
	w.play(s.faults)
	w.stats.Schedules, w.stats.Steps, w.stats.Faults = 1, int(w.steps), len(s.faults)
	w.stats.lostPlain = w.checks.lost
	return outcome{violation: w.checks.first, timeline: w.timeline, stats: w.stats}
}

func (w *world) violated() bool { return w.checks.first != nil }

func (w *world) play(faults []fault) {
	if !w.untilSettled(beginWithin) {
		w.checks.fail("convergence", "no first master: %s", w.settled())
		return
	}
	w.inject(faults)
	if !w.violated() && !w.untilSettled(convergeWithin) {
		w.checks.fail("convergence", "%s after everything was healed: %s", convergeWithin, w.settled())
	}
	if w.violated() {
		return
	}
	w.quiet = true
	w.run(w.now+settleFor, w.violated)
	if w.settled() != "" && !w.violated() && !w.untilSettled(convergeWithin) {
		w.checks.fail("convergence", "does not stay settled: %s", w.settled())
	}
	if !w.violated() {
		w.checks.onClientsAtEnd()
		w.checks.atEnd()
	}
}

// inject lets the faults strike, and all of them heal.
func (w *world) inject(faults []fault) {
	if w.cfg.priorityZero >= 0 {
		w.onServer(w.cfg.priorityZero, func(s *server) { s.priority = 0 })
		w.run(w.now+time.Second, w.violated)
	}
	begin := w.now
	healed := begin
	for _, f := range faults {
		w.at(begin+f.at, func() { w.strike(f) })
		healed = max(healed, begin+f.at+f.dur)
	}
	w.run(healed+50*time.Millisecond, w.violated)
	w.note("--- everything is healed")
	for _, s := range w.servers {
		if usual := w.cfg.priority(s.pod.ordinal); s.priority != usual {
			s.priority, s.priorityAt = usual, w.now
		}
	}
}

// untilSettled runs until the set is whole and has been for a while. A person does what a refusal asks for.
func (w *world) untilSettled(within time.Duration) bool {
	until := w.now + within
	blocked, fine := w.now, w.now
	for w.now < until && !w.violated() {
		next := w.now + lookEvery
		w.run(next, w.violated)
		w.now = max(w.now, next)
		if w.settled() != "" {
			fine = w.now
		} else if w.now-fine >= time.Second {
			return true
		}
		if !w.refused() {
			blocked = w.now
		} else if w.now-blocked > personAfter {
			blocked = w.now
			w.remedy()
		}
	}
	return false
}

// refused reports that the operator waits for a person.
func (w *world) refused() bool {
	p := w.api.now.progress
	if p.State == failover.StateBlocked {
		return true
	}
	return w.leader().last.Reason == failover.ReasonDivergentMaster
}

// remedy is what a person does about a refusal, accepting the loss that it names.
func (w *world) remedy() {
	if w.api.now.progress.State != failover.StateBlocked {
		for _, s := range w.servers {
			if s.role == failover.RoleMaster && s.pod != w.master() {
				w.stats.discards++
				w.api.ask(failover.VerbDiscard, s.pod.name)
				return
			}
		}
		return
	}
	servers := slices.Clone(w.servers)
	slices.SortStableFunc(servers, func(a, b *server) int {
		return cmp.Or(
			falseFirst(a.pod.ordinal >= w.api.now.policy.Replicas, b.pod.ordinal >= w.api.now.policy.Replicas),
			falseFirst(a.isForeign(), b.isForeign()),
			cmp.Compare(b.head.keyCount(), a.head.keyCount()),
		)
	})
	for _, s := range servers {
		if s.pod.terminating || s.loading() {
			continue
		}
		w.stats.forced++
		w.api.ask(failover.VerbForce, s.pod.name)
		return
	}
}

func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// shorten finds a schedule with fewer faults, and simpler ones, that breaks the same promise.
func (s schedule) shorten(d *defect, invariant string) schedule {
	breaks := func(c schedule) bool {
		v := c.play(d, false).violation
		return v != nil && v.Invariant == invariant
	}
	for again := true; again; {
		again = false
		for i := 0; i < len(s.faults); i++ {
			c := s
			c.faults = slices.Delete(slices.Clone(s.faults), i, i+1)
			if breaks(c) {
				s, again = c, true
				i--
			}
		}
	}
	return s
}

func (s *Stats) add(o Stats) {
	s.Schedules += o.Schedules
	s.Steps += o.Steps
	s.Faults += o.Faults
	s.Decisions += o.Decisions
	s.Switchovers += o.Switchovers
	s.Failovers += o.Failovers
	s.crashes += o.crashes
	s.takeovers += o.takeovers
	s.heirs += o.heirs
	s.acked += o.acked
	s.lostPlain += o.lostPlain
	s.forced += o.forced
	s.discards += o.discards
}
