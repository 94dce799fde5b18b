// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"bytes"
	"context"
	"runtime/pprof"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

func TestASettledPodCostsOneProbeAPeriod(t *testing.T) {
	w := settled(t, true)
	before := w.at("10.0.0.1:6379").timesAsked()
	w.pass(t, 20*DefaultPeriod, 3)
	if got := w.at("10.0.0.1:6379").timesAsked() - before; got != 20 {
		t.Errorf("%d probes in 20 periods", got)
	}
}

func TestOffsetsMovingDoNotWake(t *testing.T) {
	w := settled(t, true)
	before := w.timesWoken()
	for i := range 5 {
		moved := replica()
		moved.Offset, moved.AppliedOffset, moved.Keys = moved.Offset+int64(i), moved.AppliedOffset+int64(i), int64(i)
		w.at("10.0.0.1:6379").says(answering(moved))
		w.pass(t, DefaultPeriod, 3)
	}
	if got := w.timesWoken() - before; got != 0 {
		t.Errorf("woken %d times", got)
	}
	if got := w.node(t, "u0").Replication.Lineage.Offset; got != replica().AppliedOffset+4 {
		t.Errorf("the last sample's offset is %d", got)
	}
}

func TestALinkThatGoesDownWakes(t *testing.T) {
	w := settled(t, true)
	before := w.timesWoken()
	down := replica()
	down.LinkUp = false
	w.at("10.0.0.1:6379").says(answering(down))
	w.pass(t, DefaultPeriod, 3)
	if got := w.timesWoken() - before; got != 1 {
		t.Errorf("woken %d times, want once", got)
	}
}

func TestARestartedProcessShowsInTheNextSample(t *testing.T) {
	w := settled(t, true)
	restarted := replica()
	restarted.RunID = "run-2"
	w.at("10.0.0.1:6379").says(answering(restarted))
	w.pass(t, DefaultPeriod, 3)
	if got := w.node(t, "u0").Replication.RunID; got != "run-2" {
		t.Errorf("run_id is %q", got)
	}
}

func TestAnEOFReprobesThePodAndItsWitnessesAtOnce(t *testing.T) {
	w := settled(t, false)
	master, witness := w.at("10.0.0.1:6379"), w.at("10.0.0.2:6379")
	asked, woken := witness.timesAsked(), w.timesWoken()
	master.says(failing(syscall.ECONNREFUSED))
	began := time.Now()
	master.opts.OnEOF(syscall.ECONNRESET)
	eventually(t, "the master is refused", func() bool { return w.node(t, "u0").Contact == failover.ContactRefused })
	eventually(t, "the controller is woken", func() bool { return w.timesWoken() > woken })
	eventually(t, "the witness is asked twice or more", func() bool { return witness.timesAsked() >= asked+2 })
	if took := time.Since(began); took > time.Minute {
		t.Errorf("took %v, with an hour between probes", took)
	}
	if since := w.node(t, "u0").ContactSince; w.node(t, "u1").SampledAt.Before(since) {
		t.Errorf("the witness's sample is older than the loss (%v)", since)
	}
}

func TestAnEOFWithASuccessorListeningIsNoLossOfContact(t *testing.T) {
	w := settled(t, false)
	redis := w.at("10.0.0.1:6379")
	var once sync.Once
	redis.says(func(context.Context) (redisclient.Info, error) {
		err := error(nil)
		once.Do(func() { err = syscall.EPIPE })
		return replica(), err
	})
	asked := redis.timesAsked()
	redis.opts.OnEOF(syscall.ECONNRESET)
	eventually(t, "it is asked again", func() bool { return redis.timesAsked() >= asked+3 })
	if n := w.node(t, "u0"); n.Contact != failover.ContactAnswering || n.ContactSince.After(n.RoleSince.Add(time.Second)) {
		t.Errorf("contact is %q since %v", n.Contact, n.ContactSince)
	}
}

func TestOneHungPodDoesNotDelayTheOthers(t *testing.T) {
	w := settled(t, false)
	entered := make(chan struct{}, 100)
	release := make(chan struct{})
	defer close(release)
	w.at("10.0.0.1:6379").says(func(context.Context) (redisclient.Info, error) {
		entered <- struct{}{}
		<-release // longer than any deadline
		return redisclient.Info{}, context.DeadlineExceeded
	})
	go w.Refresh(t.Context(), key, "u0")
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	before := w.node(t, "u1").SampledAt
	w.Refresh(ctx, key, "u1", "u2")
	if ctx.Err() != nil || !w.node(t, "u1").SampledAt.After(before) {
		t.Error("the others were not probed while one hung")
	}
}

func TestSilenceIsMeasuredWhileWeAreThere(t *testing.T) {
	w := settled(t, true)
	w.at("10.0.0.1:6379").says(failing(context.DeadlineExceeded))
	w.pass(t, 10*DefaultPeriod, 3)
	n := w.node(t, "u0")
	if n.Contact != failover.ContactSilent || n.SilentFor(w.clock.Now()) < 9*DefaultPeriod {
		t.Errorf("contact is %q, silent for %v", n.Contact, n.SilentFor(w.clock.Now()))
	}
}

func TestAGapOfOurOwnVoidsSilence(t *testing.T) {
	w := settled(t, true)
	w.at("10.0.0.1:6379").says(failing(context.DeadlineExceeded))
	w.pass(t, 10*DefaultPeriod, 3)
	w.resting(t, 3)
	w.clock.Step(time.Minute) // the process was paused
	resumed := w.clock.Now()
	eventually(t, "the silence is void", func() bool { return !w.node(t, "u0").WatchedSince.Before(resumed) })
	for _, n := range w.Observe(key) {
		if got := n.SilentFor(resumed); got != 0 {
			t.Errorf("%s is silent for %v", n.Name, got)
		}
	}
	w.pass(t, 5*DefaultPeriod, 3)
	if got := w.node(t, "u0").SilentFor(w.clock.Now()); got != 5*DefaultPeriod {
		t.Errorf("silent for %v after the gap, want it measured anew", got)
	}
}

// The controller may be the first to run again, before any loop of the prober.
func TestAGapOfOurOwnVoidsSilenceForWhoeverLooksFirst(t *testing.T) {
	w := settled(t, true)
	stuck := make(chan struct{})
	defer close(stuck)
	for _, target := range three() {
		w.at(target.IP + ":6379").says(func(context.Context) (redisclient.Info, error) {
			<-stuck
			return replica(), nil
		})
	}
	w.clock.Step(DefaultPeriod)
	eventually(t, "all probes are under way", func() bool { return w.clock.Waiters() == watchdogs })
	w.clock.Step(time.Minute)
	for _, n := range w.Observe(key) {
		if got := n.SilentFor(w.clock.Now()); got != 0 {
			t.Errorf("%s is silent for %v", n.Name, got)
		}
	}
}

func TestALoopThatIsLateItselfVoidsSilenceOnce(t *testing.T) {
	w := settled(t, true)
	stuck := make(chan struct{})
	defer close(stuck)
	redis := w.at("10.0.0.1:6379")
	asked := redis.timesAsked()
	redis.says(func(context.Context) (redisclient.Info, error) { <-stuck; return replica(), nil })
	w.clock.Step(DefaultPeriod)
	eventually(t, "its probe is under way", func() bool { return redis.timesAsked() > asked })
	w.stuck = "u0" // what wakes it now waits until its probe ends
	w.pass(t, 20*DefaultPeriod, 2)
	w.Observe(key)
	w.pass(t, 20*DefaultPeriod, 2)
	if got := w.node(t, "u0").SilentFor(w.clock.Now()); got < 19*DefaultPeriod {
		t.Errorf("silent for %v, want it counted on", got)
	}
}

func TestATimeoutThatWeSleptThroughIsNoSilence(t *testing.T) {
	w := settled(t, true)
	redis := w.at("10.0.0.1:6379")
	redis.says(func(context.Context) (redisclient.Info, error) {
		w.clock.Step(time.Minute)
		return redisclient.Info{}, context.DeadlineExceeded
	})
	w.clock.Step(DefaultPeriod)
	asked := redis.timesAsked()
	eventually(t, "it is probed", func() bool { return redis.timesAsked() > asked })
	redis.says(answering(replica()))
	eventually(t, "silence is void", func() bool { return w.node(t, "u0").WatchedSince.After(start.Add(time.Minute)) })
	if got := w.node(t, "u0").Contact; got != failover.ContactAnswering {
		t.Errorf("contact is %q", got)
	}
}

func TestRefreshReturnsWithNewerSamples(t *testing.T) {
	w := settled(t, false)
	before := time.Now()
	w.Refresh(t.Context(), key)
	for _, n := range w.Observe(key) {
		if n.SampledAt.Before(before) {
			t.Errorf("%s was sampled at %v, before the call at %v", n.Name, n.SampledAt, before)
		}
	}
}

func TestRefreshOfAHungPodEndsWithItsContext(t *testing.T) {
	w := settled(t, false)
	release := make(chan struct{})
	defer close(release)
	w.at("10.0.0.1:6379").says(func(context.Context) (redisclient.Info, error) { <-release; return replica(), nil })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	w.Refresh(ctx, key, "u0")
	if ctx.Err() == nil {
		t.Error("returned before the pod was probed")
	}
}

func TestAMutationMakesASampleStaleUntilTheNextProbe(t *testing.T) {
	w := settled(t, false)
	w.MarkStale(key, "u0")
	if !w.node(t, "u0").Stale {
		t.Fatal("not stale")
	}
	woken := w.timesWoken()
	w.Refresh(t.Context(), key, "u0")
	if w.node(t, "u0").Stale {
		t.Error("still stale after a probe")
	}
	eventually(t, "the controller hears of it", func() bool { return w.timesWoken() > woken })
}

func TestCutsAreRememberedUntilTheProcessIsAnotherOneOrAMaster(t *testing.T) {
	at := func(second int) time.Time { return time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC) }
	info := redisclient.Info{RunID: "a", Role: redisclient.RoleReplica}
	l := Learn(Target{Pod: "r-0", UID: "u0"}, at(0))
	sample := func(second int) failover.Node {
		l.End(l.Begin(at(second)), at(second), info, nil)
		return l.Node()
	}
	sample(1)
	l.MarkClientsCut(at(2), false, 1)
	l.MarkClientsCut(at(3), false, 0)
	l.MarkClientsCut(at(4), true, 0)
	l.MarkClientsCut(at(5), true, 0)
	want := failover.Cut{First: at(2), Last: at(3), Hit: at(2), Writers: at(5), Looks: 2, Misses: 2}
	if got := sample(6).Cut; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	l.MarkClientsCut(at(7), true, 1)
	l.MarkClientsCut(at(30), true, 0)
	if got := sample(31).Cut; got.Looks != 1 || got.Misses != 1 {
		t.Errorf("after a calm, %+v", got)
	}
	info.Role = redisclient.RoleMaster
	if got := sample(32).Cut; got != (failover.Cut{}) {
		t.Errorf("a master's clients were cut: %+v", got)
	}
	info.Role = redisclient.RoleReplica
	l.MarkClientsCut(at(33), false, 0)
	info.RunID = "b"
	if got := sample(34).Cut; got != (failover.Cut{}) {
		t.Errorf("another process inherits %+v", got)
	}
}

func TestWritesThatAReplicaRefusedAreDated(t *testing.T) {
	at := func(second int) time.Time { return time.Date(2026, 1, 1, 0, 0, second, 0, time.UTC) }
	info := redisclient.Info{RunID: "a", Role: redisclient.RoleReplica, RefusedWrites: 3}
	l := Learn(Target{Pod: "r-0", UID: "u0"}, at(0))
	sample := func(second int) (time.Time, bool) {
		change := l.End(l.Begin(at(second)), at(second), info, nil)
		return l.Node().RefusedAt, change.Wakes
	}
	if got, _ := sample(1); !got.Equal(at(1)) {
		t.Errorf("a process that is met with refused writes: %s", got)
	}
	if got, differs := sample(2); !got.Equal(at(1)) || differs {
		t.Errorf("no more of them: %s, wakes the controller %t", got, differs)
	}
	l.MarkClientsCut(at(3), true, 1)
	sample(4)
	info.RefusedWrites++
	if got, differs := sample(5); !got.Equal(at(5)) || !differs {
		t.Errorf("one more: %s, wakes the controller %t", got, differs)
	}
	info.RefusedWrites++
	if _, differs := sample(6); differs {
		t.Error("each refused write wakes the controller")
	}
	info.Role, info.RefusedWrites = redisclient.RoleMaster, 9
	if got, _ := sample(7); !got.Equal(at(6)) {
		t.Errorf("of a master: %s", got)
	}
}

func TestAPodWithAnotherUIDOrAddressIsAnotherPod(t *testing.T) {
	change := map[string]func(*Target){
		"UID": func(x *Target) { x.UID = "u9" },
		"IP":  func(x *Target) { x.IP = "10.0.0.9" },
	}
	for name, alter := range change {
		t.Run(name, func(t *testing.T) {
			w := settled(t, false)
			w.MarkClientsCut(key, "u0", false, 1)
			old, kept := w.at("10.0.0.1:6379"), w.at("10.0.0.2:6379")
			targets := three()
			alter(&targets[0])
			w.Ensure(key, targets, Credentials{})
			if n := w.node(t, targets[0].UID); n.Cut != (failover.Cut{}) {
				t.Errorf("the new pod inherited %+v", n)
			}
			eventually(t, "the old connection is closed", old.isClosed)
			if kept.isClosed() || w.at("10.0.0.2:6379") != kept {
				t.Error("an unchanged pod was disturbed")
			}
		})
	}
}

func TestEnsureTwiceChangesNothing(t *testing.T) {
	w := settled(t, false)
	before := w.at("10.0.0.1:6379")
	w.Ensure(key, three(), Credentials{})
	if w.at("10.0.0.1:6379") != before || before.isClosed() {
		t.Error("the pod was watched anew")
	}
}

func TestAPodWithoutAnAddressIsKnownButNotAsked(t *testing.T) {
	w := newWorld(t, false)
	w.Ensure(key, []Target{{Pod: "cache-0", UID: "u0", Port: 6379}}, Credentials{})
	w.Refresh(t.Context(), key, "u0")
	if n := w.node(t, "u0"); n.Contact != failover.ContactNone || n.WatchedSince.IsZero() {
		t.Errorf("got %+v", n)
	}
	if _, ok := w.Link(key, "u0"); ok {
		t.Error("there is a link to it")
	}
}

func TestObserveKeepsTheOrderOfEnsure(t *testing.T) {
	w := newWorld(t, false)
	targets := three()
	slices.Reverse(targets)
	w.Ensure(key, targets, Credentials{})
	for i, n := range w.Observe(key) {
		if n.Name != targets[i].Pod || n.IP != targets[i].IP {
			t.Errorf("node %d is %s at %s", i, n.Name, n.IP)
		}
	}
	if got := w.Observe("default/other"); len(got) != 0 {
		t.Errorf("observed %v of a RedisHA that is not watched", got)
	}
}

func TestARotatedPasswordIsUsedByTheNextConnection(t *testing.T) {
	w := newWorld(t, false)
	w.Ensure(key, three(), Credentials{Shown: redisclient.Password("old")})
	redis := w.at("10.0.0.1:6379")
	before := redis.opts.Credentials()[0].Password
	w.Ensure(key, three(), Credentials{Shown: redisclient.Password("new")})
	if after := redis.opts.Credentials()[0].Password; before != "old" || after != "new" {
		t.Errorf("passwords were %q, then %q", before, after)
	}
}

func TestRemoveEndsTheConnections(t *testing.T) {
	w := settled(t, false)
	redis := w.at("10.0.0.1:6379")
	w.Remove(key)
	eventually(t, "the connection is closed", redis.isClosed)
	if got := w.Observe(key); len(got) != 0 {
		t.Errorf("still observed: %v", got)
	}
}

func TestCloseLeavesNoGoroutineBehind(t *testing.T) {
	w := settled(t, false)
	w.at("10.0.0.1:6379").says(hanging)
	w.MarkStale(key, "u0")
	waiting := make(chan struct{})
	go func() { defer close(waiting); w.Refresh(context.Background(), key, "u0") }()
	w.Close()
	select {
	case <-waiting:
	case <-time.After(10 * time.Second):
		t.Error("Refresh still waits")
	}
	var stacks bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(stacks.Bytes(), []byte("(*pod).run")) {
		t.Errorf("a loop still runs:\n%s", stacks.String())
	}
	for _, target := range three() {
		if !w.at(target.IP + ":6379").isClosed() {
			t.Errorf("the connection to %s is open", target.Pod)
		}
	}
	w.Ensure(key, three(), Credentials{})
	if got := w.Observe(key); len(got) != 0 {
		t.Errorf("a closed prober watches %v", got)
	}
}

func TestEverythingMayBeCalledAtOnce(t *testing.T) {
	w := newWorld(t, false)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var callers sync.WaitGroup
	for _, call := range []func(){
		func() { w.Ensure(key, three(), Credentials{Shown: redisclient.Password("x")}) },
		func() { w.Ensure(key, three()[:2], Credentials{}) },
		func() { w.Remove("default/other"); w.Ensure("default/other", three(), Credentials{}) },
		func() { w.Observe(key) },
		func() { w.Refresh(ctx, key, "u0", "u1") },
		func() { w.MarkStale(key, "u1"); w.MarkClientsCut(key, "u1", false, 1) },
		func() {
			if l, ok := w.Link(key, "u0"); ok {
				_, _ = l.Info(ctx)
			}
			if redis := w.at("10.0.0.1:6379"); redis != nil {
				redis.opts.OnEOF(syscall.ECONNRESET)
			}
		},
	} {
		callers.Go(func() {
			for ctx.Err() == nil {
				call()
				time.Sleep(time.Millisecond)
			}
		})
	}
	callers.Wait()
	w.Ensure(key, three(), Credentials{})
	for _, target := range three() {
		eventually(t, target.Pod+" is sampled", func() bool { return w.node(t, target.UID).Sampled })
	}
}
