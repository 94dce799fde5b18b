// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"context"
	"errors"
	"testing"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
	clocktesting "k8s.io/utils/clock/testing"
)

// fakeLock is a resource lock whose writes take time and may fail.
type fakeLock struct {
	resourcelock.Interface
	clock *clocktesting.FakeClock
	takes time.Duration
	err   error
}

func (l *fakeLock) Identity() string { return "me" }
func (l *fakeLock) Update(context.Context, resourcelock.LeaderElectionRecord) error {
	l.clock.Step(l.takes)
	return l.err
}

func TestTheLeaseIsCountedFromBeforeItsRenewalWasSent(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Now())
	lock := &fakeLock{clock: clock, takes: 2 * time.Second}
	guard := NewGuard(lock, 6*time.Second, clock)
	mine := resourcelock.LeaderElectionRecord{HolderIdentity: "me"}
	if guard.Left() > 0 {
		t.Fatal("a lease that was never taken has time left")
	}
	if err := guard.Update(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	if got := guard.Left(); got != 4*time.Second {
		t.Errorf("%s left of 6 s after a renewal that took 2 s", got)
	}
	lock.err = errors.New("no answer")
	if err := guard.Update(t.Context(), mine); err == nil {
		t.Fatal("the error was swallowed")
	}
	if got := guard.Left(); got != 2*time.Second {
		t.Errorf("%s left after a renewal without an answer", got)
	}
	if err := guard.Update(t.Context(), resourcelock.LeaderElectionRecord{}); err == nil {
		t.Fatal("the error was swallowed")
	}
	if guard.Left() > 0 {
		t.Error("a lease that is being released has time left")
	}
}
