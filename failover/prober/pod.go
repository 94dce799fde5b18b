package prober

import (
	"context"
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
	onGap   func(now time.Time)
	gaps    *sync.Mutex     // of all pods: held from noticing a gap until its silences are void
	ctx     context.Context // ends when the pod is not to be watched any more
	cancel  context.CancelFunc
	trigger chan struct{} // holds a token when the next probe is not to wait

	mu      sync.Mutex
	state   state
	due     time.Time       // by when the loop is to be heard of next; zero once its absence was noted
	waiters []chan struct{} // closed at the end of the next probe that begins
	ended   bool
}

// run probes until the pod is not to be watched any more.
func (q *pod) run() {
	defer q.end()
	for q.ctx.Err() == nil {
		waiters := q.begin()
		q.expect(q.opts.ProbeTimeout)
		q.probe()
		for _, w := range waiters {
			close(w)
		}
		q.rest()
	}
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
	q.mu.Lock()
	before := q.state.kind()
	q.state.record(out)
	after := q.state.kind()
	q.mu.Unlock()
	q.report(before, after, out.ended)
}

func (q *pod) report(before, after kind, now time.Time) {
	switch {
	case before == after:
		return
	case before.hasty() == after.hasty():
	case before.contact != after.contact || before.runID != after.runID:
		q.watch.hurry(now)
	default:
		q.watch.keepHurrying(now)
	}
	q.opts.Wake(q.watch.key)
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
func (q *pod) rest() {
	interval := q.watch.interval(q.opts.Clock.Now())
	timer := q.opts.Clock.NewTimer(interval)
	defer timer.Stop()
	q.expect(interval)
	select {
	case <-timer.C():
	case <-q.trigger:
	case <-q.ctx.Done():
	}
}

// expect says when the loop is to be heard of next, and notices when it is late by now: in one step, so that there is no
// instant at which a pause would go unnoticed.
func (q *pod) expect(within time.Duration) {
	now := q.opts.Clock.Now()
	q.appointed(now, now.Add(within))
}

// noteGap notices that this process itself was away (paused, throttled), when the loop is much later than due. Whoever
// runs first after a gap has to ask, before believing that it was the others who were silent.
func (q *pod) noteGap() { q.appointed(q.opts.Clock.Now(), time.Time{}) }

// appointed compares now with when the loop was due, and sets when it is due next; zero leaves that alone, except that
// an absence is noted once only, should the loop itself be what is late.
func (q *pod) appointed(now, next time.Time) {
	q.gaps.Lock()
	defer q.gaps.Unlock()
	away := false
	q.update(func(*state) {
		away = !q.due.IsZero() && now.Sub(q.due) > q.opts.tolerated()
		if away || !next.IsZero() {
			q.due = next
		}
	})
	if away {
		q.onGap(now)
	}
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
