// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"unicode/utf8"
)

// cell is text with the tone it is shown in.
type cell struct {
	text string
	tone tone
}

// table aligns: the first column to the left, the others to the right.
func (s *screen) table(head []string, rows [][]cell) string {
	width := make([]int, len(head))
	for i, text := range head {
		width[i] = utf8.RuneCountInString(text)
		for _, row := range rows {
			width[i] = max(width[i], utf8.RuneCountInString(row[i].text))
		}
	}
	heads := make([]cell, len(head))
	for i, text := range head {
		heads[i] = cell{text, bold}
	}
	var b strings.Builder
	s.row(&b, width, heads)
	rules := make([]cell, len(head))
	for i, w := range width {
		rules[i] = cell{strings.Repeat("─", w), quiet}
	}
	s.row(&b, width, rules)
	for _, row := range rows {
		s.row(&b, width, row)
	}
	return b.String()
}

func (s *screen) row(b *strings.Builder, width []int, cells []cell) {
	for i, c := range cells {
		text := padLeft(c.text, width[i])
		if i == 0 {
			text = pad(c.text, width[i])
		}
		b.WriteString("  " + s.paint(c.tone, text))
	}
	b.WriteString("\n")
}
