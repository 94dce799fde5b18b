// SPDX-License-Identifier: Apache-2.0

package maintenance

import (
	"fmt"
	"time"
	_ "time/tzdata" // the operator's image has no files but the operator

	"github.com/robfig/cron/v3"

	"github.com/redisha/redisha/api/v1alpha1"
)

// State is what the windows of a RedisHA say at an instant.
type State struct {
	// Closed: there are windows, and none of them is open, or one of them cannot be read.
	Closed bool
	// Opens is when the next one begins. It is zero while one is open, and when one cannot be read.
	Opens time.Time
	// Turns is after how long Closed may be another; zero when only another spec changes it.
	Turns time.Duration
}

// At reads the windows at an instant. The error names the field that cannot be used; the windows are closed then.
func At(windows []v1alpha1.MaintenanceWindow, now time.Time) (State, error) {
	state := State{Closed: len(windows) > 0}
	for i := range windows {
		begins, err := firstOf(&windows[i], now)
		if err != nil {
			return State{Closed: true}, fmt.Errorf("spec.maintenanceWindows[%d].%w", i, err)
		}
		turns := begins
		if begins.After(now) {
			state.Opens = sooner(state.Opens, begins)
		} else {
			state.Closed = false
			turns = begins.Add(lengthOf(&windows[i]))
		}
		if left := turns.Sub(now); state.Turns == 0 || left < state.Turns {
			state.Turns = left
		}
	}
	if !state.Closed {
		state.Opens = time.Time{}
	}
	return state, nil
}

func lengthOf(w *v1alpha1.MaintenanceWindow) time.Duration {
	return time.Duration(w.DurationMinutes) * time.Minute
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// fields are those of a schedule. Names like @daily are left out: @every counts from when it is asked.
var fields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// firstOf is when the first window begins that is not over: the one that is open, or else the next.
func firstOf(w *v1alpha1.MaintenanceWindow, now time.Time) (time.Time, error) {
	schedule, err := fields.Parse(w.Schedule)
	if err != nil {
		return time.Time{}, fmt.Errorf("schedule: %w", err)
	}
	zone, err := time.LoadLocation(w.TimeZone)
	if err != nil {
		return time.Time{}, fmt.Errorf("timeZone: %w", err)
	}
	begins := after(schedule, zone, now.Add(-lengthOf(w)))
	if begins.IsZero() {
		return begins, fmt.Errorf("schedule: %q never comes", w.Schedule)
	}
	return begins, nil
}

// longestJump is longer than any zone puts its clock forward by.
const longestJump = 3 * time.Hour

// after is the first beginning after an instant; zero when there is none in the next five years. The schedule by itself
// leaves out what the clock is put forward over, and half of the world does that on Sundays at two: a weekly window
// would not come for two weeks. So it is asked for what the clock would show, too, and Go makes an instant of that.
func after(schedule cron.Schedule, zone *time.Location, instant time.Time) time.Time {
	next := schedule.Next(instant.In(zone))
	shown := readIn(time.UTC, instant.In(zone)).Add(-longestJump)
	for {
		if shown = schedule.Next(shown); shown.IsZero() {
			return next
		}
		if at := readIn(zone, shown); at.After(instant) {
			return sooner(next, at)
		}
	}
}

// readIn is when a clock of a zone shows what t says; where no clock there does, as much later as it jumps.
func readIn(zone *time.Location, t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), zone)
}
