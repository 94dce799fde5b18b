// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"time"

	"github.com/redisha/redisha/failover"
)

// This file says how long is too long. A master that has been silent for down-after is suspected (Unreachable). It is
// given up after givenUpAfter, which is down-after, and more where it may be isolated. A replica is heard as a witness
// by what it has heard within heardWithin.

// Unreachable reports whether the master is suspected: silent for down-after, or refusing
// connections. (ContactRefused without down links is what a filter between us looks like.)
func (v View) Unreachable() bool {
	switch v.Master.Contact {
	case failover.ContactSilent, failover.ContactNone, failover.ContactBusy, failover.ContactFull, failover.ContactErring:
		return v.Master.SilentFor(v.now) >= v.Policy.DownAfter
	case failover.ContactRefused:
		return v.now.Sub(v.Master.ContactSince) >= RefusedSettles
	case failover.ContactAnswering, failover.ContactDenied:
		return false
	}
	return false
}

// RefusedSettles is how long a refusal may stand without a witness before it is called a
// suspicion: a replica notices the broken link a few milliseconds after us.
const RefusedSettles = 500 * time.Millisecond

// heardWithin is how fresh what a replica has heard of the master must be for it to say that the master lives, and how
// old for it to agree that the master is silent. A master that is idle pings its replicas once a second.
func (v View) heardWithin() time.Duration { return max(v.Policy.DownAfter, pingSlack) }

// givenUpAfter is how long the master must have been silent before it is given up. One that may be isolated has to have
// stopped accepting writes by then: its write guard takes that long.
func (v View) givenUpAfter() time.Duration {
	after := v.Policy.DownAfter
	if v.mayBeIsolated() {
		after = max(after, min(after+IsolationMargin, failover.GuardMaxLag+2*time.Second))
	}
	return after
}

// mayBeIsolated reports a silent master that may accept writes for all that is known: its machine does not answer
// either, so that it may be cut off together with clients. That a connection to it was made a moment ago shows that its
// process hangs.
func (v View) mayBeIsolated() bool {
	since := v.now.Sub(v.Master.ConnectedAt)
	return v.Master.ConnectedAt.IsZero() || since > connectFresh || !v.Master.ConnectedAt.After(v.Master.LastAnswer)
}
