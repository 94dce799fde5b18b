// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"fmt"

	"github.com/redisha/redisha/e2e/checks"
)

// measured is what a fault cost the clients of one contestant, in one run.
type measured struct {
	System string `json:"system"`
	Client string `json:"client"` // how it finds the master
	Fault  string `json:"fault"`
	row
	route string
}

func (m measured) plain() string { return m.route + "/plain" }

func (m measured) String() string {
	return fmt.Sprintf("%s | %s | no write for %s | %d acknowledged | lost %d plain, %d with WAIT 1", m.Fault, m.System,
		gap(m.Gaps[m.plain()]), m.Acked, m.LostPlain, m.LostWait)
}

// comparison collects what several contestants made of the same faults.
type comparison struct{ checks.Table[measured] }

// String has a line for each contestant and fault. The first contestant that had a fault is what the others are
// compared to.
func (c *comparison) String() string {
	lines := [][]string{
		{
			"fault",
			"system",
			"client",
			"runs",
			"no write for, p50",
			"max",
			"WAIT 1: p50",
			"max",
			"acknowledged",
			"lost",
			"lost, WAIT 1",
			"p50 ÷ RedisHA's",
		},
	}
	for fault, runs := range c.Grouped(func(m measured) string { return m.Fault }) {
		var group comparison
		for _, m := range runs {
			group.Add(m)
		}
		var first []float64
		for system, runs := range group.Grouped(func(m measured) string { return m.System }) {
			gaps := gapsIn(runs, "/plain")
			if first == nil {
				first = gaps
			}
			line := append([]string{fault, system}, compareLine(runs)...)
			lines = append(lines, append(line, ratio(gaps, first)))
		}
	}
	if len(lines) == 1 {
		return ""
	}
	return "\n" + checks.Aligned(lines)
}

func compareLine(runs []measured) []string {
	var acked, plain, wait int64
	for _, m := range runs {
		acked, plain, wait = acked+m.Acked, plain+m.LostPlain, wait+m.LostWait
	}
	cells := []string{runs[0].Client, checks.Counted(runs, func(m measured) bool { return m.Failed })}
	for _, stream := range []string{"/plain", "/wait"} {
		cells = append(cells, spread(gapsIn(runs, stream))...)
	}
	return append(cells, fmt.Sprint(acked), fmt.Sprint(plain), fmt.Sprint(wait))
}

// gapsIn are the gaps of a stream of the client's route.
func gapsIn(runs []measured, stream string) []float64 {
	var rows []row
	for _, m := range runs {
		rows = append(rows, m.row)
	}
	return gapsOf(rows, runs[0].route+stream)
}

// ratio says how many times as long the median is as another one. Of gaps too short to be listed only a bound is known.
func ratio(gaps, others []float64) string {
	median, _, known := checks.MedianAndWorst(gaps)
	other, _, otherKnown := checks.MedianAndWorst(others)
	if !known || !otherKnown || median == 0 {
		return ""
	}
	if other == 0 {
		return fmt.Sprintf(">%.1f", median/listed)
	}
	return fmt.Sprintf("%.1f", median/other)
}
