// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/redisha/redisha/failover"
)

// Bounds of the turns that the loop takes for one RedisHA.
const (
	// turnsAtOnce is more than four minutes of scaling without pause take, and a failover after them. turnsPerSecond is
	// for a RedisHA that has used them up: its Redis says something else each time, say.
	turnsAtOnce    = 600
	turnsPerSecond = 4
	// dueTurns is how many turns that are due count as one that an event begins. The loop has asked for them, to look
	// again in some milliseconds: they are most of an ordinary operation's, and are slowed down where they lead nowhere.
	dueTurns = 16
	// livelyFor is how long turns may follow each other that change nothing on record, until they come more and more
	// slowly. It covers the time in which clients are cut over.
	livelyFor = 500 * time.Millisecond
	// slowestTurn is the pause between them in the end. What they wait for wakes the loop anyway, if it is a change in
	// kind.
	slowestTurn = 2 * time.Second
	// stillPart bounds such a pause: it takes a 25th of the time that has gone by without headway. What has taken a second
	// takes 40 ms longer at most.
	stillPart = 25
	// resting is a pause that a turn asks for by itself. A loop that looks so seldom waits for something to change.
	resting = 500 * time.Millisecond
)

// turns are how fast the loop turns for a RedisHA: at once while it makes headway, and slower and slower for a Redis
// that never obeys.
type turns struct {
	limiter *rate.Limiter // a token is a turn that is due
	due     time.Time     // when the next turn was asked for; zero: it is for an event to begin it
	still   time.Time     // since when turns have changed nothing on record; zero: the loop rested, or wrote
}

// begin is how long to wait for the next turn; zero: it may begin.
func (t *turns) begin(now time.Time) time.Duration {
	if t.limiter == nil {
		t.limiter = rate.NewLimiter(turnsPerSecond*dueTurns, turnsAtOnce*dueTurns)
	}
	costs := dueTurns
	if !t.due.IsZero() && !now.Before(t.due) {
		costs = 1
	}
	if !t.limiter.AllowN(now, costs) {
		return time.Second / turnsPerSecond
	}
	t.due = time.Time{} // a turn that fails asks for no other
	return 0
}

// next is when the next turn is to be taken, which a turn has asked for by again.
func (t *turns) next(wrote bool, again failover.Again, now time.Time) failover.Again {
	again = t.paced(wrote, again, now)
	if wait, timed := again.Wait(); timed {
		t.due = now.Add(wait)
	}
	return again
}

// paced slows turns down that lead nowhere.
func (t *turns) paced(wrote bool, again failover.Again, now time.Time) failover.Again {
	wait, timed := again.Wait()
	switch {
	case wrote, !timed, wait >= resting:
		t.still = time.Time{}
		return again
	case t.still.IsZero():
		t.still = now
	}
	if still := now.Sub(t.still); still > livelyFor {
		return failover.After(max(wait, min(still/stillPart, slowestTurn)))
	}
	return again
}
