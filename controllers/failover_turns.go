// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bounds of the turns that the loop takes for one RedisHA.
const (
	// turnsAtOnce is more than a failover and all that follows it take. turnsPerSecond is for a RedisHA that has used them
	// up: its Redis says something else each time, say.
	turnsAtOnce    = 600
	turnsPerSecond = 4
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

// pace is how fast the loop turns for each RedisHA: at once while it makes headway, and slower and slower for a Redis
// that never obeys.
type pace struct {
	mu sync.Mutex
	of map[string]*pacing
}

type pacing struct {
	turns *rate.Limiter
	still time.Time // since when turns have changed nothing on record; zero: the loop rested, or wrote
}

// begin is how long to wait for the next turn; zero: it may begin.
func (p *pace) begin(key string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil {
		p.of = map[string]*pacing{}
	}
	if p.of[key] == nil {
		p.of[key] = &pacing{turns: rate.NewLimiter(turnsPerSecond, turnsAtOnce)}
	}
	if p.of[key].turns.AllowN(now, 1) {
		return 0
	}
	return time.Second / turnsPerSecond
}

// next is when the next turn is to be taken, which a turn has asked for after again. Negative is for "when something
// changes".
func (p *pace) next(key string, wrote bool, again time.Duration, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	this := p.of[key]
	switch {
	case this == nil:
		return again
	case wrote, again < 0, again >= resting:
		this.still = time.Time{}
		return again
	case this.still.IsZero():
		this.still = now
	}
	if still := now.Sub(this.still); still > livelyFor {
		return max(again, min(still/stillPart, slowestTurn))
	}
	return again
}

func (p *pace) forget(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.of, key)
}
