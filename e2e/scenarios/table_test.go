// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"fmt"
	"time"

	"github.com/redisha/redisha/e2e/checks"
)

// row is what came of one run of a scenario.
type row struct {
	scenario string
	gap      time.Duration // longest time without an acknowledged write
	acked    int64
	lost     int64
	reason   string // as reported
	failed   bool
}

func (r row) String() string {
	return fmt.Sprintf(
		"%s | no write for %s | %d acknowledged | %d lost | %s", r.scenario, checks.Rounded(r.gap), r.acked, r.lost,
		r.reason,
	)
}

// table collects the rows of all runs.
type table struct{ checks.Table[row] }

// String has a line for each scenario; of several runs the median and the worst.
func (t *table) String() string {
	lines := [][]string{{"scenario", "runs", "no write for", "at worst", "acknowledged", "lost", "reason"}}
	for name, runs := range t.Grouped(func(r row) string { return r.scenario }) {
		lines = append(lines, summary(name, runs))
	}
	return "\n" + checks.Aligned(lines)
}

func summary(name string, runs []row) []string {
	var acked, lost int64
	gaps := make([]time.Duration, 0, len(runs))
	for _, r := range runs {
		acked, lost, gaps = acked+r.acked, lost+r.lost, append(gaps, r.gap)
	}
	median, worst, _ := checks.MedianAndWorst(gaps)
	return []string{
		name,
		checks.Counted(runs, func(r row) bool { return r.failed }),
		checks.Rounded(median).String(),
		checks.Rounded(worst).String(),
		fmt.Sprint(acked),
		fmt.Sprint(lost),
		runs[len(runs)-1].reason,
	}
}
