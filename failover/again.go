// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"cmp"
	"fmt"
	"time"
)

// Again is when to decide again. The zero value is OnEvent.
type Again struct {
	timed bool
	after time.Duration
}

// OnEvent is when something new is observed, and not before.
func OnEvent() Again { return Again{} }

// Now is at once, whether or not anything new is observed.
func Now() Again { return Again{timed: true} }

// After is when d has passed, or before if something new is observed.
func After(d time.Duration) Again { return Again{timed: true, after: max(d, 0)} }

// Sooner returns the earlier one of a and b.
func (a Again) Sooner(b Again) Again {
	if !a.timed || b.timed && cmp.Less(b.after, a.after) {
		return b
	}
	return a
}

// Wait returns how long to wait; timed is false when an event is to be waited for, however long that takes.
func (a Again) Wait() (wait time.Duration, timed bool) { return a.after, a.timed }

// String says when in words.
func (a Again) String() string {
	switch {
	case !a.timed:
		return "on an event"
	case a.after == 0:
		return "now"
	}
	return fmt.Sprintf("after %s", a.after)
}
