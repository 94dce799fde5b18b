// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/executor"
)

// The RedisHA of the simulation.
const objectName = "default/r"

// operator is one operator process, and the next one in its place after a crash.
type operator struct {
	world *world
	name  string
	party party
	rate  float64 // of its clock; 1 is right
	skew  time.Duration

	alive      bool
	awakeSince instant
	life       int // grows with each start
	stopped    bool
	onWake     []func()
	tasks      []*task

	// Of one life:
	stalled    instant // its watches bring nothing until then
	cache      objects
	synced     bool
	own        echoes
	confirmed  bool // the progress was read past the cache, and is known by our own writes since
	leading    bool
	leaseTill  time.Time
	monitors   []*monitor
	fastSince  time.Time
	fastTill   time.Time
	voided     time.Time
	claimed    map[failover.NodeRef]bool
	ordered    map[string]failover.Action // by UID; the memory of a defect that believes replies
	executor   *executor.Executor
	wakeLoop   func()
	woken      bool
	crashIn    int // effects until it dies; 0: it does not
	last       failover.Decision
	lastAt     instant
	speechless instant // until when it had a reason for doing nothing
	publishing failover.Publication
	departures failover.Departures

	// Of one life, about the lease (succession.go):
	watching     *watch
	watched      int       // the life of the other operator that was connected to
	dead         lease     // whose holder is known to be dead
	doubted      time.Time // renewals that were sent before prove nothing
	hurried      bool
	wakeElection func()
}

// echoes is what was last written and what a cache may not show yet.
type echoes struct {
	progress  *failover.Progress
	swaps     int64
	published failover.Published
	slice     int64
	labels    map[string]ownLabel // by UID
}

// ownLabel is a label that was written, and since which version a cache shows it.
type ownLabel struct {
	role     failover.Role
	version  int64
	labelled int64 // as in podView
}

// epochStart is when all schedules begin.
var epochStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// now is the operator's own clock.
func (o *operator) now() time.Time {
	return epochStart.Add(o.skew + time.Duration(float64(o.world.now)*o.rate))
}

// real turns a duration by the operator's clock into one of the world.
func (o *operator) real(d time.Duration) time.Duration { return time.Duration(float64(d)/o.rate) + 1 }

// start starts the process: caches first, then the leader election.
func (o *operator) start() {
	o.alive, o.stopped, o.onWake, o.tasks = true, false, nil, nil
	o.life++
	o.awakeSince, o.stalled = o.world.now, 0
	o.cache, o.synced, o.own = objects{}, false, echoes{labels: map[string]ownLabel{}}
	o.confirmed = o.world.defect.cacheTrusted
	o.leading, o.leaseTill, o.monitors, o.claimed = false, time.Time{}, nil, map[failover.NodeRef]bool{}
	o.fastSince, o.fastTill, o.voided, o.crashIn, o.woken = time.Time{}, time.Time{}, time.Time{}, 0, false
	o.last, o.lastAt = failover.Decision{}, 0
	o.ordered, o.publishing, o.departures = map[string]failover.Action{}, failover.Publication{}, failover.Departures{}
	o.wakeLoop, o.wakeElection = func() {}, func() {}
	o.watching, o.watched, o.dead, o.doubted, o.hurried = nil, 0, lease{}, time.Time{}, false
	o.executor = executor.New(probes{o}, effects{o}, leaseOf{o}, executor.Options{Runtime: runtime{o}})
	o.world.api.publishTo(o)
	o.spawn(o.elect)
	o.spawn(o.follow)
}

func (o *operator) spawn(body func(t *task)) {
	var t *task
	t = o.world.spawn(o, func() { body(t) })
}

// crash ends the process between two effects, or anywhere else; another one is started later.
func (o *operator) crash(restartAfter time.Duration) {
	if !o.alive {
		return
	}
	o.world.note("%s dies", o.name)
	o.world.stats.crashes++
	o.alive, o.leading, o.stopped = false, false, false
	o.onWake = nil
	for _, t := range slices.Clone(o.tasks) {
		t.kill()
	}
	for _, m := range o.monitors {
		m.end()
	}
	o.monitors = nil
	o.tellOfEnd()
	o.world.after(restartAfter, func() {
		if !o.alive {
			o.world.note("%s starts", o.name)
			o.start()
		}
	})
	if t := o.world.current; t != nil && t.owner == o {
		panic(errKilled)
	}
}

// effect is called before each effect on the world: the next instruction may be the operator's last.
func (o *operator) effect() {
	if o.crashIn > 0 {
		if o.crashIn--; o.crashIn == 0 {
			o.crash(o.world.between(200*time.Millisecond, 6*time.Second))
		}
	}
}

// suspend stops the process for a while, as SIGSTOP or a sleeping machine does.
func (o *operator) suspend(d time.Duration) {
	if !o.alive || o.stopped {
		return
	}
	o.world.note("%s is suspended for %s", o.name, d)
	o.stopped = true
	life := o.life
	o.world.after(d, func() {
		if o.life != life || !o.alive {
			return
		}
		o.stopped, o.awakeSince = false, o.world.now
		wake := o.onWake
		o.onWake = nil
		for _, run := range wake {
			run()
		}
	})
}

// do runs something in the operator's process: not while it is stopped.
func (o *operator) do(run func()) {
	switch {
	case !o.alive:
	case o.stopped:
		o.onWake = append(o.onWake, func() {
			if o.alive {
				run()
			}
		})
	default:
		run()
	}
}

// see takes in what a watch brought.
func (o *operator) see(snapshot objects) {
	o.do(func() {
		if o.synced && snapshot.version <= o.cache.version {
			return
		}
		o.cache, o.synced = snapshot, true
		o.wake()
	})
}

// await starts something and parks until it is done, or until ctx ends.
func (o *operator) await(ctx context.Context, start func(done func(error))) error {
	t := o.world.current
	finished, err := false, context.DeadlineExceeded
	wake := t.waker()
	start(func(e error) {
		if !finished {
			finished, err = true, e
			wake()
		}
	})
	if deadline := deadlineOf(ctx); deadline < maxClockLook {
		o.world.at(deadline, wake)
	}
	t.park()
	finished = true
	return err
}

// call makes a request to the API server.
func (o *operator) call(ctx context.Context, change bool, run func() error) error {
	w := o.world
	return o.await(ctx, func(done func(error)) {
		w.send(o.party, apiServer, func() {
			w.after(w.between(100*time.Microsecond, w.cfg.apiLatency), func() {
				var err error
				if change && w.now < w.api.failing && w.rng.IntN(2) == 0 {
					err = errServer
				} else {
					err = run()
				}
				if w.now < w.api.mute && w.rng.IntN(2) == 0 {
					return // it worked, or not: the answer is lost
				}
				w.send(apiServer, o.party, func() { done(err) })
			})
		})
	})
}

// runtime is the executor's clock and its way of doing things at the same time.
type runtime struct{ o *operator }

func (r runtime) Now() time.Time { return r.o.now() }

func (r runtime) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	o := r.o
	deadline, shown := o.world.now+o.real(d), o.now().Add(d)
	if _, bounded := ctx.Deadline(); bounded {
		if outer := deadlineOf(ctx); outer < deadline {
			deadline, shown = outer, o.now().Add(time.Duration(float64(outer-o.world.now)*o.rate))
		}
	}
	return &simContext{Context: ctx, operator: o, deadline: deadline, shown: shown}, func() {}
}

func (r runtime) Sleep(ctx context.Context, d time.Duration) error {
	t := r.o.world.current
	t.sleep(min(r.o.real(d), max(0, deadlineOf(ctx)-r.o.world.now)))
	return ctx.Err()
}

func (r runtime) Together(functions []func()) {
	if len(functions) == 0 {
		return
	}
	caller := r.o.world.current
	left := len(functions)
	for _, f := range functions {
		r.o.spawn(func(*task) {
			f()
			if left--; left == 0 {
				caller.waker()()
			}
		})
	}
	caller.park()
}

// leaseOf is the operator's right to act (leader.Guard).
type leaseOf struct{ o *operator }

func (l leaseOf) Left() time.Duration {
	if l.o.world.defect.leaseIgnored {
		return time.Hour
	}
	return l.o.leaseTill.Sub(l.o.now())
}

// Leader election as client-go does it, with the manager's defaults (cmd/manager/options.go).
const (
	leaseDuration = 5 * time.Second
	renewDeadline = 3500 * time.Millisecond
	retryPeriod   = 500 * time.Millisecond
)

// candidacy is what an operator knows of the lease.
type candidacy struct {
	observed              lease
	observedAt, renewedAt time.Time
}

// elect tries to become leader, and to remain it.
func (o *operator) elect(t *task) {
	var c candidacy
	for {
		o.stand(&c)
		if o.leading && (o.now().Sub(c.renewedAt) > renewDeadline || c.observed.holder != o.party) {
			o.world.note("%s lost its lease", o.name)
			o.crash(o.world.between(500*time.Millisecond, 3*time.Second))
		}
		o.rest(t, o.real(retryPeriod+o.world.between(0, retryPeriod/5)-electorTick))
	}
}

// stand tries to get the lease, or to renew it, once.
func (o *operator) stand(c *candidacy) {
	ctx, _ := runtime{o}.WithTimeout(context.Background(), renewDeadline)
	var seen lease
	if o.call(ctx, false, func() error { seen = o.world.api.lease; return nil }) != nil {
		return
	}
	if seen != c.observed {
		c.observed, c.observedAt = seen, o.now()
	}
	if c.observed.held && c.observed.holder != o.party {
		o.leaseTill = time.Time{}
		if c.observed != o.dead && o.now().Sub(c.observedAt) < leaseDuration {
			return
		}
	}
	began, before := o.now(), c.observed
	if !o.renew(ctx, &c.observed) {
		return
	}
	c.observedAt, c.renewedAt = o.now(), o.now()
	if !began.Before(o.doubted) {
		o.leaseTill = began.Add(leaseDuration)
	}
	if !o.leading {
		o.world.stats.heirs += count(before.held && before == o.dead)
		o.lead()
	}
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func (o *operator) renew(ctx context.Context, observed *lease) bool {
	a := o.world.api
	var after lease
	expected := *observed // a request that the network holds up carries what was known when it was sent
	err := o.call(ctx, true, func() error {
		if a.lease != expected {
			return errConflict
		}
		a.lease = lease{holder: o.party, held: true, life: o.life, renewed: a.lease.renewed + 1}
		after = a.lease
		return nil
	})
	if err == nil {
		*observed = after
	}
	if errors.Is(err, errConflict) {
		o.leaseTill = time.Time{}
	}
	return err == nil
}

func (o *operator) lead() {
	o.leading, o.awakeSince = true, o.world.now
	o.world.stats.takeovers++
	o.world.note("%s leads", o.name)
	o.spawn(o.loop)
}

func (o *operator) wake() {
	o.woken = true
	o.wakeLoop()
}

func (o *operator) String() string { return fmt.Sprintf("%s (leading %t)", o.name, o.leading) }
