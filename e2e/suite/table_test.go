// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/redisha/redisha/e2e/checks"
)

// row is what came of one run of a scenario.
type row struct {
	Scenario string `json:"scenario,omitempty"`
	// Gaps is the longest time without an acknowledged write after the fault, in milliseconds, by stream; zero when under
	// 50.
	Gaps         map[string]float64          `json:"gapsMs"`
	Availability float64                     `json:"availability"` // of the stream that had the least
	Acked        int64                       `json:"acked"`
	LostPlain    int64                       `json:"lostPlain"`
	LostWait     int64                       `json:"lostWait"`
	Errors       map[string]map[string]int64 `json:"errors"`
	Reason       string                      `json:"reason"` // as reported
	Failed       bool                        `json:"failed,omitempty"`
}

func (r row) String() string {
	return fmt.Sprintf(
		"%s | no write for %s through the Service, %s to the pod | %d acknowledged | lost %d plain, %d with WAIT 1 | %s",
		r.Scenario, gap(r.Gaps["service/plain"]), gap(r.Gaps["pods/plain"]), r.Acked, r.LostPlain, r.LostWait, r.Reason,
	)
}

// listed is from how many milliseconds on the client lists a gap.
const listed = 50

// gap says that a gap is too short to be listed, for it is not known to have been none.
func gap(milliseconds float64) string {
	if milliseconds == 0 {
		return fmt.Sprintf("<%dms", listed)
	}
	return checks.Rounded(time.Duration(milliseconds * float64(time.Millisecond))).String()
}

// table collects the rows of all runs.
type table struct{ checks.Table[row] }

// String has a line for each scenario; of several runs the median and the worst.
func (t *table) String() string {
	lines := [][]string{
		{
			"scenario",
			"runs",
			"no write for (Service)",
			"at worst",
			"(pod)",
			"at worst",
			"acknowledged",
			"lost",
			"lost, WAIT 1",
			"reason",
		},
	}
	for name, runs := range t.Grouped(func(r row) string { return r.Scenario }) {
		lines = append(lines, summary(name, runs))
	}
	if len(lines) == 1 {
		return ""
	}
	return "\n" + checks.Aligned(lines)
}

func summary(name string, runs []row) []string {
	var acked, plain, wait int64
	for _, r := range runs {
		acked, plain, wait = acked+r.Acked, plain+r.LostPlain, wait+r.LostWait
	}
	cells := []string{name, checks.Counted(runs, row.failed)}
	cells = append(cells, spread(gapsOf(runs, "service/plain"))...)
	cells = append(cells, spread(gapsOf(runs, "pods/plain"))...)
	return append(cells, fmt.Sprint(acked), fmt.Sprint(plain), fmt.Sprint(wait), runs[len(runs)-1].Reason)
}

func (r row) failed() bool { return r.Failed }

// spread is the median and the largest gap, a cell each.
func spread(gaps []float64) []string {
	median, worst, known := checks.MedianAndWorst(gaps)
	if !known {
		return []string{"", ""}
	}
	return []string{gap(median), gap(worst)}
}

// gapsOf are the gaps of a stream. A run that failed before its client could tell has none.
func gapsOf(runs []row, stream string) []float64 {
	var gaps []float64
	for _, r := range runs {
		if g, known := r.Gaps[stream]; known {
			gaps = append(gaps, g)
		}
	}
	return gaps
}

// saveRows writes what came of runs as JSON, for whoever wants to reckon with it.
func saveRows[R any](name string, rows []R) error {
	if len(rows) == 0 {
		return nil
	}
	text, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(artefacts(), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(artefacts(), name), text, 0o644)
}
