// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"context"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
	"github.com/redisha/redisha/redisclient"
)

// pod is one watched pod: a connection, the loop that asks over it, and what was learnt.
type pod struct {
	target  Target
	watch   *watch
	opts    Options
	link    *link.Link
	dog     *watchdog
	ctx     context.Context // ends when the pod is not to be watched any more
	cancel  context.CancelFunc
	trigger chan struct{} // holds a token when the next probe is not to wait

	mu      sync.Mutex
	state   state
	due     time.Time       // by when the loop is to be heard of next; zero once its absence was noted
	waiters []chan struct{} // closed at the end of the next probe that begins
	ended   bool

	nonsense nonsense
}

// run probes until the pod is not to be watched any more.
func (q *pod) run() {
	defer q.end()
	for q.ctx.Err() == nil {
		if !q.turn() {
			q.rest(panicPause, nil)
		} else if pause := q.nonsensePause(); pause > 0 {
			q.rest(pause, nil)
		} else {
			q.rest(q.watch.interval(q.opts.Clock.Now()), q.trigger)
		}
	}
}

// nonsensePause is how long a pod is left alone that talks nonsense; zero: it makes sense.
func (q *pod) nonsensePause() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.nonsense.pause(q.opts.Clock.Now())
}

// panicPause is how long a pod is left alone whose answer made us panic.
const panicPause = 5 * time.Second

// turn is one probe. What an answer makes panic is the end of that probe, and of no other: false, and the pod counts as
// silent.
func (q *pod) turn() (sound bool) {
	waiters := q.begin()
	defer func() {
		for _, w := range waiters {
			close(w)
		}
	}()
	defer func() {
		if why := recover(); why != nil {
			q.opts.Panicked(q.watch.key, q.target.Pod, why, debug.Stack())
			q.panicked()
		}
	}()
	q.expect(q.opts.ProbeTimeout)
	q.probe()
	return true
}

// panicked makes the pod count as silent.
func (q *pod) panicked() {
	now := q.opts.Clock.Now()
	q.take(outcome{began: now, ended: now, class: redisclient.ClassOther})
}

// begin returns who waits for the probe that begins now.
func (q *pod) begin() []chan struct{} {
	select {
	case <-q.trigger:
	default:
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	waiters := q.waiters
	q.waiters = nil
	return waiters
}

// probe asks once, and records the outcome.
func (q *pod) probe() {
	q.mu.Lock()
	marks := q.state.marks
	q.mu.Unlock()
	ctx, cancel := context.WithTimeout(q.ctx, q.opts.ProbeTimeout)
	defer cancel()
	began := q.opts.Clock.Now()
	info, err := q.link.Info(ctx)
	out := outcome{began: began, ended: q.opts.Clock.Now(), marks: marks, info: info, class: redisclient.Classify(err)}
	if q.ctx.Err() != nil || out.class == redisclient.ClassCanceled {
		return
	}
	if out.class == redisclient.ClassTimeout && out.ended.Sub(began) > q.opts.ProbeTimeout+q.opts.tolerated() {
		return // we were not there to hear the answer
	}
	q.take(out)
}

// take takes an outcome in, and tells whom it concerns.
func (q *pod) take(out outcome) {
	q.mu.Lock()
	before := q.state.kind()
	q.state.record(out)
	q.nonsense.note(out)
	change := changed(before, q.state.kind())
	q.mu.Unlock()
	switch {
	case !change.Hurries:
	case change.Urgent:
		q.watch.hurry(out.ended)
	default:
		q.watch.keepHurrying(out.ended)
	}
	if change.Wakes {
		q.opts.Wake(q.watch.key)
	}
}

// onEOF is called the moment the connection ends. The other pods are asked at once too, as witnesses.
func (q *pod) onEOF(error) {
	now := q.opts.Clock.Now()
	q.update(func(s *state) { s.eofAt = now })
	if q.ctx.Err() == nil {
		q.watch.hurry(now)
	}
}

// onConnect is called when a connection was made. The kernel of its machine sees to that for a process that hangs.
func (q *pod) onConnect() {
	now := q.opts.Clock.Now()
	q.update(func(s *state) { s.connected(now) })
}

// rest waits until the next probe is due or asked for.
func (q *pod) rest(interval time.Duration, asked <-chan struct{}) {
	timer := q.opts.Clock.NewTimer(interval)
	defer timer.Stop()
	q.expect(interval)
	select {
	case <-timer.C():
	case <-asked:
	case <-q.ctx.Done():
	}
}

// expect says when the loop is to be heard of next, and notices when it is late by now: in one step, so that there is
// no instant at which a pause would go unnoticed.
func (q *pod) expect(within time.Duration) {
	now := q.opts.Clock.Now()
	q.appointed(now, now.Add(within))
}

// noteGap notices that the loop is much later than due, or the whole process. Whoever runs first after a gap has to
// ask, before believing that it was the others who were silent.
func (q *pod) noteGap() { q.appointed(q.opts.Clock.Now(), time.Time{}) }

// appointed compares now with when the loop was due, and sets when it is due next; zero leaves that alone, except that
// an absence is noted once only, should the loop itself be what is late. A loop that is late asked its own pod too
// late, and no other; that the process stood still is the watchdog's to say.
func (q *pod) appointed(now, next time.Time) {
	q.dog.look(now)
	q.update(func(s *state) {
		late := !q.due.IsZero() && now.Sub(q.due) > q.opts.tolerated()
		if late {
			s.voidSilence(now)
		}
		if late || !next.IsZero() {
			q.due = next
		}
	})
}

// void starts the pod's silence anew; that its loop is late is accounted for by that.
func (q *pod) void(now time.Time) {
	q.update(func(s *state) {
		s.voidSilence(now)
		q.due = time.Time{}
	})
}

// poke makes the loop probe without waiting.
func (q *pod) poke() {
	select {
	case q.trigger <- struct{}{}:
	default:
	}
}

// request pokes, and returns a channel that is closed when a probe that began afterwards has ended.
func (q *pod) request() <-chan struct{} {
	done := make(chan struct{})
	q.mu.Lock()
	if q.ended || q.target.IP == "" {
		close(done)
	} else {
		q.waiters = append(q.waiters, done)
	}
	q.mu.Unlock()
	q.poke()
	return done
}

// isWanted reports whether the pod is among uids, or answers if there are none.
func (q *pod) isWanted(uids []string) bool {
	if len(uids) > 0 {
		return slices.Contains(uids, q.target.UID)
	}
	return q.snapshot().Contact == failover.ContactAnswering
}

// look is snapshot for a decision.
func (q *pod) look() failover.Node {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.state.look()
}

func (q *pod) snapshot() failover.Node {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.state.node
}

func (q *pod) update(change func(*state)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	change(&q.state)
}

func (q *pod) end() {
	q.cancel()
	q.link.Close()
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
	for _, w := range q.begin() {
		close(w)
	}
}
