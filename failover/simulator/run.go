// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Finding is a schedule that broke a promise, as short as it could be made.
type Finding struct {
	Seed      uint64
	Violation Violation
	Schedule  string   // the world and its faults
	Timeline  []string // of the shortened schedule
}

// Write tells a person what happened.
func (f Finding) Write(out io.Writer) {
	fmt.Fprintf(out, "\nseed %d: %s\n\n%s\n%s\n", f.Seed, f.Violation, f.Schedule, strings.Join(f.Timeline, "\n"))
}

// Run plays schedules with the seeds from seed on, on as many cores as workers, until one breaks a promise or all are
// played. The result depends on the seeds only. If played is not nil, it is called after each schedule, by any of the
// workers.
func Run(seed uint64, schedules, workers int, played func()) (Stats, *Finding) {
	stats, bad := search(seed, schedules, workers, noDefect, played)
	if bad == nil {
		return stats, nil
	}
	return stats, explain(*bad, noDefect)
}

// hunt is Run with a defect, and without the story.
func hunt(seed uint64, schedules, workers int, d *defect) (Stats, *Violation) {
	stats, bad := search(seed, schedules, workers, d, nil)
	if bad == nil {
		return stats, nil
	}
	return stats, scheduleOf(*bad, d).play(d, false).violation
}

// Tell writes what happens in the schedules with the seeds from seed on, one after the other. The text depends on the
// seeds and on the core only, so two versions of the core that decide the same write the same.
func Tell(seed uint64, schedules int, out io.Writer) error {
	for i := range uint64(max(schedules, 0)) {
		s := scheduleOf(seed+i, noDefect)
		o := s.play(noDefect, true)
		if _, err := fmt.Fprintf(
			out, "seed %d: %s\n%s\n%s\n", s.seed, o.stats, s.describe(), strings.Join(o.timeline, "\n"),
		); err != nil {
			return fmt.Errorf("writing what happens with seed %d: %w", s.seed, err)
		}
	}
	return nil
}

// search returns the lowest seed whose schedule breaks a promise.
func search(seed uint64, schedules, workers int, d *defect, played func()) (Stats, *uint64) {
	if played == nil {
		played = func() {}
	}
	var (
		mu    sync.Mutex
		total Stats
		next  atomic.Int64
		bad   []uint64
		stop  atomic.Int64
		group sync.WaitGroup
	)
	stop.Store(int64(schedules))
	for range max(1, workers) {
		group.Go(func() {
			var sum Stats
			for i := next.Add(1) - 1; i < stop.Load(); i = next.Add(1) - 1 {
				out := scheduleOf(seed+uint64(i), d).play(d, false)
				sum.add(out.stats)
				played()
				if out.violation != nil {
					mu.Lock()
					bad = append(bad, seed+uint64(i))
					stop.Store(min(stop.Load(), i))
					mu.Unlock()
				}
			}
			mu.Lock()
			total.add(sum)
			mu.Unlock()
		})
	}
	group.Wait()
	if len(bad) == 0 {
		return total, nil
	}
	least := slices.Min(bad)
	return total, &least
}

// explain shortens a schedule that is known to break a promise, and tells its story.
func explain(seed uint64, d *defect) *Finding {
	s := scheduleOf(seed, d)
	first := s.play(d, false)
	s = s.shorten(d, first.violation.Invariant)
	out := s.play(d, true)
	return &Finding{Seed: seed, Violation: *out.violation, Schedule: s.describe(), Timeline: out.timeline}
}

func (s schedule) describe() string {
	var b strings.Builder
	c := s.cfg
	fmt.Fprintf(
		&b, "%d pods, %s, consistency %s, down-after %s, full sync up to %s, lag up to %s", c.pods, c.disks, c.consistency,
		c.downAfter, c.syncing, c.lag,
	)
	if c.laggard >= 0 {
		fmt.Fprintf(&b, ", r-%d lags by %s", c.laggard, c.laggardBy)
	}
	if c.priorityZero >= 0 {
		fmt.Fprintf(&b, ", r-%d has priority 0", c.priorityZero)
	}
	if c.preferred >= 0 {
		fmt.Fprintf(&b, ", r-%d is preferred", c.preferred)
	}
	if c.crashAfter != "" {
		fmt.Fprintf(&b, ", an operator dies after it has persisted %s", c.crashAfter)
	}
	b.WriteString("\n")
	for _, f := range s.faults {
		fmt.Fprintf(&b, "  %s\n", f)
	}
	return b.String()
}

// String sums up, for people.
func (s Stats) String() string {
	return fmt.Sprintf(
		"%d schedules, %d steps, %d decisions, %d faults injected, %d failovers, %d switchovers, %d operator crashes, %d "+
			"takeovers (%d from the dead), "+
			"%d writes acknowledged, %d lost with a failover, %d requests of a person to force or discard",
		s.Schedules,
		s.Steps,
		s.Decisions,
		s.Faults,
		s.Failovers,
		s.Switchovers,
		s.crashes,
		s.takeovers,
		s.heirs,
		s.acked,
		s.lostPlain,
		s.forced+s.discards,
	)
}
