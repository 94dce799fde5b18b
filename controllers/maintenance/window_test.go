// SPDX-License-Identifier: Apache-2.0

package maintenance

import (
	"strings"
	"testing"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
)

func window(schedule string, minutes int32, zone string) v1alpha1.MaintenanceWindow {
	return v1alpha1.MaintenanceWindow{Schedule: schedule, DurationMinutes: minutes, TimeZone: zone}
}

// at reads an instant with its offset.
func at(t *testing.T, text string) time.Time {
	t.Helper()
	instant, err := time.Parse("2006-01-02T15:04:05Z07:00", text)
	if err != nil {
		t.Fatal(err)
	}
	return instant
}

// The clock of Berlin is put forward at 01:00 UTC on 2026-03-29, from 2 to 3, and back at 01:00 UTC on 2026-10-25, from
// 3 to 2.
func TestWhenAWindowIsOpen(t *testing.T) {
	saturdays := []v1alpha1.MaintenanceWindow{window("0 3 * * sat", 60, "UTC")}
	berlin := func(schedule string, minutes int32) []v1alpha1.MaintenanceWindow {
		return []v1alpha1.MaintenanceWindow{window(schedule, minutes, "Europe/Berlin")}
	}
	for name, tc := range map[string]struct {
		windows []v1alpha1.MaintenanceWindow
		now     string
		opens   string // empty: one is open
		turns   time.Duration
	}{
		"without windows it is always": {now: "2026-12-01T12:00:00Z"},
		"before one":                   {saturdays, "2026-12-01T12:00:00Z", "2026-12-05T03:00:00Z", 87 * time.Hour},
		"a second before it begins":    {saturdays, "2026-12-05T02:59:59Z", "2026-12-05T03:00:00Z", time.Second},
		"when it begins":               {saturdays, "2026-12-05T03:00:00Z", "", time.Hour},
		"a second before it ends":      {saturdays, "2026-12-05T03:59:59Z", "", time.Second},
		"when it ends":                 {saturdays, "2026-12-05T04:00:00Z", "2026-12-12T03:00:00Z", 167 * time.Hour},
		"of two the next one is waited for": {
			append([]v1alpha1.MaintenanceWindow{window("0 0 1 1 *", 60, "UTC")}, saturdays...),
			"2026-12-01T12:00:00Z", "2026-12-05T03:00:00Z", 87 * time.Hour,
		},
		"of two one is enough": {
			append([]v1alpha1.MaintenanceWindow{window("0 12 * * *", 60, "UTC")}, saturdays...),
			"2026-12-01T12:30:00Z", "", 30 * time.Minute,
		},
		"one that is longer than its period has no end": {
			[]v1alpha1.MaintenanceWindow{window("0 * * * *", 90, "UTC")}, "2026-12-01T12:59:59Z", "", 30*time.Minute + time.Second,
		},
		"nor has one that is as long as it, at night when the clock is put forward": {berlin("0 * * * *", 60), "2026-03-29T01:30:00Z", "", 30 * time.Minute},
		"nor when it is put back":                          {berlin("0 * * * *", 60), "2026-10-25T01:30:00Z", "", 30 * time.Minute},
		"in winter by the clock of its zone":               {berlin("0 2 * * *", 60), "2026-12-01T01:00:00Z", "", time.Hour},
		"in summer, too":                                   {berlin("0 2 * * *", 60), "2026-07-01T00:00:00Z", "", time.Hour},
		"what the clock is put forward over comes later":   {berlin("30 2 * * sun", 60), "2026-03-29T00:59:00Z", "2026-03-29T01:30:00Z", 31 * time.Minute},
		"and is open then":                                 {berlin("30 2 * * sun", 60), "2026-03-29T01:30:00Z", "", time.Hour},
		"and stays so for as long as ever":                 {berlin("30 2 * * sun", 60), "2026-03-29T02:29:00Z", "", time.Minute},
		"and is over then":                                 {berlin("30 2 * * sun", 60), "2026-03-29T02:30:00Z", "2026-04-05T00:30:00Z", 166 * time.Hour},
		"what the clock shows twice is one the first time": {berlin("30 2 * * sun", 60), "2026-10-25T00:30:00Z", "", time.Hour},
		"and the second":                                   {berlin("30 2 * * sun", 60), "2026-10-25T02:29:00Z", "", time.Minute},
		"and lasts elapsed time":                           {berlin("0 0 * * sun", 180), "2026-10-25T00:59:00Z", "", time.Minute},
		"an hour that is shown twice ends":                 {berlin("0 0 * * sun", 180), "2026-10-25T01:00:00Z", "2026-10-31T23:00:00Z", 166 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := At(tc.windows, at(t, tc.now))
			if err != nil {
				t.Fatal(err)
			}
			want := State{Closed: tc.opens != "", Turns: tc.turns}
			if want.Closed {
				want.Opens = at(t, tc.opens)
			}
			if got.Closed != want.Closed || got.Turns != want.Turns || !got.Opens.Equal(want.Opens) {
				t.Errorf("it is %+v, want %+v", got, want)
			}
		})
	}
}

// What a definition of another version let in, or a zone that this operator does not know, must move no master.
func TestAWindowThatCannotBeReadIsClosedAndNamed(t *testing.T) {
	for says, bad := range map[string]v1alpha1.MaintenanceWindow{
		"spec.maintenanceWindows[1].schedule: ":                           window("@every 1h", 60, "UTC"),
		"spec.maintenanceWindows[1].schedule: expected exactly 5 fields":  window("0 3 * *", 60, "UTC"),
		"spec.maintenanceWindows[1].schedule: beginning of range":         window("50-10 * * * *", 60, "UTC"),
		"spec.maintenanceWindows[1].schedule: \"0 0 31 2 *\" never comes": window("0 0 31 2 *", 60, "UTC"),
		"spec.maintenanceWindows[1].timeZone: unknown time zone Mars/Olympus": window(
			"0 3 * * *", 60, "Mars/Olympus"),
	} {
		always := window("* * * * *", 60, "UTC")
		got, err := At([]v1alpha1.MaintenanceWindow{always, bad}, at(t, "2026-12-01T12:00:00Z"))
		if err == nil || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("it says %v, want %s", err, says)
		}
		if (got != State{Closed: true}) {
			t.Errorf("%s: it is %+v, want closed", says, got)
		}
	}
}

// Between two of its turns nothing is looked at, so nothing may change there: what is said in the months in which clocks
// are put forward and back is compared with what was said before.
func TestNothingChangesBetweenTwoTurns(t *testing.T) {
	for _, w := range []v1alpha1.MaintenanceWindow{
		window("30 2 * * *", 90, "Europe/Berlin"), window("0 2 * * 0", 60, "America/New_York"),
		window("15,45 1-3 * * *", 20, "Australia/Lord_Howe"), window("0 0 29 2 *", 600, "Africa/Cairo"),
	} {
		windows := []v1alpha1.MaintenanceWindow{w}
		var last State
		var turns time.Time
		for now := at(t, "2026-03-01T00:00:00Z"); now.Year() < 2027; now = now.Add(7 * time.Minute) {
			if now.Month() == time.May {
				now = at(t, "2026-09-30T00:00:00Z")
			}
			state, err := At(windows, now)
			if err != nil {
				t.Fatal(err)
			}
			if now.Before(turns) && (state.Closed != last.Closed || !state.Opens.Equal(last.Opens)) {
				t.Fatalf("%s in %s: at %s it is %+v, and %+v was said until %s", w.Schedule, w.TimeZone, now, state, last, turns)
			}
			last, turns = state, now.Add(state.Turns)
		}
	}
}
