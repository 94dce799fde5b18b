// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// Table collects what came of runs, from any goroutine. Its zero value is empty.
type Table[R any] struct {
	mu   sync.Mutex
	runs []R
}

// Add adds what came of one run.
func (t *Table[R]) Add(run R) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs = append(t.runs, run)
}

// Runs returns all that were added, in their order.
func (t *Table[R]) Runs() []R {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.runs)
}

// Grouped yields the runs by name, the names in the order in which each of them came first.
func (t *Table[R]) Grouped(name func(R) string) iter.Seq2[string, []R] {
	var names []string
	groups := map[string][]R{}
	for _, run := range t.Runs() {
		n := name(run)
		if groups[n] == nil {
			names = append(names, n)
		}
		groups[n] = append(groups[n], run)
	}
	return func(yield func(string, []R) bool) {
		for _, n := range names {
			if !yield(n, groups[n]) {
				return
			}
		}
	}
}

// Aligned lays out lines of cells in columns.
func Aligned(lines [][]string) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, cells := range lines {
		fmt.Fprintln(w, strings.Join(cells, "\t")+"\t")
	}
	w.Flush()
	return text.String()
}

// Counted says how many runs there were, and how many of them failed, if any did.
func Counted[R any](runs []R, failed func(R) bool) string {
	bad := 0
	for _, run := range runs {
		if failed(run) {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Sprintf("%d, %d FAILED", len(runs), bad)
	}
	return fmt.Sprint(len(runs))
}

// MedianAndWorst are the median, of an even number the greater of the two in the middle, and the greatest; false
// without values.
func MedianAndWorst[N cmp.Ordered](values []N) (median, worst N, known bool) {
	if len(values) == 0 {
		return median, worst, false
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2], sorted[len(sorted)-1], true
}

// Quantile is the value of the nearest rank, the least for 0 and the greatest for 1. Without values it is zero.
func Quantile[N cmp.Ordered](values []N, q float64) (value N) {
	if len(values) == 0 {
		return value
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// Rounded is a time as people read it: milliseconds below a second, hundredths of a second above.
func Rounded(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Millisecond)
}
