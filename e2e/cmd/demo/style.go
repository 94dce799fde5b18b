// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// tone is what a piece of text is about; a terminal shows it as a colour.
type tone string

const (
	plain tone = ""
	quiet tone = "2"
	bold  tone = "1"
	good  tone = "32"
	bad   tone = "31"
	title tone = "1;36"
)

// screen is where the demo talks to people.
type screen struct {
	out  io.Writer
	live bool // a terminal: a line may be written over
	tint bool

	mu    sync.Mutex
	open  string // the line that may be written over
	began time.Time
}

// newScreen looks at what the file is. NO_COLOR (no-color.org) and TERM=dumb are honoured.
func newScreen(f *os.File) *screen {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	terminal := err == nil && os.Getenv("TERM") != "dumb"
	return &screen{out: f, live: terminal, tint: terminal && os.Getenv("NO_COLOR") == ""}
}

func (s *screen) paint(t tone, text string) string {
	if !s.tint || t == plain || text == "" {
		return text
	}
	return "\x1b[" + string(t) + "m" + text + "\x1b[0m"
}

// printf writes lines, after whatever is in progress.
func (s *screen) printf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	fmt.Fprintf(s.out, format, args...)
}

func (s *screen) clear() {
	if s.live && s.open != "" {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.open = ""
	}
}

// begin starts something that takes a moment.
func (s *screen) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = time.Now()
}

// say tells how far it is: in one line that is written over on a terminal, and elsewhere not at all, for there
// the line that ends it suffices.
func (s *screen) say(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live || text == s.open {
		return
	}
	s.clear()
	if text == "" {
		return
	}
	s.open = text
	fmt.Fprint(s.out, "  "+s.paint(quiet, "… "+clip(text, 100)))
}

// done ends it, with the time that it took.
func (s *screen) done(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	fmt.Fprintf(
		s.out, "  %s %s  %s\n", s.paint(good, "✓"), pad(text, 72),
		s.paint(quiet, fmt.Sprintf("%5.1f s", time.Since(s.began).Seconds())),
	)
	s.began = time.Now()
}

// Write takes the progress lines of others; it implements io.Writer.
//
//nolint:unparam // the interface wants the error
func (s *screen) Write(p []byte) (int, error) {
	for line := range strings.SplitSeq(strings.TrimSpace(string(p)), "\n") {
		s.say(line)
	}
	return len(p), nil
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

func padLeft(text string, width int) string {
	return strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text))) + text
}

func clip(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return text
}
