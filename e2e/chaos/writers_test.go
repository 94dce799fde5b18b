// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/redisha/redisha/redisclient"
)

func startWriters(t *testing.T, options Options) *Writers {
	t.Helper()
	w := Start(options)
	t.Cleanup(w.Stop)
	return w
}

func waitAcks(t *testing.T, w *Writers, n int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for want := w.Acked() + n; w.Acked() < want; {
		if _, err := w.WaitAck(ctx, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

func newMaster(t *testing.T) *miniredis.Miniredis {
	t.Helper()
	m := miniredis.RunT(t)
	registerRole(t, m, "master")
	return m
}

func TestEveryAcknowledgedWriteIsFoundOnAHealthyMaster(t *testing.T) {
	m := newMaster(t)
	w := startWriters(t, Options{Finder: Fixed(m.Addr())})
	waitAcks(t, w, 200)
	w.Stop()
	loss, err := w.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if loss.Acked != w.Acked() || loss.Lost != 0 {
		t.Errorf("verified %+v, want %d acknowledged and none lost", loss, w.Acked())
	}
	if len(m.Keys()) < int(loss.Acked) {
		t.Errorf("the master has %d keys for %d acknowledged writes", len(m.Keys()), loss.Acked)
	}
}

func TestAnAcknowledgedWriteThatIsGoneCountsAsLost(t *testing.T) {
	m := newMaster(t)
	w := startWriters(t, Options{Finder: Fixed(m.Addr())})
	waitAcks(t, w, 50)
	w.Stop()
	m.Del("w0:1")
	if err := m.Set("w1:2", "a value of an earlier run"); err != nil {
		t.Fatal(err)
	}
	loss, err := w.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if loss.Lost != 2 || loss.Foreign != 1 || !slices.Equal(loss.Examples, []string{"w0:1", "w1:2"}) {
		t.Errorf("verified %+v, want w0:1 and w1:2 lost, one of them foreign", loss)
	}
}

func TestAReplicaIsNoWitnessForTheMaster(t *testing.T) {
	m := miniredis.RunT(t)
	registerRole(t, m, "slave")
	w := startWriters(t, Options{Finder: Fixed(m.Addr())})
	waitAcks(t, w, 1)
	if loss, err := w.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "replica") {
		t.Errorf("verified %+v, %v at a replica, want an error that says so", loss, err)
	}
}

func TestAnOutageIsAGapFromTheLastAcknowledgementBeforeToTheFirstAfter(t *testing.T) {
	m := newMaster(t)
	w := startWriters(t, Options{Finder: Fixed(m.Addr())})
	waitAcks(t, w, 20)
	down := time.Now()
	m.Close()
	time.Sleep(300 * time.Millisecond)
	up := time.Now()
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	waitAcks(t, w, 20)
	gap := w.Gap(down, time.Now())
	first, err := w.WaitAck(t.Context(), up)
	if err != nil {
		t.Fatal(err)
	}
	if gap.Open || gap.Length() < 300*time.Millisecond || !gap.To.Equal(first) {
		t.Errorf("gap %v of %v, want at least 300ms until %v", gap, gap.Length(), first)
	}
	if listed, more := w.Gaps(); !slices.Contains(listed, gap) || more != 0 {
		t.Errorf("gaps %v and %d more, want %v among them", listed, more, gap)
	}
	if w.Failed()[redisclient.ClassRefused.String()] == 0 {
		t.Errorf("errors: %s; want refused connections", w.Errors())
	}
	for writer, longest := range w.LongestByWriter() {
		if longest.Length() < 300*time.Millisecond || longest.Open {
			t.Errorf("writer %d saw no longer gap than %v", writer, longest)
		}
	}
}

func TestAGapThatHasNotEndedIsOpen(t *testing.T) {
	m := newMaster(t)
	w := startWriters(t, Options{Finder: Fixed(m.Addr())})
	waitAcks(t, w, 20)
	down := time.Now()
	m.Close()
	time.Sleep(50 * time.Millisecond)
	if gap := w.Gap(down, time.Now()); !gap.Open || gap.Length() < 50*time.Millisecond {
		t.Errorf("gap %v, want an open one of 50ms and more", gap)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := w.WaitAck(ctx, time.Now()); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("waiting for a write says %v, want the writers' errors in it", err)
	}
	w.Stop()
	for writer, longest := range w.LongestByWriter() {
		if !longest.Open || longest.Length() < 50*time.Millisecond {
			t.Errorf("writer %d was without for %v, want an open gap of 50ms and more", writer, longest)
		}
	}
}

func TestAWriterThatIsToldLeavesAHungMasterAtOnce(t *testing.T) {
	hung, alive := newMaster(t), newMaster(t)
	finder := &movable{}
	finder.move(hung.Addr())
	release := make(chan struct{})
	defer close(release)
	hang(hung, release)
	w := startWriters(t, Options{Finder: finder, Timeout: time.Minute})
	time.Sleep(50 * time.Millisecond)
	if n := w.Acked(); n != 0 {
		t.Fatalf("a hung master acknowledged %d writes", n)
	}
	finder.move(alive.Addr())
	waitAcks(t, w, 20)
}
