// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"slices"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// switching is a world amid a requested switchover from r-0 to r-1, right after the first action of the kind that at
// looks for: it was carried out, and what it did was not seen yet.
func switching(t *testing.T, at func(failover.Action) bool) *world {
	t.Helper()
	w := settled(t, 3)
	w.write(1000, nil)
	w.sleep(time.Second) // the order that the others follow by was given before
	w.request = &failover.Request{ID: "r-1", Target: "r-1", Verb: failover.VerbSwitchover}
	done := false
	w.onAction = func(a failover.Action) bool {
		before := done
		done = done || at(a)
		return !before
	}
	for range 20 {
		if w.once(); done {
			w.onAction = nil
			return w
		}
		w.sleep(5 * time.Millisecond)
	}
	t.Fatalf("it did not get so far\n%s", w.story())
	return nil
}

func is[A failover.Action](a failover.Action) bool {
	_, yes := a.(A)
	return yes
}

func TestFromTheDemotionUntilClientsAreLedToTheNextMasterNothingIsWritten(t *testing.T) {
	w := switching(t, is[failover.Drain])
	w.writes = 0
	for w.pub.Pod != "r-1" {
		w.once()
		w.sleep(5 * time.Millisecond)
	}
	w.sleep(clientsFirstFor / 2)
	w.once()
	if w.writes != 0 || w.progress.State != failover.StateSwitchingOver {
		t.Errorf("%d write(s), state %s\n%s", w.writes, w.progress.State, w.story())
	}
	w.run()
	h := w.history[0]
	names := make([]string, 0, len(h.Steps))
	for _, s := range h.Steps {
		names = append(names, s.Name)
	}
	want := []string{
		failover.StepEvidence, failover.StepIntent, failover.StepDemoted, failover.StepPromoted, failover.StepPublished,
		failover.StepReattached,
	}
	if w.master() != "r-1" || w.progress.Epoch != 2 || h.Kind != failover.KindSwitchover || h.GapBytes != 0 ||
		!slices.Equal(names, want) {
		t.Errorf("master %s by epoch %d, %+v\n%s", w.master(), w.progress.Epoch, h, w.story())
	}
}

func TestACandidateThatIsNotMasterSoonIsWrittenDown(t *testing.T) {
	w := switching(t, is[failover.Drain])
	w.deaf["r-1"] = true
	w.sleep(unwrittenFor)
	if w.once(); w.progress.State != failover.StatePromoting || w.progress.Epoch != 2 {
		t.Errorf("state %s, epoch %d\n%s", w.progress.State, w.progress.Epoch, w.story())
	}
}

func TestASuccessorGoesOnWithASwitchoverUnderItsEpoch(t *testing.T) {
	for name, at := range map[string]func(failover.Action) bool{
		"drained":   is[failover.Drain],
		"promoted":  is[failover.Promote],
		"published": is[failover.Publish],
	} {
		for _, oldMaster := range []failover.Contact{failover.ContactAnswering, failover.ContactSilent} {
			if name == "drained" && oldMaster == failover.ContactSilent {
				continue // it may not have been demoted
			}
			t.Run(name+", the old master is "+string(oldMaster), func(t *testing.T) {
				w := switching(t, at)
				w.takeOver(7 * time.Second)
				w.heardAll()
				w.heard("r-0", oldMaster)
				w.run()
				if w.master() != "r-1" || w.progress.Epoch != 2 {
					t.Errorf("master %s by epoch %d\n%s", w.master(), w.progress.Epoch, w.story())
				}
			})
		}
	}
}

func TestAnotherIsPromotedUnderAnotherEpochWhereTheCandidateMayBeMaster(t *testing.T) {
	for name, happen := range map[string]func(w *world){
		"it hangs":                          func(w *world) { w.hang("r-1") },
		"it hangs, and a successor leads":   func(w *world) { w.takeOver(7 * time.Second); w.heardAll(); w.heard("r-1", failover.ContactSilent) },
		"it is gone, and a successor leads": func(w *world) { w.takeOver(7 * time.Second); w.heardAll(); w.remove("r-1") },
		"another process runs in its pod":   func(w *world) { w.restart("r-1", false) },
	} {
		t.Run(name, func(t *testing.T) {
			w := switching(t, is[failover.Promote])
			run := w.progress.Candidate.RunID
			happen(w)
			for range 100 {
				if w.once(); w.progress.State != failover.StateSwitchingOver {
					break
				}
				w.sleep(failover.PromoteWithin / 50)
			}
			if w.progress.Epoch != 3 || !slices.Contains(w.progress.InterimMasters, run) {
				t.Errorf("epoch %d, interim masters %v\n%s", w.progress.Epoch, w.progress.InterimMasters, w.story())
			}
			w.pass(10 * time.Second)
			if w.progress.State != failover.StateStable || w.master() == "r-1" {
				t.Errorf("master %s in state %s\n%s", w.master(), w.progress.State, w.story())
			}
		})
	}
}

func TestAFailoverAmidASwitchoverRemembersACandidateThatMayBeMaster(t *testing.T) {
	for name, tc := range map[string]struct {
		at   func(failover.Action) bool
		want bool
	}{
		"drained":  {is[failover.Drain], false},
		"promoted": {is[failover.Promote], true},
	} {
		t.Run(name, func(t *testing.T) {
			w := switching(t, tc.at)
			run := w.progress.Candidate.RunID
			w.hang("r-1")
			w.restart("r-0", false)
			w.until(failover.StateFencing)
			if got := slices.Contains(w.progress.InterimMasters, run); got != tc.want {
				t.Errorf("interim masters %v\n%s", w.progress.InterimMasters, w.story())
			}
		})
	}
}

func TestASwitchoverOutOfReach(t *testing.T) {
	for name, tc := range map[string]struct {
		happen func(w *world)
		want   failover.State
	}{
		"it was promoted by us: there is no way back": {func(*world) {}, failover.StateFencing},
		"a successor does not know, and the old master may serve": {
			func(w *world) { w.takeOver(7 * time.Second); w.heardAll() }, failover.StateStable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := switching(t, is[failover.Promote])
			tc.happen(w)
			w.heard("r-0", failover.ContactSilent)
			w.heard("r-1", failover.ContactSilent)
			for range 100 {
				if w.once(); w.progress.State != failover.StateSwitchingOver {
					break
				}
				w.sleep(50 * time.Millisecond)
			}
			if w.progress.State != tc.want || len(w.progress.Retired) == 0 {
				t.Errorf("state %s, retired %v\n%s", w.progress.State, w.progress.Retired, w.story())
			}
		})
	}
}

func TestWhoWasMadeMasterByHandBesideTheMasterThatDrainsIsNotPublished(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.request = &failover.Request{ID: "r-1", Target: "r-1", Verb: failover.VerbSwitchover}
	w.onAction = func(a failover.Action) bool { return !is[failover.Drain](a) }
	w.once()
	w.promoteByHand("r-1", 0)
	w.pass(failover.SwitchoverWithin + time.Second)
	if w.master() != "r-0" || w.pub.Pod != "r-0" || w.history[0].Outcome != failover.OutcomeAborted {
		t.Errorf("master %s, %s is published, %+v\n%s", w.master(), w.pub.Pod, w.history, w.story())
	}
}
