// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConsecutiveAcknowledgementsTakeOneSpan(t *testing.T) {
	l := newLedger(2, time.Hour)
	for _, number := range []int64{1, 2, 3, 5, 6, 9} {
		l.ack(1, number)
	}
	want := [][]span{nil, {{1, 3}, {5, 6}, {9, 9}}}
	if diff := cmp.Diff(want, l.copySpans(), cmp.AllowUnexported(span{})); diff != "" {
		t.Error(diff)
	}
}

// ledgerOf has acknowledgements at these instants after its beginning.
func ledgerOf(ats ...time.Duration) *ledger {
	l := newLedger(1, time.Hour)
	l.ring, l.acked = ats, int64(len(ats))
	return l
}

func TestTheLongestGapThatReachesIntoTheWindow(t *testing.T) {
	const s = time.Second
	tests := map[string]struct {
		acks     []time.Duration
		from, to time.Duration
		gap      [2]time.Duration
		open     bool
	}{
		"inside": {
			[]time.Duration{1 * s, 2 * s, 7 * s, 8 * s},
			1500 * time.Millisecond,
			8 * s,
			[2]time.Duration{2 * s, 7 * s},
			false,
		},
		"begins before": {[]time.Duration{1 * s, 5 * s, 6 * s}, 3 * s, 6 * s, [2]time.Duration{1 * s, 5 * s}, false},
		"ends after":    {[]time.Duration{1 * s, 2 * s, 9 * s}, 1 * s, 4 * s, [2]time.Duration{2 * s, 9 * s}, false},
		"a longer one outside": {
			[]time.Duration{1 * s, 9 * s, 10 * s, 12 * s, 30 * s},
			9500 * time.Millisecond,
			11 * s,
			[2]time.Duration{10 * s, 12 * s},
			false,
		},
		"no end yet": {[]time.Duration{1 * s, 2 * s}, 1 * s, 9 * s, [2]time.Duration{2 * s, 9 * s}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := ledgerOf(test.acks...)
			got := l.gap(l.begin.Add(test.from), l.begin.Add(test.to))
			want := Gap{From: l.begin.Add(test.gap[0]), To: l.begin.Add(test.gap[1]), Open: test.open}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNothingAcknowledgedIsNoGap(t *testing.T) {
	l := ledgerOf()
	if got := l.gap(l.begin, l.begin.Add(time.Second)); got != (Gap{}) {
		t.Errorf("gap %v", got)
	}
}

func TestOldAcknowledgementsGiveWayToNewOnes(t *testing.T) {
	l := newLedger(1, time.Hour)
	for number := range int64(ringSize + 10) {
		l.ack(0, number)
	}
	if len(l.ring) != ringSize {
		t.Errorf("%d acknowledgements remembered, want %d", len(l.ring), ringSize)
	}
	for i := 1; i < ringSize; i++ {
		if l.at(i) < l.at(i-1) {
			t.Fatalf("acknowledgement %d is older than the one before", i)
		}
	}
	if _, ok := l.firstAck(l.begin.Add(l.last)); ok {
		t.Error("there is an acknowledgement after the last one")
	}
}

func TestTheListOfGapsIsBounded(t *testing.T) {
	l := newLedger(1, 0)
	for number := range int64(maxGaps + 11) {
		l.ack(0, number)
	}
	if len(l.gaps) != maxGaps || l.gapsMore != 10 {
		t.Errorf("%d gaps and %d more, want %d and 10", len(l.gaps), l.gapsMore, maxGaps)
	}
}
