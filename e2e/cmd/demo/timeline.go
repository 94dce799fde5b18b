// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// moment is one line of a timeline.
type moment struct {
	at   time.Time
	what string // a word or two
	text string // what it means here
	tone tone
}

// timeline shows what happened, in order, in milliseconds since the fault.
func (s *screen) timeline(fault time.Time, moments []moment) string {
	moments = slices.Clone(moments)
	slices.SortStableFunc(moments, func(a, b moment) int { return a.at.Compare(b.at) })
	wide := 0
	for _, m := range moments {
		wide = max(wide, len(m.what))
	}
	var b strings.Builder
	for i, m := range moments {
		mark := "│"
		switch {
		case m.tone != plain:
			mark = s.paint(m.tone, "●")
		case i == len(moments)-1:
			mark = "╵"
		}
		line := fmt.Sprintf("  %s ms  %s %s  %s", padLeft(fmt.Sprintf("%+.1f", milliseconds(m.at.Sub(fault))), 9), mark,
			s.paint(m.tone, pad(m.what, wide)), m.text)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// about writes a duration for people: milliseconds as long as that says more.
func about(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", milliseconds(d))
	case d < 10*time.Second:
		return fmt.Sprintf("%s ms", grouped(d.Milliseconds()))
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// grouped writes a number with its thousands apart.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
