// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func after(ms float64) time.Time { return noon.Add(time.Duration(ms * float64(time.Millisecond))) }

func TestATimelineIsInOrderAndAligned(t *testing.T) {
	s := &screen{}
	got := s.timeline(noon, []moment{
		{after(0), "fault", "SIGKILL", bad},
		{after(1234.56), "reattached", "all follow cache-2", plain},
		{after(2.06), "evidence", "MasterProcessDead", plain},
		{after(31.4), "acknowledged", "", good},
	})
	want := strings.Join([]string{
		"       +0.0 ms  ● fault         SIGKILL",
		"       +2.1 ms  │ evidence      MasterProcessDead",
		"      +31.4 ms  ● acknowledged",
		"    +1234.6 ms  ╵ reattached    all follow cache-2",
		"",
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestATableAlignsNumbersWhateverTheColours(t *testing.T) {
	rows := [][]cell{
		{{"SIGKILL", plain}, {"36 ms", good}, {"0", plain}},
		{{"pod deleted", plain}, {"4.1 ms", plain}, {"1,234", bad}},
	}
	head := []string{"fault", "write gap", "lost"}
	want := strings.Join([]string{
		"  fault        write gap   lost",
		"  ───────────  ─────────  ─────",
		"  SIGKILL          36 ms      0",
		"  pod deleted     4.1 ms  1,234",
		"",
	}, "\n")
	if diff := cmp.Diff(want, (&screen{}).table(head, rows)); diff != "" {
		t.Error(diff)
	}
	tinted := (&screen{tint: true}).table(head, rows)
	for _, code := range []tone{good, bad, bold, quiet} {
		tinted = strings.ReplaceAll(tinted, "\x1b["+string(code)+"m", "")
	}
	if diff := cmp.Diff(want, strings.ReplaceAll(tinted, "\x1b[0m", "")); diff != "" {
		t.Errorf("without its colours a tinted table differs: %s", diff)
	}
}

func TestNumbersForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) is %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		3140 * time.Microsecond: "3.1 ms", 36 * time.Millisecond: "36 ms", 3112 * time.Millisecond: "3,112 ms", 12500 * time.Millisecond: "12.5 s",
	} {
		if got := about(d); got != want {
			t.Errorf("about(%s) is %q, want %q", d, got, want)
		}
	}
}

func TestProgressIsOneLineOnATerminalAndSilentElsewhere(t *testing.T) {
	var file, terminal bytes.Buffer
	for out, live := range map[*bytes.Buffer]bool{&file: false, &terminal: true} {
		s := &screen{out: out, live: live}
		s.begin()
		s.say("0/3 ready")
		s.say("2/3 ready")
		s.say("2/3 ready")
		s.say("")
		s.done("3/3 ready")
	}
	if n := strings.Count(file.String(), "\n"); n != 1 || strings.Contains(file.String(), "2/3") {
		t.Errorf("in a file: %q, want the outcome only", file.String())
	}
	if n := strings.Count(
		terminal.String(), "\n",
	); n != 1 ||
		!strings.Contains(terminal.String(), "\r\x1b[K  … 2/3 ready\r\x1b[K  ✓ 3/3") {
		t.Errorf("on a terminal: %q, want each progress written over", terminal.String())
	}
}
