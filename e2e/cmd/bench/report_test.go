// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func rowOf(name string, ms ...int) *row {
	r := &row{name: name, acked: 1000, promotions: int64(len(ms))}
	for _, n := range ms {
		r.gaps = append(r.gaps, time.Duration(n)*time.Millisecond)
	}
	return r
}

func TestTheTargetsAreJudgedByTheMedians(t *testing.T) {
	tests := map[string]struct {
		ours, theirs int
		met          bool
	}{
		"both met":             {40, 2200, true},
		"too slow":             {160, 2200, false},
		"not ten times better": {140, 1300, false},
		"just":                 {150, 1500, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := &bench{rows: []*row{
				rowOf("RedisHA, one client", 1, test.ours, 9000), rowOf("RedisHA, another", 5000),
				rowOf("Redis Sentinel, quick", 1, test.theirs, 9000), rowOf("Redis Sentinel, slow", 90000),
			}}
			var out bytes.Buffer
			if met := b.report(&out); met != test.met {
				t.Errorf("met is %v, want %v:\n%s", met, test.met, &out)
			}
			if lines := strings.Count(out.String(), "\n| Redis"); lines != len(b.rows) {
				t.Errorf("%d rows in the table, want %d:\n%s", lines, len(b.rows), &out)
			}
		})
	}
}

func TestARunThatWasEndedEarlyMeetsNothing(t *testing.T) {
	var out bytes.Buffer
	if (&bench{rows: []*row{rowOf("RedisHA, one client")}}).report(&out) {
		t.Errorf("nothing was measured, and all is well:\n%s", &out)
	}
}
