// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/checks"
)

// Result is what one application noticed of one fault.
type Result struct {
	Fault   string `json:"fault"`
	Library string `json:"library"`
	Round   int    `json:"round"`
	// Planned: nothing acknowledged may be lost.
	Planned bool `json:"planned"`
	// Gap is the longest time without an answer, in milliseconds; of one left behind until the round ended.
	Gap int64 `json:"gapMs"`
	// Left: the application did not get an answer for the last seconds of the round, long after the fault was over.
	Left   bool             `json:"leftBehind"`
	Acked  int64            `json:"acknowledged"`
	Lost   int64            `json:"lost"`
	Errors map[string]int64 `json:"errors,omitempty"`
}

// Round is what the operator did about one fault.
type Round struct {
	Fault  string `json:"fault"`
	Number int    `json:"round"`
	// Published is how long after the fault the Service was told to lead to the new master, in milliseconds: of what
	// applications notice, that is the operator's part. Cause is why.
	Published int64  `json:"publishedMs"`
	Cause     string `json:"cause"`
	// Steps are those of the failover, in their order.
	Steps []Step `json:"steps"`
}

// Step of a failover.
type Step struct {
	Name string `json:"name"`
	At   int64  `json:"atMs"` // after the fault
}

// NewRound is the last failover after that epoch, if the history has one that published a master. At is when the fault
// happened.
func NewRound(fault string, number int, at time.Time, epoch int64, history []v1alpha1.HistoryEntry) (Round, bool) {
	var last *v1alpha1.HistoryEntry
	for i := range history {
		if entry := &history[i]; entry.Epoch > epoch && (last == nil || entry.Epoch > last.Epoch) {
			last = entry
		}
	}
	if last == nil {
		return Round{}, false
	}
	round, published := Round{Fault: fault, Number: number, Cause: last.Cause}, false
	for _, step := range last.Steps {
		after := step.At.Sub(at).Milliseconds()
		round.Steps = append(round.Steps, Step{Name: step.Name, At: after})
		if step.Name == "published" {
			round.Published, published = after, true
		}
	}
	return round, published
}

// Report is all that came of a run.
type Report struct {
	Setting   string    `json:"setting"`
	Libraries []Used    `json:"libraries"`
	Rounds    []Round   `json:"rounds"`
	Results   []*Result `json:"results"`
}

// Used is an application of a run.
type Used struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Version string `json:"version,omitempty"`
	// Lacking says why it was left out.
	Lacking string `json:"lacking,omitempty"`
}

// Row is what one application noticed of all rounds with the same fault.
type Row struct {
	Fault, Library string
	Rounds, Left   int
	Median, Worst  time.Duration
	Acked, Lost    int64
	Planned        bool
	Errors         []string // most frequent first
}

// Rows sums up the results, faults and applications in the order in which they came first.
func (r *Report) Rows() []Row {
	var table checks.Table[*Result]
	for _, result := range r.Results {
		table.Add(result)
	}
	var rows []Row
	for _, results := range table.Grouped(func(r *Result) string { return r.Fault + " " + r.Library }) {
		row := Row{Fault: results[0].Fault, Library: results[0].Library, Rounds: len(results), Planned: results[0].Planned}
		var gaps []int64
		errors := map[string]int64{}
		for _, one := range results {
			gaps = append(gaps, one.Gap)
			row.Acked, row.Lost = row.Acked+one.Acked, row.Lost+one.Lost
			if one.Left {
				row.Left++
			}
			for class, n := range one.Errors {
				errors[class] += n
			}
		}
		median, worst, _ := checks.MedianAndWorst(gaps)
		row.Median, row.Worst = time.Duration(median)*time.Millisecond, time.Duration(worst)*time.Millisecond
		row.Errors = slices.SortedFunc(maps.Keys(errors), func(a, b string) int {
			return cmp.Or(cmp.Compare(errors[b], errors[a]), cmp.Compare(a, b))
		})
		rows = append(rows, row)
	}
	return rows
}

// JSON is the report for programs.
func (r *Report) JSON() ([]byte, error) { return json.MarshalIndent(r, "", " ") }

// Text is the report for people, in columns.
func (r *Report) Text() string {
	lines := [][]string{{"fault", "library", "no answer: p50", "worst", "left behind", "lost / acknowledged", "errors"}}
	for _, fault := range r.faults() {
		if median, worst, known := r.published(fault); known {
			lines = append(lines, []string{fault, "(published)", fmt.Sprintf("%d ms", median), fmt.Sprintf("%d ms", worst)})
		}
	}
	for _, row := range r.Rows() {
		lines = append(lines, []string{
			row.Fault,
			row.Library,
			milliseconds(row.Median),
			milliseconds(row.Worst),
			row.leftBehind(),
			row.losses(),
			row.firstErrors(3),
		})
	}
	return checks.Aligned(lines) + "\n" + strings.Join(r.leftOut(), "\n")
}

// published are the median and the worst of the times until the last master of a fault was published.
func (r *Report) published(fault string) (median, worst int64, known bool) {
	var times []int64
	for _, round := range r.Rounds {
		if round.Fault == fault {
			times = append(times, round.Published)
		}
	}
	return checks.MedianAndWorst(times)
}

// faults are those that were played, in their order.
func (r *Report) faults() []string {
	var names []string
	for _, result := range r.Results {
		if !slices.Contains(names, result.Fault) {
			names = append(names, result.Fault)
		}
	}
	return names
}

func (r *Report) leftOut() []string {
	var lines []string
	for _, used := range r.Libraries {
		if used.Lacking != "" {
			lines = append(lines, fmt.Sprintf("%s was left out: %s", used.Name, used.Lacking))
		}
	}
	return lines
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

func (r Row) leftBehind() string {
	if r.Left == 0 {
		return "-"
	}
	return fmt.Sprintf("%d of %d", r.Left, r.Rounds)
}

func (r Row) losses() string { return fmt.Sprintf("%d / %d", r.Lost, r.Acked) }

func (r Row) firstErrors(most int) string {
	return strings.Join(r.Errors[:min(len(r.Errors), most)], "; ")
}
