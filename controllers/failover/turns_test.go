// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// A failover and its aftermath take 50 to 75 turns, most of which follow a write or wait for something.
func TestAFailoverIsNotSlowedDown(t *testing.T) {
	var p turns
	now := time.Now()
	for kill := range 10 {
		for turn := range 50 {
			if wait := p.begin(now); wait > 0 {
				t.Fatalf("turn %d of kill %d waits for %s", turn, kill, wait)
			}
			if again := p.next(turn%10 == 0, failover.Now(), now); again != failover.Now() {
				t.Fatalf("turn %d of kill %d is followed by one %s later", turn, kill, again)
			}
			now = now.Add(20 * time.Millisecond)
		}
		if again := p.next(false, failover.OnEvent(), now); again != failover.OnEvent() {
			t.Fatal("a loop that rests is woken")
		}
		now = now.Add(time.Second)
	}
}

// Scaling a set to 3, 5, 2 and 1 without pause took 500 turns that were due, 70 after a write and 150 that something
// else began, in half a minute. A failover after four minutes of it is as fast as any.
func TestAFailoverAfterManyPlannedOperationsIsNotSlowedDown(t *testing.T) {
	var p turns
	now := time.Now()
	turn := func(wrote bool, again failover.Again) {
		t.Helper()
		if wait := p.begin(now); wait > 0 {
			t.Fatalf("a turn waits for %s", wait)
		}
		p.next(wrote, again, now)
	}
	for range 8 * 10 { // three seconds each
		for range 15 {
			turn(false, failover.OnEvent())
			now = now.Add(100 * time.Millisecond)
		}
		for range 7 {
			turn(true, failover.After(0))
			now = now.Add(50 * time.Millisecond)
		}
		for range 50 {
			turn(false, failover.After(stepPause))
			now = now.Add(stepPause)
		}
		now = now.Add(650 * time.Millisecond)
	}
	for range 75 { // a failover
		turn(false, failover.OnEvent())
	}
}

// Whoever has the loop look again and again, and rest in between so that it is not slowed down, has a bound too.
func TestTurnsThatAreDueHaveABound(t *testing.T) {
	var p turns
	now, turns := time.Now(), 0
	end := now.Add(10 * time.Minute)
	for ; now.Before(end); now = now.Add(5 * time.Millisecond) {
		if p.begin(now) > 0 {
			continue
		}
		again := failover.After(5 * time.Millisecond)
		if turns++; turns%40 == 0 {
			again = failover.After(resting)
		}
		p.next(false, again, now)
	}
	if most := dueTurns * (turnsAtOnce + 600*turnsPerSecond); turns > most {
		t.Errorf("%d turns in ten minutes, want %d at most", turns, most)
	}
}

func TestATurnThatFailsIsFollowedByNoneThatIsDue(t *testing.T) {
	var p turns
	now, turns := time.Now(), 0
	p.begin(now)
	p.next(false, failover.Now(), now)
	for end := now.Add(time.Minute); now.Before(end); now = now.Add(5 * time.Millisecond) {
		if p.begin(now) == 0 {
			turns++
		}
	}
	if most := turnsAtOnce + 60*turnsPerSecond + 1; turns > most {
		t.Errorf("%d turns in a minute, want %d at most", turns, most)
	}
}

func TestTurnsThatLeadNowhereComeMoreAndMoreSlowly(t *testing.T) {
	var p turns
	now := time.Now()
	turnsUntil := func(end time.Time) (turns int) {
		for ; now.Before(end); turns++ {
			wait := p.begin(now)
			if wait == 0 {
				wait, _ = p.next(false, failover.Now(), now).Wait()
			}
			now = now.Add(max(wait, 2*time.Millisecond)) // what a turn takes
		}
		return turns
	}
	began := now
	if turns := turnsUntil(began.Add(10 * time.Second)); turns > 400 {
		t.Errorf("%d turns in 10 s for a Redis that never obeys", turns)
	}
	turnsUntil(began.Add(time.Minute))
	if turns := turnsUntil(now.Add(time.Minute)); turns > 31 {
		t.Errorf("%d turns in the second minute for a Redis that never obeys", turns)
	}
}

// A Redis that obeys in the end, after a long script say, has waited for most of it anyway.
func TestATurnAfterManyThatLedNowhereIsLateByAFractionOfTheWait(t *testing.T) {
	for _, stuck := range []time.Duration{time.Second, 10 * time.Second, time.Minute, time.Hour} {
		var p turns
		began := time.Now()
		p.begin(began)
		p.next(false, failover.After(stepPause), began)
		if wait, _ := p.next(false, failover.After(stepPause), began.Add(stuck)).
			Wait(); wait > max(
			stepPause,
			min(stuck/25, 2*time.Second),
		) {
			t.Errorf("after %s the next turn comes %s later", stuck, wait)
		}
	}
}

// What rests by itself has not been turning in vain.
func TestALoopThatRestsIsNotSlowedDownAfterwards(t *testing.T) {
	var p turns
	now := time.Now()
	for range 60 {
		p.begin(now)
		if wait, _ := p.next(false, failover.After(resting), now).Wait(); wait != resting {
			t.Fatalf("a loop that looks each %s waits for %s", resting, wait)
		}
		now = now.Add(resting)
	}
	p.begin(now)
	if wait, _ := p.next(false, failover.After(stepAtOnce), now).Wait(); wait != stepAtOnce {
		t.Errorf("its next turn comes %s later", wait)
	}
}

func TestARedisThatSaysSomethingElseEachTimeIsDecidedOnFourTimesASecond(t *testing.T) {
	var p turns
	now, turns := time.Now(), 0
	for end := now.Add(60 * time.Second); now.Before(end); now = now.Add(10 * time.Millisecond) {
		if p.begin(now) == 0 {
			p.next(true, failover.OnEvent(), now)
			turns++
		}
	}
	if most := turnsAtOnce + 60*turnsPerSecond; turns > most {
		t.Errorf("%d turns in a minute, want %d at most", turns, most)
	}
}
