// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
)

func someReport() *Report {
	return &Report{
		Setting: "a machine",
		Libraries: []Used{
			{Name: "redigo", Title: "redigo, its pool", Version: "v1.9.3"},
			{Name: "jedis", Title: "Jedis (Java)", Lacking: "no Java"},
		},
		Rounds: []Round{
			{
				Fault:     "kill",
				Published: 90,
			},
			{Fault: "kill", Published: 80},
			{Fault: "kill", Published: 85},
			{Fault: "delete", Published: 40},
		},
		Results: []*Result{
			{Fault: "kill", Library: "redigo", Gap: 300, Acked: 100, Lost: 1, Errors: map[string]int64{"EOF": 1}},
			{Fault: "kill", Library: "redigo", Gap: 200, Acked: 100},
			{Fault: "kill", Library: "redigo", Gap: 9000, Acked: 100, Left: true, Errors: map[string]int64{"READONLY": 50}},
			{Fault: "delete", Library: "redigo", Planned: true, Gap: 150, Acked: 100},
		},
	}
}

func TestRowsSumUpTheRoundsOfAFault(t *testing.T) {
	rows := someReport().Rows()
	if len(rows) != 2 {
		t.Fatalf("%d rows, want one for each fault", len(rows))
	}
	r := rows[0]
	if r.Median != 300*time.Millisecond || r.Worst != 9*time.Second || r.Left != 1 || r.Rounds != 3 || r.Lost != 1 ||
		r.Acked != 300 {
		t.Errorf("%+v", r)
	}
	if !slices.Equal(r.Errors, []string{"READONLY", "EOF"}) {
		t.Errorf("errors %v, want the most frequent first", r.Errors)
	}
}

func TestThePageHasALineForEachApplicationAndAColumnForEachFault(t *testing.T) {
	page := someReport().Markdown()
	for _, want := range []string{
		"| | kill | delete |\n|---|--:|--:|\n",
		"| *the new master is published* | *85 / 90* | *40 / 40* |\n",
		"| redigo, its pool v1.9.3 | 300 / 9000, **left 1 of 3**, 1 lost | 150 / 150 |\n",
		"| redigo | READONLY; EOF |\n",
		"jedis was left out: no Java",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in\n%s", want, page)
		}
	}
}

func TestWhatMustNotBeIsWrong(t *testing.T) {
	lost := func(planned bool) func(*Report) {
		return func(r *Report) { r.Results[3].Lost, r.Results[3].Planned = 1, planned }
	}
	noneLeft := func(r *Report) { r.Results[2].Left = false }
	for name, tt := range map[string]struct {
		change func(*Report)
		bounds []string
		want   string // nothing if empty
	}{
		"left behind":           {func(*Report) {}, nil, "kill: redigo was left behind in 1 of 3"},
		"none":                  {noneLeft, nil, ""},
		"lost by a plan":        {func(r *Report) { noneLeft(r); lost(true)(r) }, nil, "delete: redigo lost 1"},
		"lost by no plan":       {func(r *Report) { noneLeft(r); lost(false)(r) }, nil, ""},
		"median too long":       {noneLeft, []string{"kill=299ms/0s"}, "300ms in the median"},
		"worst too long":        {noneLeft, []string{"kill=0s/8s"}, "9s at worst"},
		"within":                {noneLeft, []string{"kill=300ms/9s", "delete=150ms/150ms"}, ""},
		"a bound on another":    {noneLeft, []string{"hang=1ms/1ms"}, ""},
		"a bound that is exact": {noneLeft, []string{"delete=149ms/0s"}, "150ms in the median"},
	} {
		t.Run(name, func(t *testing.T) {
			report := someReport()
			tt.change(report)
			bounds, err := ParseBounds(tt.bounds)
			if err != nil {
				t.Fatal(err)
			}
			wrong := report.Wrong(bounds)
			if tt.want == "" && len(wrong) > 0 || tt.want != "" && (len(wrong) != 1 || !strings.Contains(wrong[0], tt.want)) {
				t.Errorf("wrong is %q, want %q", wrong, tt.want)
			}
		})
	}
	for _, text := range []string{"kill", "kill=1s", "kill=1s/soon"} {
		if _, err := ParseBounds([]string{text}); err == nil {
			t.Errorf("%q is a bound", text)
		}
	}
}

func TestATableGoesIntoItsPlaceOnThePage(t *testing.T) {
	page := "# Title\n<!-- clients: quiet -->\nold\n<!-- end of quiet -->\nmiddle\n<!-- clients: busy -->\n<!-- end of busy -->\n"
	got, err := Insert(page, "quiet", "new\n")
	if want := strings.Replace(page, "old", "new", 1); err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	again, err := Insert(got, "busy", "other\n")
	if err != nil || !strings.Contains(again, "<!-- clients: busy -->\nother\n<!-- end of busy -->\n") {
		t.Errorf("%q, %v", again, err)
	}
	if _, err := Insert(page, "windy", "new\n"); err == nil {
		t.Error("a place that is not there was found")
	}
}

func TestARoundIsTheLastFailoverThatPublishedAMaster(t *testing.T) {
	at := time.Now()
	entry := func(epoch int64, steps ...string) v1alpha1.HistoryEntry {
		e := v1alpha1.HistoryEntry{Epoch: epoch, Cause: "because"}
		for i, name := range steps {
			e.Steps = append(
				e.Steps,
				v1alpha1.StepStatus{Name: name, At: metav1.NewMicroTime(at.Add(time.Duration(100*(i+1)) * time.Millisecond))},
			)
		}
		return e
	}
	history := []v1alpha1.HistoryEntry{entry(3, "intent", "published"), entry(2, "published"), entry(1, "published")}
	round, found := NewRound("kill", 7, at, 1, history)
	if !found || round.Published != 200 || len(round.Steps) != 2 || round.Cause != "because" || round.Number != 7 {
		t.Errorf("%+v, %t", round, found)
	}
	if _, found := NewRound("kill", 1, at, 3, history); found {
		t.Error("a failover from before the fault counts")
	}
	if _, found := NewRound("kill", 1, at, 1, []v1alpha1.HistoryEntry{entry(2, "intent")}); found {
		t.Error("one that published nothing counts")
	}
}
