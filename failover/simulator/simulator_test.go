package simulator

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// defectSchedules is how many schedules a defect may survive.
const defectSchedules = 20000

func TestNoScheduleBreaksAPromise(t *testing.T) {
	seed := rand.Uint64N(1 << 40)
	stats, finding := Run(seed, testSchedules, 2, nil)
	t.Logf("seed %d: %s", seed, stats)
	if finding != nil {
		var story strings.Builder
		finding.Write(&story)
		t.Error(story.String())
	}
	if stats.Failovers < testSchedules/2 || stats.acked < testSchedules {
		t.Errorf("hardly anything happened: %s", stats)
	}
}

func TestAScheduleIsReplayedToTheByte(t *testing.T) {
	for seed := range uint64(30) {
		a, b := scheduleOf(seed).play(noDefect, true), scheduleOf(seed).play(noDefect, true)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d is played in two ways", seed)
		}
		if c := scheduleOf(seed).play(noDefect, false); c.stats != a.stats {
			t.Fatalf("seed %d is played otherwise when it is told", seed)
		}
	}
}

func TestEveryDefectIsCaught(t *testing.T) {
	if testing.Short() || underRace {
		t.Skip("plays many schedules; there is only one goroutine at a time to race with")
	}
	for c := range Defects(7, defectSchedules, 2) {
		t.Logf("%-58s %-12s after %5d schedules: %s", c.Defect, c.Invariant, c.Schedules, c.Sentence)
		if c.Invariant == "" {
			t.Errorf("not caught within %d schedules: %s", c.Schedules, c.Defect)
		}
	}
}

func TestAViolationIsToldByAShortSchedule(t *testing.T) {
	_, bad := search(7, defectSchedules, 2, defects()[1], nil)
	if bad == nil {
		t.Fatal("the defect was not caught")
	}
	f := explain(*bad, defects()[1])
	var story strings.Builder
	f.Write(&story)
	if n := len(scheduleOf(*bad).faults); strings.Count(f.Schedule, "\n")-1 > n {
		t.Errorf("the schedule has grown:\n%s", f.Schedule)
	}
	for _, want := range []string{"seed ", f.Violation.Invariant, "VIOLATION", "persists Fencing"} {
		if !strings.Contains(story.String(), want) {
			t.Errorf("the story lacks %q:\n%s", want, story.String())
		}
	}
}
