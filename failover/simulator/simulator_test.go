// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(800) // as command simulate does
	os.Exit(m.Run())
}

// firstSeed is that of the first schedule that a test plays.
const firstSeed = 20261128

// defectSchedules is how many schedules a defect may survive.
const defectSchedules = 20000

// foundSomething are the seeds whose schedules broke a promise once. What a seed plays changes whenever the world
// learns something new, so that most of them are ordinary schedules by now.
var foundSomething = []uint64{
	500083346, 501017122, 501131001, 503034229, 504072124, 505155581, 600001029, 600267308, 685221063, 700036942,
	701333723, 701421891, 702198153, 703024895, 704004486, 705018755, 706214051, 707690752, 708283595, 709112564,
	710257530, 713021273, 713143508, 715584508, 49132282741, 11416, 912002686, 920007776, 920027448, 920030725,
	930134028, 932049646, 940007429, 941030085, 942023283, 943001421, 944010759, 945002098, 946021497, 947001495,
	948015967, 949000347, 950008105, 951007710, 952004042, 953027249, 954062358, 957000985, 958001275, 958002047,
	958014659, 958041538, 959006201, 960003680, 961016718, 962003697, 964011186, 966020743, 968026543, 968073122,
	971141819, 971184853, 971196304, 971802315, 971818307, 971859134, 971889790, 971589559, 972016443, 972048200,
	973042582, 973050761, 973350159, 974004223, 974081262, 974123862, 974158058, 975071062, 975092091, 982005938,
	984000225, 984012180, 984048295,
}

// The seeds are fixed, so that a change is judged by itself and not by luck; fresh ones are played by `make simulate`.
func TestNoScheduleBreaksAPromise(t *testing.T) {
	stats, finding := Run(firstSeed, testSchedules, 2, nil)
	for _, seed := range foundSomething {
		if finding != nil {
			break
		}
		var more Stats
		more, finding = Run(seed, 1, 1, nil)
		stats.add(more)
	}
	t.Log(stats)
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
		a, b := scheduleOf(seed, noDefect).play(noDefect, true), scheduleOf(seed, noDefect).play(noDefect, true)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d is played in two ways", seed)
		}
		if c := scheduleOf(seed, noDefect).play(noDefect, false); c.stats != a.stats {
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
	if n := len(scheduleOf(*bad, defects()[1]).faults); strings.Count(f.Schedule, "\n")-1 > n {
		t.Errorf("the schedule has grown:\n%s", f.Schedule)
	}
	for _, want := range []string{"seed ", f.Violation.Invariant, "VIOLATION", "decides: "} {
		if !strings.Contains(story.String(), want) {
			t.Errorf("the story lacks %q:\n%s", want, story.String())
		}
	}
}
