// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"context"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
	"github.com/redisha/redisha/redisclient"
)

// fakeRedis answers INFO with what the test says. The commands that change a Redis are not the prober's.
type fakeRedis struct {
	link.Redis
	opts redisclient.Options

	mu     sync.Mutex
	answer func(ctx context.Context) (redisclient.Info, error)
	asked  int
	closed bool
}

func (f *fakeRedis) Info(ctx context.Context) (redisclient.Info, error) {
	f.mu.Lock()
	f.asked++
	answer := f.answer
	f.mu.Unlock()
	return answer(ctx)
}

func (f *fakeRedis) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

func (f *fakeRedis) says(answer func(context.Context) (redisclient.Info, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

func (f *fakeRedis) timesAsked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *fakeRedis) isClosed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

func answering(info redisclient.Info) func(context.Context) (redisclient.Info, error) {
	return func(context.Context) (redisclient.Info, error) { return info, nil }
}

func failing(err error) func(context.Context) (redisclient.Info, error) {
	return func(context.Context) (redisclient.Info, error) { return redisclient.Info{}, err }
}

// hanging is a process that was stopped: nothing comes back.
func hanging(ctx context.Context) (redisclient.Info, error) {
	<-ctx.Done()
	return redisclient.Info{}, ctx.Err()
}

// world is a Prober over fake Redis processes, by address.
type world struct {
	*Prober
	clock *clocktesting.FakeClock // nil: real time
	stuck string                  // UID of a pod whose probe does not end

	mu    sync.Mutex
	redis map[string]*fakeRedis
	wakes int
}

const key = "default/cache"

// newWorld closes the Prober at the end of the test. Without a fake clock the pods rest for an hour between probes.
func newWorld(t *testing.T, fakeTime bool) *world {
	t.Helper()
	w := &world{redis: map[string]*fakeRedis{}}
	opts := Options{Dial: w.dial, Wake: w.wake, Period: time.Hour, ProbeTimeout: 100 * time.Millisecond}
	if fakeTime {
		w.clock = clocktesting.NewFakeClock(start)
		opts.Clock, opts.Period = w.clock, 0
	}
	w.Prober = New(opts)
	t.Cleanup(w.Close)
	return w
}

func (w *world) dial(o redisclient.Options) link.Redis {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.redis[o.Addr] = &fakeRedis{opts: o, answer: answering(replica())}
	return w.redis[o.Addr]
}

func (w *world) wake(string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wakes++
}

func (w *world) timesWoken() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wakes
}

func (w *world) at(addr string) *fakeRedis {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.redis[addr]
}

func (w *world) node(t *testing.T, uid string) failover.Node {
	t.Helper()
	for _, n := range w.Observe(key) {
		if n.UID == uid {
			return n
		}
	}
	t.Fatalf("pod %s is not watched", uid)
	return failover.Node{}
}

// three are the pods of a RedisHA.
func three() []Target {
	return []Target{
		{Pod: "cache-0", UID: "u0", IP: "10.0.0.1", Port: 6379},
		{Pod: "cache-1", UID: "u1", IP: "10.0.0.2", Port: 6379},
		{Pod: "cache-2", UID: "u2", IP: "10.0.0.3", Port: 6379},
	}
}

// settled watches three pods, and returns when all have answered.
func settled(t *testing.T, fakeTime bool) *world {
	t.Helper()
	w := newWorld(t, fakeTime)
	w.Ensure(key, three(), Credentials{})
	for _, target := range three() {
		eventually(t, target.Pod+" answers", func() bool { return w.node(t, target.UID).Sampled })
	}
	if !fakeTime {
		time.Sleep(fastFor + 100*time.Millisecond) // the first answers were news; now all rest
		return w
	}
	w.pass(t, time.Second, 3)
	return w
}

// pass lets fake time pass, probe by probe of so many pods that answer at once.
func (w *world) pass(t *testing.T, d time.Duration, pods int) {
	t.Helper()
	for end := w.clock.Now().Add(d); w.clock.Now().Before(end); {
		w.resting(t, pods)
		w.clock.Step(DefaultPeriod)
	}
	w.resting(t, pods)
}

// watchdogs is how many timers the watchdog waits for.
const watchdogs = 1

// resting waits until so many pods' loops sleep, with nothing left that woke them.
func (w *world) resting(t *testing.T, pods int) {
	t.Helper()
	eventually(t, "all pods rest", func() bool { return w.clock.Waiters() == pods+watchdogs && !w.poked() })
}

func (w *world) poked() bool {
	for _, q := range w.pods(key) {
		if len(q.trigger) > 0 && q.target.UID != w.stuck {
			return true
		}
	}
	return false
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
