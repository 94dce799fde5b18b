package suite

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// row is what came of one run of a scenario.
type row struct {
	Scenario string `json:"scenario"`
	// Gaps is the longest time without an acknowledged write after the fault, in milliseconds, by stream; zero when under 50.
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
	return fmt.Sprintf("%s | no write for %s through the Service, %s to the pod | %d acknowledged | lost %d plain, %d with WAIT 1 | %s",
		r.Scenario, gap(r.Gaps["service/plain"]), gap(r.Gaps["pods/plain"]), r.Acked, r.LostPlain, r.LostWait, r.Reason)
}

// gap says that a gap is too short to be listed, for it is not known to have been none.
func gap(milliseconds float64) string {
	switch d := time.Duration(milliseconds * float64(time.Millisecond)); {
	case d == 0:
		return "<50ms"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	default:
		return d.Round(10 * time.Millisecond).String()
	}
}

// table collects the rows of all runs.
type table struct {
	mu   sync.Mutex
	rows []row
}

func (t *table) add(r row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, r)
}

// save writes the rows as JSON, for whoever wants to reckon with them.
func (t *table) save(path string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	text, err := json.MarshalIndent(t.rows, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

// String has a line for each scenario; of several runs the median and the worst.
func (t *table) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rows) == 0 {
		return ""
	}
	var names []string
	runs := map[string][]row{}
	for _, r := range t.rows {
		if runs[r.Scenario] == nil {
			names = append(names, r.Scenario)
		}
		runs[r.Scenario] = append(runs[r.Scenario], r)
	}
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nscenario\truns\tno write for (Service)\tat worst\t(pod)\tat worst\tacknowledged\tlost\tlost, WAIT 1\treason\t")
	for _, name := range names {
		fmt.Fprintln(w, summary(name, runs[name]))
	}
	w.Flush()
	return text.String()
}

func summary(name string, runs []row) string {
	var acked, plain, wait int64
	passed := fmt.Sprint(len(runs))
	failed := 0
	for _, r := range runs {
		acked, plain, wait = acked+r.Acked, plain+r.LostPlain, wait+r.LostWait
		if r.Failed {
			failed++
		}
	}
	if failed > 0 {
		passed = fmt.Sprintf("%d, %d FAILED", len(runs), failed)
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t", name, passed,
		spread(runs, "service/plain"), spread(runs, "pods/plain"), acked, plain, wait, runs[len(runs)-1].Reason)
}

// spread is the median and the largest gap of a stream, a cell each. A run that failed before its client could tell has none.
func spread(runs []row, stream string) string {
	var gaps []float64
	for _, r := range runs {
		if g, known := r.Gaps[stream]; known {
			gaps = append(gaps, g)
		}
	}
	if len(gaps) == 0 {
		return "\t"
	}
	slices.Sort(gaps)
	return gap(gaps[len(gaps)/2]) + "\t" + gap(gaps[len(gaps)-1])
}
