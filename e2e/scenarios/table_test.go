package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
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
	return fmt.Sprintf("%s | no write for %s | %d acknowledged | %d lost | %s", r.scenario, rounded(r.gap), r.acked, r.lost, r.reason)
}

func rounded(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Millisecond)
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

// String has a line for each scenario; of several runs the median and the worst.
func (t *table) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var names []string
	runs := map[string][]row{}
	for _, r := range t.rows {
		if runs[r.scenario] == nil {
			names = append(names, r.scenario)
		}
		runs[r.scenario] = append(runs[r.scenario], r)
	}
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nscenario\truns\tno write for\tat worst\tacknowledged\tlost\treason\t")
	for _, name := range names {
		fmt.Fprintln(w, summary(name, runs[name]))
	}
	w.Flush()
	return text.String()
}

func summary(name string, runs []row) string {
	var acked, lost int64
	gaps := make([]time.Duration, 0, len(runs))
	passed := fmt.Sprint(len(runs))
	failed := 0
	for _, r := range runs {
		acked, lost, gaps = acked+r.acked, lost+r.lost, append(gaps, r.gap)
		if r.failed {
			failed++
		}
	}
	if failed > 0 {
		passed = fmt.Sprintf("%d, %d FAILED", len(runs), failed)
	}
	slices.Sort(gaps)
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%d\t%s\t", name, passed, rounded(gaps[len(gaps)/2]), rounded(gaps[len(gaps)-1]),
		acked, lost, runs[len(runs)-1].reason)
}
