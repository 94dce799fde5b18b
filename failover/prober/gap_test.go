// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"context"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

// stuckIn makes the probe of a pod last until the test ends, and returns when it is under way.
func (w *world) stuckIn(t *testing.T, target Target) {
	t.Helper()
	stuck := make(chan struct{})
	t.Cleanup(func() { close(stuck) })
	redis := w.at(target.IP + ":6379")
	asked := redis.timesAsked()
	redis.says(func(context.Context) (redisclient.Info, error) { <-stuck; return replica(), nil })
	w.stuck = target.UID
	w.clock.Step(DefaultPeriod)
	eventually(t, "its probe is under way", func() bool { return redis.timesAsked() > asked })
}

// One loop that is late (its turn on the connection came late, say) says nothing about the others: they were asked in
// time.
func TestALoopThatIsLateVoidsNoOtherSilence(t *testing.T) {
	w := settled(t, true)
	w.at("10.0.0.2:6379").says(failing(context.DeadlineExceeded))
	w.pass(t, 10*DefaultPeriod, 3)
	silent := w.node(t, "u1").SilentFor(w.clock.Now())
	if silent < 9*DefaultPeriod {
		t.Fatalf("silent for %v only", silent)
	}
	w.stuckIn(t, three()[0])
	before := w.clock.Now()
	w.pass(t, 20*DefaultPeriod, 2)
	w.Observe(key) // looks at the late one, too
	w.pass(t, DefaultPeriod, 2)
	if got, want := w.node(t, "u1").SilentFor(w.clock.Now()), silent+w.clock.Since(before); got < want {
		t.Errorf("silent for %v, want %v: another pod's loop was late, and its own was not", got, want)
	}
	if w.node(t, "u2").Stale {
		t.Error("the sample of a pod that was asked in time is stale")
	}
	if got := w.node(t, "u0").SilentFor(w.clock.Now()); got > 20*DefaultPeriod {
		t.Errorf("the late one is silent for %v: it was not asked in time", got)
	}
}

// Overload must not feed itself: what the prober missed because it was late is asked once, at the pace of pods at rest.
func TestAfterAGapOfOurOwnNoReconcilerIsWokenAndNoPodIsHurried(t *testing.T) {
	w := settled(t, true)
	asked, woken := w.at("10.0.0.1:6379").timesAsked(), w.timesWoken()
	w.clock.Step(time.Minute)
	w.resting(t, 3)
	w.pass(t, 2*fastFor, 3)
	if got, most := w.at("10.0.0.1:6379").timesAsked()-asked, int(2*fastFor/DefaultPeriod)+1; got > most {
		t.Errorf("asked %d times within %v after a gap, want %d at most", got, 2*fastFor, most)
	}
	if got := w.timesWoken() - woken; got != 0 {
		t.Errorf("%d reconcilers were woken, of which none had looked", got)
	}
	for _, n := range w.Observe(key) {
		if n.Stale || !n.WatchedSince.After(start.Add(time.Minute)) {
			t.Errorf("%s: stale %t, watched since %v", n.Name, n.Stale, n.WatchedSince)
		}
	}
}

// A decision that met a stale sample waits for a fresh one, and is told when there is one.
func TestWhoDecidedOnAStaleSampleIsWokenByAFreshOne(t *testing.T) {
	w := settled(t, true)
	release := make(chan struct{})
	redis := w.at("10.0.0.1:6379")
	asked := redis.timesAsked()
	redis.says(func(context.Context) (redisclient.Info, error) { <-release; return replica(), nil })
	w.clock.Step(DefaultPeriod)
	eventually(t, "its probe is under way", func() bool { return redis.timesAsked() > asked })
	w.clock.Step(time.Minute)
	if !w.node(t, "u0").Stale {
		t.Fatal("not stale after a minute without us")
	}
	redis.says(answering(replica()))
	woken := w.timesWoken()
	close(release)
	for range 3 {
		time.Sleep(5 * time.Millisecond)
		w.clock.Step(DefaultPeriod)
	}
	eventually(t, "it is woken", func() bool { return w.timesWoken() > woken })
}

func TestAStandstillIsNotedOnceAndNotTakenForALoopThatIsLate(t *testing.T) {
	voided := 0
	clock := settled(t, true).clock
	d := newWatchdog(Options{Clock: clock}.withDefaults(), func(time.Time) { voided++ })
	for range 10 {
		clock.Step(beat)
		d.look(clock.Now())
		d.beaten()
	}
	if voided != 0 {
		t.Fatalf("%d standstills of a process that ran", voided)
	}
	clock.Step(time.Minute)
	d.look(clock.Now())
	d.look(clock.Now())
	if voided != 1 {
		t.Errorf("a standstill was noted %d times", voided)
	}
}

// Faults that come one after the other, as `make clients` lets them happen, are no flapping: each is looked at fast.
func TestAFaultEverySixSecondsIsLookedAtFastEachTime(t *testing.T) {
	w := &watch{opts: Options{}.withDefaults()}
	now := start
	for fault := range 600 {
		w.hurry(now)
		for range 8 { // the process is back, the others have lost their links, one is promoted, …
			now = now.Add(10 * time.Millisecond)
			w.keepHurrying(now)
		}
		if w.interval(now) >= DefaultPeriod {
			t.Fatalf("fault %d is looked at once a period", fault)
		}
		now = now.Add(6 * time.Second)
	}
}

// A process that says it is another one with each answer makes its siblings be asked at once, each time. That has a
// bound.
func TestPodsThatFlapAreAskedOnceAPeriodInTheEnd(t *testing.T) {
	w := &watch{opts: Options{}.withDefaults()}
	now, fast := start, time.Duration(0)
	for now.Sub(start) < time.Minute {
		w.hurry(now)
		step := w.interval(now)
		if step < DefaultPeriod {
			fast += step
		}
		now = now.Add(step)
	}
	if most := hasteMost + time.Minute/hasteRefill + fastFor; fast > most {
		t.Errorf("probed fast for %v of a minute, want %v at most", fast, most)
	}
	pokes := 0
	for range 100 {
		before := w.poked
		w.hurry(now)
		now = now.Add(DefaultFastPeriod / 8)
		if w.poked != before {
			pokes++
		}
	}
	if pokes > 10 {
		t.Errorf("all pods were asked at once %d times in %v", pokes, 100*DefaultFastPeriod/8)
	}
	for now = now.Add(2 * time.Minute); w.interval(now) != DefaultPeriod; {
		t.Fatal("still fast after two minutes of calm")
	}
	w.hurry(now)
	if w.interval(now) > DefaultFastPeriod {
		t.Error("after two minutes of calm a failover is not watched closely")
	}
}

// Ten kills in a row, each watched closely for two seconds at a time in all, are no flapping.
func TestMastersKilledInARowAreWatchedClosely(t *testing.T) {
	w := &watch{opts: Options{}.withDefaults()}
	now := start
	for kill := range 10 {
		w.hurry(now)
		if w.interval(now) > DefaultFastPeriod {
			t.Fatalf("kill %d is not watched closely", kill)
		}
		for range 50 { // what follows it
			now = now.Add(10 * time.Millisecond)
			w.keepHurrying(now)
		}
		now = now.Add(5 * time.Second)
	}
}

func TestAPanicInOnePodsLoopIsToldAndEndsNoOther(t *testing.T) {
	told := make(chan string, 10)
	w := newWorld(t, false)
	w.opts.Panicked = func(key, pod string, why any, stack []byte) {
		if len(stack) == 0 {
			t.Error("without a stack")
		}
		told <- key + "/" + pod + ": " + why.(string)
	}
	w.Ensure(key, three(), Credentials{})
	for _, target := range three() {
		eventually(t, target.Pod+" answers", func() bool { return w.node(t, target.UID).Sampled })
	}
	time.Sleep(fastFor + 100*time.Millisecond)
	first := w.at("10.0.0.1:6379")
	first.says(func(context.Context) (redisclient.Info, error) { panic("makeslice: len out of range") })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	w.Refresh(ctx, key, "u0", "u1") // returns: who waited for the probe is not left waiting
	if ctx.Err() != nil {
		t.Fatal("who waits for a probe that panics waits for ever")
	}
	if got := <-told; got != key+"/cache-0: makeslice: len out of range" {
		t.Errorf("told %q", got)
	}
	eventually(t, "it counts as out of reach", func() bool { return w.node(t, "u0").Contact == failover.ContactSilent })
	eventually(t, "its connection is closed", first.isClosed)
	before := time.Now()
	w.Refresh(ctx, key, "u1", "u2")
	if !w.node(t, "u1").SampledAt.After(before) || !w.node(t, "u2").SampledAt.After(before) {
		t.Error("the others are not probed any more")
	}
	if w.at("10.0.0.1:6379") == first {
		t.Fatal("it is asked over the connection that made us panic")
	}
	eventually(
		t,
		"it is asked again after a pause",
		func() bool { return w.node(t, "u0").Contact == failover.ContactAnswering },
	)
}
