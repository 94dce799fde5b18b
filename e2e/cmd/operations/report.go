// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/e2e/checks"
)

// result is what the applications noticed of one round. Times are in milliseconds.
type result struct {
	Operation string `json:"operation"`
	TLS       string `json:"tls"`
	Round     int    `json:"round"`
	// Stall is the longest time without an acknowledged write, of the application that was without for longest, and
	// StallAt when it began, after the operation.
	Stall   int64 `json:"stallMs"`
	StallAt int64 `json:"stallAtMs"`
	// Outage: no Redis was to run for a while. Waking is the time from when one was to run again to the first acknowledged
	// write of any application.
	Outage bool  `json:"outage,omitempty"`
	Waking int64 `json:"wakingMs,omitempty"`
	// Acked is how many writes were acknowledged, LookedUp how many of them were looked up, and Lost how many of those
	// the master does not have; LostKeys are the first of them.
	Acked    int64    `json:"acknowledged"`
	LookedUp int64    `json:"lookedUp"`
	Lost     int64    `json:"lost"`
	LostKeys []string `json:"lostKeys,omitempty"`
	// Took is the time from the operation until all was well again.
	Took int64 `json:"tookMs"`
	// Promotions are the changes of the master, in order.
	Promotions []promotion `json:"promotions,omitempty"`
	// Errors is how many commands failed after all that the client tried, by class.
	Errors map[string]int64 `json:"errors,omitempty"`
	// Failure says why the round did not come to its end; empty when it did.
	Failure string `json:"failure,omitempty"`
}

// promotion is a change of the master, and when each of its steps was taken, after the operation.
type promotion struct {
	Kind    string `json:"kind"`
	Outcome string `json:"outcome"`
	Cause   string `json:"cause"`
	Steps   []step `json:"steps"`
}

type step struct {
	Name string `json:"name"`
	At   int64  `json:"atMs"`
}

func (p promotion) String() string {
	text := fmt.Sprintf("%s %s (%s", p.Kind, p.Outcome, p.Cause)
	for _, s := range p.Steps {
		text += fmt.Sprintf(", %s %d", s.Name, s.At)
	}
	return text + ")"
}

// report is all that came of a run.
type report struct {
	Setting string            `json:"setting"`
	Client  string            `json:"client"`
	Results []result          `json:"results"`
	LeftOut map[string]string `json:"leftOut,omitempty"`
}

// name tells one operation in one column from the others.
func (r result) name() string { return r.Operation + ", TLS " + r.TLS }

func (r result) String() string {
	text := fmt.Sprintf(
		"%s, round %d: %d ms without an acknowledged write (from %d ms on), %d of %d lost, well after %d ms", r.name(),
		r.Round, r.Stall, r.StallAt, r.Lost, r.Acked, r.Took,
	)
	if r.Outage {
		text += fmt.Sprintf("; the first write %d ms after a Redis was to run again", r.Waking)
	}
	for _, p := range r.Promotions {
		text += "; " + p.String()
	}
	for _, more := range [][]string{r.classes(), r.LostKeys} {
		if len(more) > 0 {
			text += "; " + strings.Join(more, ", ")
		}
	}
	if r.Failure != "" {
		text += "; FAILED: " + r.Failure
	}
	return text
}

// time is what counts of a round: an outage that is planned is as long as a person wants.
func (r result) time() int64 {
	if r.Outage {
		return r.Waking
	}
	return r.Stall
}

// classes are the errors, in order.
func (r result) classes() []string {
	var parts []string
	for _, class := range slices.Sorted(maps.Keys(r.Errors)) {
		parts = append(parts, fmt.Sprintf("%d %s", r.Errors[class], class))
	}
	return parts
}

// promotions are the changes of the master after an epoch, oldest first. Begun is when the operation did.
func promotions(history []v1alpha1.HistoryEntry, since int64, begun time.Time) []promotion {
	later := slices.DeleteFunc(slices.Clone(history), func(h v1alpha1.HistoryEntry) bool { return h.Epoch <= since })
	slices.SortFunc(later, func(a, b v1alpha1.HistoryEntry) int { return int(a.Epoch - b.Epoch) })
	var told []promotion
	for _, h := range later {
		p := promotion{Kind: string(h.Kind), Outcome: string(h.Outcome), Cause: h.Cause}
		for _, s := range h.Steps {
			p.Steps = append(p.Steps, step{Name: s.Name, At: s.At.Sub(begun).Milliseconds()})
		}
		told = append(told, p)
	}
	return told
}

// row is what came of all rounds of an operation in one column. Times are in milliseconds.
type row struct {
	operation, tls       string
	rounds               int
	acked, lost          int64
	p50, p90, p99, worst int64
	worstRound           int
}

func (r *report) rows() []row {
	var table checks.Table[result]
	for _, one := range r.Results {
		table.Add(one)
	}
	var rows []row
	for _, results := range table.Grouped(result.name) {
		rows = append(rows, rowOf(results))
	}
	return rows
}

func rowOf(results []result) row {
	sum := row{operation: results[0].Operation, tls: results[0].TLS, rounds: len(results)}
	var stalls []int64
	for _, one := range results {
		sum.acked, sum.lost = sum.acked+one.Acked, sum.lost+one.Lost
		if stalls = append(stalls, one.time()); one.time() >= sum.worst {
			sum.worst, sum.worstRound = one.time(), one.Round
		}
	}
	sum.p50, sum.p90 = checks.Quantile(stalls, 0.5), checks.Quantile(stalls, 0.9)
	sum.p99 = checks.Quantile(stalls, 0.99)
	return sum
}

func (r row) cells() []string {
	cells := []string{r.operation, r.tls}
	for _, n := range []int64{int64(r.rounds), r.acked, r.lost, r.p50, r.p90, r.p99, r.worst} {
		cells = append(cells, fmt.Sprint(n))
	}
	return cells
}

var columns = []string{"operation", "TLS", "rounds", "acknowledged", "lost", "p50", "p90", "p99", "worst"}

func (r *report) json() ([]byte, error) { return json.MarshalIndent(r, "", " ") }

// text is the report for people, in columns.
func (r *report) text() string {
	lines := [][]string{columns}
	for _, row := range r.rows() {
		lines = append(lines, row.cells())
	}
	return checks.Aligned(lines) + "\n" + r.outages() + r.left()
}

// markdown is the report as a page has it.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n\n", r.Setting, r.Client)
	fmt.Fprintf(&b, "| %s |\n|---|---|%s\n", strings.Join(columns, " | "), strings.Repeat("--:|", len(columns)-2))
	for _, row := range r.rows() {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row.cells(), " | "))
	}
	fmt.Fprintf(&b, "\n%s", r.outages()+r.left())
	return b.String()
}

// outages says whose times are others.
func (r *report) outages() string {
	i := slices.IndexFunc(r.Results, func(one result) bool { return one.Outage })
	if i < 0 {
		return ""
	}
	return fmt.Sprintf(
		"%s: the times are those from the order that a Redis is to run again to the first acknowledged write.\n",
		r.Results[i].Operation,
	)
}

// left says what was left out.
func (r *report) left() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.LeftOut)) {
		fmt.Fprintf(&b, "%s is left out: %s.\n", name, r.LeftOut[name])
	}
	return b.String()
}

// ordinary says how the applications' client tries again.
func ordinary(s chaos.Settings) string {
	return fmt.Sprintf(
		"Each application keeps one client of go-redis %s with the settings that it has by itself: a command is tried %d "+
			"times more, after %s and up to %s, a dial %d times with %s between two; a reply is waited for %s.",
		s.Version, s.MaxRetries, s.MinRetryBackoff, s.MaxRetryBackoff, s.DialerRetries, s.DialerRetryTimeout,
		s.ReadTimeout.Round(time.Second),
	)
}
