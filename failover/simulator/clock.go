// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"
)

// instant is simulated time since the beginning of a schedule.
type instant = time.Duration

// event is something that happens at an instant.
type event struct {
	at  instant
	seq uint64
	run func()
}

func (e event) before(o event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

// maxSteps is more than any schedule takes that does not run in circles.
const maxSteps = 1_000_000

// clock is the world's clock: events happen one after the other, in the order of their instants, and in the order
// in which they were made where those are equal.
type clock struct {
	now     instant
	seq     uint64
	queue   []event // a binary heap
	current *task   // the task that runs now; nil in an event
	idle    []*task // coroutines without work, for the next tasks
	all     []*task
	steps   uint64
	overrun func() // called at maxSteps
}

// after makes something happen d from now.
func (k *clock) after(d time.Duration, run func()) { k.at(k.now+max(d, 0), run) }

func (k *clock) at(t instant, run func()) {
	k.seq++
	k.queue = append(k.queue, event{max(t, k.now), k.seq, run})
	for i := len(k.queue) - 1; i > 0; {
		parent := (i - 1) / 2
		if !k.queue[i].before(k.queue[parent]) {
			break
		}
		k.queue[i], k.queue[parent] = k.queue[parent], k.queue[i]
		i = parent
	}
}

func (k *clock) pop() event {
	first, last := k.queue[0], len(k.queue)-1
	k.queue[0] = k.queue[last]
	k.queue[last] = event{}
	k.queue = k.queue[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if k.queue[child].before(k.queue[least]) {
				least = child
			}
		}
		if least == i {
			return first
		}
		k.queue[i], k.queue[least] = k.queue[least], k.queue[i]
		i = least
	}
}

// run lets everything happen up to and including until, or until stop says so.
func (k *clock) run(until instant, stop func() bool) {
	for len(k.queue) > 0 && k.queue[0].at <= until && !stop() {
		e := k.pop()
		k.now = e.at
		if k.steps++; k.steps == maxSteps {
			k.overrun()
		}
		e.run()
	}
}

// close ends the coroutines that were made.
func (k *clock) close() {
	for _, t := range k.all {
		t.stop()
	}
}

// errKilled unwinds a task whose operator has died.
var errKilled = errors.New("the operator that runs this task has died")

// task is a coroutine: code that takes simulated time. Only one runs at any instant.
type task struct {
	clock  *clock
	owner  *operator // whose process it belongs to; it stands still while that is stopped
	body   func()
	next   func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	token  uint64 // grows with each resumption: a wake-up that comes too late finds another value
	done   bool
	killed bool
}

// spawn starts a task, at the present instant but not before the present event ends.
func (k *clock) spawn(owner *operator, body func()) *task {
	var t *task
	if n := len(k.idle); n > 0 {
		t, k.idle = k.idle[n-1], k.idle[:n-1]
	} else {
		t = &task{clock: k}
		t.next, t.stop = iter.Pull(t.loop)
		k.all = append(k.all, t)
	}
	t.owner, t.body, t.done, t.killed = owner, body, false, false
	if owner != nil {
		owner.tasks = append(owner.tasks, t)
	}
	k.after(0, t.waker())
	return t
}

// loop runs one body after the other.
func (t *task) loop(yield func(struct{}) bool) {
	t.yield = yield
	for {
		if !t.killed {
			t.runBody()
		}
		t.done = true
		t.token++
		if !yield(struct{}{}) {
			return
		}
	}
}

func (t *task) runBody() {
	defer func() {
		if r := recover(); r != nil && r != any(errKilled) {
			panic(r)
		}
	}()
	t.body()
}

// waker returns a function that resumes the task, unless it was resumed otherwise before.
func (t *task) waker() func() {
	token := t.token
	return func() {
		if t.token == token && !t.done {
			t.clock.after(0, func() { t.resume(token) })
		}
	}
}

func (t *task) resume(token uint64) {
	if t.token != token || t.done {
		return
	}
	if t.owner != nil && t.owner.stopped {
		t.owner.onWake = append(t.owner.onWake, func() { t.resume(token) })
		return
	}
	t.step()
}

func (t *task) step() {
	k := t.clock
	before := k.current
	k.current = t
	t.token++
	t.next()
	k.current = before
	if t.done {
		if t.owner != nil {
			t.owner.tasks = slices.DeleteFunc(t.owner.tasks, func(o *task) bool { return o == t })
		}
		k.idle = append(k.idle, t)
	}
}

// park hands control back until a waker is called.
func (t *task) park() {
	if !t.yield(struct{}{}) || t.killed {
		panic(errKilled)
	}
}

// sleep parks for d.
func (t *task) sleep(d time.Duration) {
	t.clock.after(d, t.waker())
	t.park()
}

// kill unwinds a task that is parked.
func (t *task) kill() {
	if !t.done && t != t.clock.current {
		t.killed = true
		t.step()
	}
}

// simContext is a context whose deadline is an instant of the simulated world.
type simContext struct {
	context.Context
	operator *operator
	deadline instant
	shown    time.Time
}

func (c *simContext) Deadline() (time.Time, bool) { return c.shown, true }

func (c *simContext) Done() <-chan struct{} { return nil }

func (c *simContext) Err() error {
	if err := c.Context.Err(); err != nil {
		return err
	}
	if c.operator.world.now >= c.deadline {
		return context.DeadlineExceeded
	}
	return nil
}

// deadlineKey finds the innermost simulated deadline of a context.
type deadlineKey struct{}

func (c *simContext) Value(key any) any {
	if key == (deadlineKey{}) {
		return c.deadline
	}
	return c.Context.Value(key)
}

// deadlineOf returns by when a context ends.
func deadlineOf(ctx context.Context) instant {
	if d, ok := ctx.Value(deadlineKey{}).(instant); ok {
		return d
	}
	return 1 << 62
}
