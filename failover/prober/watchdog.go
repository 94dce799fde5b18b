// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"context"
	"sync"
	"time"
)

// beat is the time between two signs of life of the process.
const beat = 200 * time.Millisecond

// watchdog notices that the process itself stood still: it was paused, throttled, starved. Then no pod was asked, and
// no silence counts. A single loop that is late does not show that: its goroutine waited for a turn on a connection,
// say.
type watchdog struct {
	opts Options
	void func(now time.Time)

	// held from noticing a standstill until the silences are void, so that nothing is decided in between; taken first
	mu  sync.Mutex
	due time.Time // by when the process is to be heard of next
}

func newWatchdog(opts Options, void func(time.Time)) *watchdog {
	return &watchdog{opts: opts, void: void, due: opts.Clock.Now().Add(beat)}
}

// run beats until ctx ends.
func (d *watchdog) run(ctx context.Context) {
	for {
		timer := d.opts.Clock.NewTimer(beat)
		select {
		case <-timer.C():
			d.look(d.opts.Clock.Now())
			d.beaten()
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// look voids every silence if the process stood still until now.
func (d *watchdog) look(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.Sub(d.due) > d.opts.tolerated() {
		d.void(now)
		d.due = now.Add(beat)
	}
}

func (d *watchdog) beaten() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.due = d.opts.Clock.Now().Add(beat)
}
