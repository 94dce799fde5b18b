// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"
	"strings"
	"testing"
	"time"
)

type run struct {
	name string
	gap  int
	bad  bool
}

func TestRunsAreGroupedInTheOrderInWhichTheirNamesCame(t *testing.T) {
	var table Table[run]
	for _, r := range []run{{"killed", 3, false}, {"deleted", 1, true}, {"killed", 9, false}, {"killed", 4, false}} {
		table.Add(r)
	}
	var got []string
	for name, runs := range table.Grouped(func(r run) string { return r.name }) {
		var gaps []int
		for _, r := range runs {
			gaps = append(gaps, r.gap)
		}
		median, worst, known := MedianAndWorst(gaps)
		if !known || worst != slices.Max(gaps) || !slices.Contains(gaps, median) {
			t.Errorf("%s: median %d, worst %d of %v", name, median, worst, gaps)
		}
		got = append(got, name+" "+Counted(runs, func(r run) bool { return r.bad }))
	}
	if want := []string{"killed 3", "deleted 1, 1 FAILED"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if len(table.Runs()) != 4 {
		t.Errorf("%d runs, want 4", len(table.Runs()))
	}
}

func TestTheMedianOfAnEvenNumberIsTheGreaterInTheMiddle(t *testing.T) {
	given := []int{40, 10, 30, 20}
	if median, worst, known := MedianAndWorst(given); median != 30 || worst != 40 || !known {
		t.Errorf("%d, %d, %t", median, worst, known)
	}
	if given[0] != 40 {
		t.Error("the values were put in order in place")
	}
	if _, _, known := MedianAndWorst([]int{}); known {
		t.Error("nothing has a median")
	}
}

func TestQuantilesAreOfTheNearestRank(t *testing.T) {
	var given []int
	for n := 30; n >= 1; n-- {
		given = append(given, n)
	}
	for q, want := range map[float64]int{0: 1, 0.5: 15, 0.9: 27, 0.95: 29, 0.99: 30, 1: 30} {
		if got := Quantile(given, q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if given[0] != 30 {
		t.Error("the values were put in order in place")
	}
	if got := Quantile([]int{}, 0.5); got != 0 {
		t.Errorf("of nothing it is %d", got)
	}
}

func TestColumnsAreAligned(t *testing.T) {
	lines := strings.Split(Aligned([][]string{{"a", "runs"}, {"a long name", "3"}}), "\n")
	if strings.Index(lines[0], "runs") != strings.Index(lines[1], "3") {
		t.Errorf("%q", lines)
	}
}

func TestShortTimesKeepTheirMilliseconds(t *testing.T) {
	for given, want := range map[time.Duration]string{123456 * time.Microsecond: "123ms", 1234567 * time.Microsecond: "1.23s"} {
		if got := Rounded(given).String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
