// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"slices"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// hangMaster stops the master's process for good and returns who is master down-after later. The one that hung comes
// back as another process, in a new pod, and is attached.
func (w *world) hangMaster() string {
	lost, ordinal := w.master(), w.node(w.master()).Ordinal
	w.hang(lost)
	w.sleep(4 * time.Second)
	w.run()
	if w.master() != lost {
		w.log = append(w.log, lost+" comes back")
		w.nodes = append(w.nodes, w.boot(ordinal))
		slices.SortFunc(w.nodes, func(a, b *failover.Node) int { return a.Ordinal - b.Ordinal })
		w.run()
		w.sleep(2 * time.Second)
		w.run()
	}
	return w.master()
}

func TestASecondHangRightAfterTheFirstIsReplacedJustAsFast(t *testing.T) {
	w := settled(t, 3)
	first := w.hangMaster()
	if first == "r-0" {
		t.Fatal("the first hang is not replaced")
	}
	if second := w.hangMaster(); second == first {
		t.Errorf("%s hangs and stays master: state %s, reason %s", first, w.progress.State, w.progress.Reason)
	}
}

func TestHangsHalfAMinuteApartAreEachReplaced(t *testing.T) {
	w := settled(t, 3)
	for hang := range 6 {
		lost := w.master()
		if w.hangMaster() == lost {
			t.Fatalf("hang %d: %s hangs and stays master: %s", hang, lost, w.progress.Reason)
		}
		w.sleep(29 * time.Second)
		w.run()
	}
}

func TestFailoversOnGuessesAreLimitedAndTheHoldIsAMinuteAtMost(t *testing.T) {
	w := settled(t, 3)
	for range SoftLimit {
		w.hangMaster()
	}
	lost := w.master()
	w.hang(lost)
	w.sleep(4 * time.Second)
	if d := w.run(); d.Reason != failover.ReasonCooldown || w.master() != lost {
		t.Fatalf("reason %s, master %s: one more failover on a guess within a minute", d.Reason, w.master())
	}
	w.sleep(SoftWindow)
	if w.run(); w.master() == lost {
		t.Error("the hold never ends")
	}
}

func TestAFactIsActedOnHoweverManyGuessesWereMadeBefore(t *testing.T) {
	w := settled(t, 3)
	for range SoftLimit {
		w.hangMaster()
	}
	lost := w.master()
	w.die(lost)
	w.each(func(n *failover.Node) {
		if n.Follows(w.node(lost).IP) {
			w.link(n, false, -1)
		}
	})
	if w.run(); w.master() == lost {
		t.Errorf("%s is dead and stays master: %s", lost, w.progress.Reason)
	}
}

func TestANodeThatWasGivenUpIsPassedOverWhileAnotherHasAsMuchData(t *testing.T) {
	for lag, want := range map[int64]string{0: "r-2", 500: "r-0"} { // no acknowledged write is given up for it
		w := settled(t, 3)
		w.write(1000, nil)
		if got := w.hangMaster(); got != "r-1" {
			t.Fatalf("%s is promoted first", got)
		}
		w.write(1000, map[string]int64{"r-2": lag})
		if got := w.hangMaster(); got != want {
			t.Errorf("with r-2 %d bytes behind, %s is promoted after r-0 was given up; want %s", lag, got, want)
		}
	}
}

func TestWhatAClockThatWasAheadHasWrittenHoldsNothingBack(t *testing.T) {
	w := settled(t, 3)
	ahead := w.now.Add(time.Hour)
	for range SoftLimit {
		w.progress.SoftFailovers = append(w.progress.SoftFailovers, failover.SoftFailover{Pod: "r-1", At: ahead})
	}
	w.progress.CooldownUntil = ahead
	if w.hangMaster() == "r-0" {
		t.Errorf("held back: %s", w.progress.Reason)
	}
	from := w.master()
	w.node(from).Cordoned = true
	if w.run(); w.master() == from {
		t.Errorf("the cordoned node is not left: %s", w.progress.Reason)
	}
}
