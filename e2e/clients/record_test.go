// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func note(r *Record, lines ...string) {
	for _, line := range lines {
		r.Note(line)
	}
}

func at(ms int64) time.Time { return time.UnixMilli(ms) }

func TestTheGapIsTheLongestOfTheLaneThatWaitedLongest(t *testing.T) {
	const ms = time.Millisecond
	tests := map[string]struct {
		lanes    int64
		lines    []string
		from, to int64
		want     time.Duration
	}{
		"between two answers":     {1, []string{"A 1000 0", "A 1010 1", "A 1500 2", "A 1510 3"}, 1200, 2000, 490 * ms},
		"begins before the fault": {1, []string{"A 1000 0", "A 1500 1", "A 1990 2"}, 1200, 2000, 500 * ms},
		"a longer one earlier":    {1, []string{"A 1000 0", "A 9000 1", "A 9010 2", "A 9050 3"}, 9005, 9060, 40 * ms},
		"no answer any more":      {1, []string{"A 1000 0", "A 1010 1"}, 1200, 8000, 6990 * ms},
		"no answer at all":        {1, nil, 1000, 3000, 2000 * ms},
		"one of two goroutines": {
			2,
			[]string{"A 1000 0", "A 1000 1", "A 1010 2", "A 1020 4", "A 1900 3", "A 1990 6"},
			1005,
			2000,
			970 * ms,
		},
		"an answer after the window": {1, []string{"A 1000 0", "A 9000 1"}, 1200, 2000, 1000 * ms},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := NewRecord(Library{Role: Writer, Lanes: tt.lanes})
			note(r, tt.lines...)
			if got := r.Gap(at(tt.from), at(tt.to)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestWhatArrivesOrWhatIsAcknowledgedCountsForTheGap(t *testing.T) {
	for arrivals, want := range map[bool]time.Duration{false: 100 * time.Millisecond, true: 700 * time.Millisecond} {
		r := NewRecord(Library{Role: Queue, Lanes: 1, Arrivals: arrivals})
		note(
			r, "A 1000 0", "D 1000 0", "A 1100 1", "A 1200 2", "A 1300 3", "D 1700 1", "A 1400 4", "A 1500 5", "A 1600 6",
			"A 1700 7",
		)
		if got := r.Gap(at(1000), at(1700)); got != want {
			t.Errorf("arrivals %t: %s, want %s", arrivals, got, want)
		}
	}
}

func TestOneSilentLaneIsSilence(t *testing.T) {
	writer := NewRecord(Library{Role: Writer, Lanes: 2})
	note(writer, "A 1000 0", "A 1000 1", "A 5000 2")
	queue := NewRecord(Library{Role: Queue, Lanes: 1})
	note(queue, "A 1000 0", "D 1000 0", "A 5000 1")
	for name, r := range map[string]*Record{"one of two goroutines": writer, "jobs are accepted and not run": queue} {
		if !r.Silent(at(4000)) {
			t.Errorf("%s: not silent", name)
		}
		if r.Silent(at(1000)) {
			t.Errorf("%s: silent since before its last answers", name)
		}
	}
	if !NewRecord(Library{Role: Writer, Lanes: 1}).Silent(at(0)) {
		t.Error("what never answered is not silent")
	}
}

func TestAnAcceptedJobIsOutstandingUntilItHasRun(t *testing.T) {
	r := NewRecord(Library{Role: Queue, Lanes: 1})
	note(r, "A 1000 0", "A 1010 1", "D 1011 1", "D 1019 2", "A 1020 2", "A 1030 3", "D 1031 1")
	if got := slices.Sorted(maps.Keys(r.Accepted())); !slices.Equal(got, []int64{0, 3}) {
		t.Errorf("outstanding are %v", got)
	}
	a := &Application{Library: Library{Role: Queue}, Record: r}
	if n := a.Outstanding(1000, 1030); n != 1 {
		t.Errorf("%d of those accepted in the first 30 ms are outstanding, want 1", n)
	}
}

func TestErrorsAreCountedWithoutWhatDiffers(t *testing.T) {
	r := NewRecord(Library{Role: Writer, Lanes: 1})
	note(r,
		"E 1000 1 dial tcp 198.19.2.39:6379: connect: connection refused",
		"E 1005 2 dial tcp 198.19.2.40:6379: connect: connection refused",
		"E 1010 3 READONLY You can't write against a read only replica.",
		"E 1015 4",
	)
	want := map[string]int64{"dial tcp connect: connection refused": 2, "READONLY You can't write against a": 1, "": 1}
	if diff := cmp.Diff(want, r.Errors()); diff != "" {
		t.Error(diff)
	}
}

func TestANewRoundForgetsAllButTheLastAnswersAndWhatIsNotLookedUp(t *testing.T) {
	r := NewRecord(Library{Role: Writer, Lanes: 1})
	note(r, "A 1000 0", "A 3000 1", "E 3001 2 EOF")
	r.Begin()
	note(r, "A 3100 3")
	if got := r.Gap(at(3050), at(3100)); got != 100*time.Millisecond {
		t.Errorf("the gap is %s, want it to begin at the last answer before", got)
	}
	if len(r.Errors()) != 0 || r.Acked() != 1 || len(r.Accepted()) != 3 {
		t.Errorf("%v errors, %d acknowledged, %v to look up", r.Errors(), r.Acked(), r.Accepted())
	}
}

func TestAProgramInThePlaceOfAnotherUsesNumbersOfItsOwn(t *testing.T) {
	r := NewRecord(Library{Role: Writer, Lanes: 16})
	note(r, "A 1000 16017", "E 1001 16033 EOF", "what the interpreter says when it ends")
	if n := r.start(); n <= 16033+16 || n%16 != 0 {
		t.Errorf("it begins with %d", n)
	}
	if r.lastWords() != "what the interpreter says when it ends" {
		t.Errorf("last words: %q", r.lastWords())
	}
}
