// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
)

// rounds are those of an operation with these stalls, of 100 writes each.
func rounds(operation, tls string, stalls ...int64) []result {
	var all []result
	for i, stall := range stalls {
		all = append(
			all, result{Operation: operation, TLS: tls, Round: i + 1, Stall: stall, Acked: 100, LookedUp: 100},
		)
	}
	return all
}

// upTo are the numbers from 1 on, the greatest first.
func upTo(n int64) []int64 {
	var all []int64
	for ; n > 0; n-- {
		all = append(all, n)
	}
	return all
}

func TestARowHasTheDistributionOfAnOperationInOneColumn(t *testing.T) {
	all := append(rounds("delete", off, upTo(200)...), rounds("delete", on, 7)...)
	all = append(all, rounds("evict", off, 40, 10, 30, 20)...)
	all[3].Lost = 2
	got := (&report{Results: all}).rows()
	want := []row{
		{
			operation: "delete", tls: off, rounds: 200, acked: 20000, lost: 2, p50: 100, p90: 180, p99: 198, worst: 200,
			worstRound: 1,
		},
		{operation: "delete", tls: on, rounds: 1, acked: 100, p50: 7, p90: 7, p99: 7, worst: 7, worstRound: 1},
		{operation: "evict", tls: off, rounds: 4, acked: 400, p50: 20, p90: 40, p99: 40, worst: 40, worstRound: 1},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{})); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsWrongNamesOperationAndRound(t *testing.T) {
	second := func(edit func(*result)) []result {
		all := rounds("delete", on, 10, 10, 10)
		edit(&all[1])
		return all
	}
	for name, test := range map[string]struct {
		results []result
		want    []string // in the sentences, of which there are as many
	}{
		"nothing":                  {rounds("delete", off, 10, 1000), nil},
		"a write is lost":          {second(func(r *result) { r.Lost = 1; r.LostKeys = []string{"0:w1:7"} }), []string{"1 acknowledged writes are lost: [0:w1:7]"}},
		"a stall is too long":      {second(func(r *result) { r.Stall = 1001 }), []string{"1001 ms without"}},
		"it did not settle":        {second(func(r *result) { r.Failure, r.LookedUp = "it did not settle", 0 }), []string{"it did not settle"}},
		"a write is not looked up": {second(func(r *result) { r.LookedUp = 99 }), []string{"99 of 100 acknowledged writes were looked up"}},
		"nothing was written":      {second(func(r *result) { r.LookedUp, r.Acked = 0, 0 }), []string{"no write was acknowledged"}},
		"lost and too long":        {second(func(r *result) { r.Lost, r.Stall = 3, 4000 }), []string{"3 acknowledged", "4000 ms"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := (&report{Results: test.results}).wrong()
			if len(got) != len(test.want) {
				t.Fatalf("%q, want %q", got, test.want)
			}
			for i, part := range test.want {
				if !strings.HasPrefix(got[i], "delete, TLS on, round 2: ") || !strings.Contains(got[i], part) {
					t.Errorf("%q does not name the operation and the round, or %q", got[i], part)
				}
			}
		})
	}
}

func TestOnlySwitchoversAreBoundByTheirP99(t *testing.T) {
	slow := append(make([]int64, 99), 101) // one of a hundred
	slower := append(make([]int64, 98), 101, 140)
	for name, test := range map[string]struct {
		results []result
		want    int
	}{
		"one of a hundred may take longer": {rounds("switchover", off, slow...), 0},
		"and two may not":                  {rounds("switchover", off, slower...), 1},
		"of ten none may":                  {rounds("switchover", on, 90, 101, 50, 50, 50, 50, 50, 50, 50, 50), 1},
		"the bound itself is met":          {rounds("switchover", on, 100), 0},
		"another operation":                {rounds("delete", off, 101), 0},
	} {
		got := (&report{Results: test.results}).wrong()
		if len(got) != test.want {
			t.Errorf("%s: %q", name, got)
		}
		if name == "of ten none may" && (len(got) != 1 || !strings.HasPrefix(got[0], "switchover, TLS on, round 2: ")) {
			t.Errorf("%q does not name the round", got)
		}
	}
}

func TestTheTableHasALineForEachOperationAndSaysWhatIsLeftOut(t *testing.T) {
	r := &report{
		Setting: "Here.", Client: "Like this.", Results: rounds("delete", off, 10, 30, 20),
		LeftOut: map[string]string{"version": "there is one"},
	}
	want := `Here.

Like this.

| operation | TLS | rounds | acknowledged | lost | p50 | p90 | p99 | worst |
|---|---|--:|--:|--:|--:|--:|--:|--:|
| delete | off | 3 | 300 | 0 | 20 | 30 | 30 | 30 |

version is left out: there is one.
`
	if diff := cmp.Diff(want, r.markdown()); diff != "" {
		t.Error(diff)
	}
}

func TestPromotionsAreThoseOfTheRoundInTheirOrder(t *testing.T) {
	begun := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	history := []v1alpha1.HistoryEntry{
		{Epoch: 4, Kind: v1alpha1.HistoryFailover, Cause: "MasterDown", Outcome: v1alpha1.OutcomeSucceeded},
		{
			Epoch: 3, Kind: v1alpha1.HistorySwitchover, Cause: "Requested", Outcome: v1alpha1.OutcomeSucceeded,
			Steps: []v1alpha1.StepStatus{{Name: "intent", At: metav1.NewMicroTime(begun.Add(70 * time.Millisecond))}},
		},
		{Epoch: 2, Kind: v1alpha1.HistorySwitchover, Cause: "Requested", Outcome: v1alpha1.OutcomeSucceeded},
	}
	want := []promotion{
		{Kind: "Switchover", Outcome: "Succeeded", Cause: "Requested", Steps: []step{{"intent", 70}}},
		{Kind: "Failover", Outcome: "Succeeded", Cause: "MasterDown"},
	}
	got := promotions(history, 2, begun)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if told := got[0].String(); told != "Switchover Succeeded (Requested, intent 70)" {
		t.Error(told)
	}
}

func TestOfAnOutageThatIsPlannedTheTimeCountsFromItsEnd(t *testing.T) {
	all := rounds("hibernate", off, 20000, 30000)
	for i, waking := range []int64{700, 900} {
		all[i].Outage, all[i].Waking = true, waking
	}
	r := &report{Results: all}
	if wrong := r.wrong(); len(wrong) > 0 {
		t.Errorf("it is held against it: %q", wrong)
	}
	if row := r.rows()[0]; row.p50 != 700 || row.worst != 900 || row.worstRound != 2 {
		t.Errorf("%+v", row)
	}
	if told := all[1].String(); !strings.Contains(told, "900 ms after a Redis was to run again") {
		t.Error(told)
	}
	if page := r.markdown(); !strings.Contains(page, "hibernate: the times are those from the order") {
		t.Error(page)
	}
	all[1].Lost = 1
	if wrong := r.wrong(); len(wrong) != 1 {
		t.Errorf("a write is lost: %q", wrong)
	}
}
