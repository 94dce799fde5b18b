// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// on puts pods on machines, in the order of their ordinals.
func (w *world) on(machines ...string) {
	for i, m := range machines {
		w.nodes[i].Machine = m
	}
}

func (w *world) guard() int { return w.node(w.master()).Replication.MinReplicas }

func TestTheWriteGuardCountsFailureDomains(t *testing.T) {
	tests := map[string]struct {
		machines, zones []string
		want            int
	}{
		"each on a machine of its own":                {[]string{"a", "b", "c"}, nil, 1},
		"a replica beside the master":                 {[]string{"a", "a", "b"}, nil, 2},
		"two replicas on one machine, not the master": {[]string{"a", "b", "b"}, nil, 1},
		"all on one machine":                          {[]string{"a", "a", "a"}, nil, 1},
		"machines unknown":                            {[]string{"", "", ""}, nil, 1},
		"a replica in the master's zone":              {[]string{"a", "b", "c"}, []string{"x", "x", "y"}, 2},
		"one zone only":                               {[]string{"a", "a", "b"}, []string{"x", "x", "x"}, 2},
		"a machine without a zone":                    {[]string{"a", "b", "c"}, []string{"x", "x", ""}, 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.on(tc.machines...)
			for i, z := range tc.zones {
				w.nodes[i].Zone = z
			}
			w.pass(time.Second)
			if got := w.guard(); got != tc.want {
				t.Errorf("min-replicas-to-write %d, want %d", got, tc.want)
			}
		})
	}
}

// Replicas that are scaled away go within milliseconds of each other, and to write a status may take longer than that.
func TestTheGuardDoesNotCountReplicasThatAreToBeScaledAway(t *testing.T) {
	tests := map[string]struct {
		machines     []string
		replicas     int
		before, want int
	}{
		"a replica beside the master goes":        {[]string{"a", "b", "a", "c"}, 2, 2, 1},
		"one beside the master stays":             {[]string{"a", "a", "b", "c"}, 3, 2, 2},
		"all go, and the master hears them still": {[]string{"a", "b", "c"}, 1, 1, 1},
		"more are to come":                        {[]string{"a", "a", "b"}, 5, 2, 2},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := settled(t, len(tc.machines))
			w.on(tc.machines...)
			w.pass(time.Second)
			before := w.guard()
			w.policy.Replicas = tc.replicas
			w.pass(time.Second)
			if got := w.guard(); before != tc.before || got != tc.want {
				t.Errorf("min-replicas-to-write %d and then %d, want %d and %d", before, got, tc.before, tc.want)
			}
		})
	}
}

// The fault that the domains are counted for, and beside it the one that stays a hold.
func TestAMachineLostWithTheMasterAndAReplicaIsFailedOver(t *testing.T) {
	w := settled(t, 3)
	w.on("a", "a", "b")
	w.pass(2 * time.Second)
	w.write(1000, nil)
	w.hang("r-0")
	w.hang("r-1")
	w.pass(4500 * time.Millisecond)
	if w.master() != "r-2" {
		t.Errorf("master %s, state %s, reason %s", w.master(), w.progress.State, w.progress.Reason)
	}

	w = settled(t, 3)
	w.on("a", "b", "c")
	w.pass(2 * time.Second)
	w.hang("r-0")
	w.hang("r-1")
	w.pass(time.Minute)
	if w.master() != "r-0" || w.progress.Reason != failover.ReasonMasterUnreachableWithReplicas {
		t.Errorf("two machines of three are out of sight: master %s, reason %s", w.master(), w.progress.Reason)
	}
}

func TestASuccessorThatNeverHeardTheMasterKnowsItsGuard(t *testing.T) {
	w := settled(t, 3)
	w.on("a", "a", "b")
	w.pass(2 * time.Second)
	w.write(1000, nil)
	w.hang("r-0")
	w.hang("r-1")
	w.takeOver(5 * time.Second)
	w.heard("r-2", failover.ContactAnswering)
	for _, name := range []string{"r-0", "r-1"} {
		w.node(name).Contact, w.node(name).ContactSince = failover.ContactSilent, w.now
	}
	w.pass(5 * time.Second)
	if w.master() != "r-2" {
		t.Errorf("master %s, state %s, reason %s\n%s", w.master(), w.progress.State, w.progress.Reason, w.story())
	}
}

func TestTheGuardIsLoweredBeforeTheMasterStopsOnAccountOfASilentReplica(t *testing.T) {
	w := settled(t, 2)
	if w.guard() != 1 {
		t.Fatalf("min-replicas-to-write %d with a replica attached", w.guard())
	}
	w.onAction = func(a failover.Action) bool {
		if s, ok := a.(failover.SetMinReplicas); ok && s.MinReplicas == 0 && !w.progress.Nodes[0].WriteGuardOff {
			t.Error("lowered before it was written down that this master can write alone")
		}
		return true
	}
	w.hang("r-1")
	w.run()
	if w.guard() != 1 {
		t.Error("lowered at once: a sample may show a second too much")
	}
	w.pass(600 * time.Millisecond)
	if w.guard() != 0 {
		t.Fatalf("the master would stop: min-replicas-to-write is %d", w.guard())
	}
	// Now the master is silent, too: it may write on, alone.
	w.hang("r-0")
	w.node("r-1").Contact = failover.ContactAnswering
	w.pass(10 * time.Second)
	if w.master() != "r-0" || w.progress.Reason != failover.ReasonMasterUnreachableWithoutGuard {
		t.Errorf("master %s, reason %s", w.master(), w.progress.Reason)
	}
}

func TestTheGuardIsUpAgainWhenTheReplicaIs(t *testing.T) {
	w := settled(t, 2)
	w.write(1000, nil)
	w.hang("r-1")
	w.pass(time.Second)
	r1 := w.node("r-1")
	r1.Contact = failover.ContactAnswering
	w.pass(400 * time.Millisecond)
	if w.guard() != 1 || w.progress.Nodes[0].WriteGuardOff {
		t.Fatalf("min-replicas-to-write %d, written down as alone: %t", w.guard(), w.progress.Nodes[0].WriteGuardOff)
	}
	w.hang("r-0") // a second fault, seconds later
	w.pass(4500 * time.Millisecond)
	if w.master() != "r-1" {
		t.Errorf("master %s, reason %s", w.master(), w.progress.Reason)
	}
}

func TestTheGuardStaysForAReplicaThatTheMasterHearsAndWeDoNot(t *testing.T) {
	w := settled(t, 2)
	n := w.node("r-1")
	n.Contact, n.ContactSince = failover.ContactSilent, w.now
	for range 20 { // cut off from us only
		w.sleep(100 * time.Millisecond)
		w.node("r-0").Replication.Fresh, w.node("r-0").Replication.Followers = 1, 1
		if d, _ := w.once(); w.guard() != 1 {
			t.Fatalf("lowered: %s", d.Message)
		}
		w.node("r-0").FreshSince = time.Time{}
	}
}

func TestTheLossOfTheReplicaElsewhereLowersTheGuardAtOnce(t *testing.T) {
	w := settled(t, 3)
	w.on("a", "a", "b")
	w.pass(2 * time.Second)
	if w.guard() != 2 || w.progress.Nodes[0].WriteGuard != 2 {
		t.Fatalf("min-replicas-to-write %d, written down %d", w.guard(), w.progress.Nodes[0].WriteGuard)
	}
	w.die("r-2")
	w.run()
	if w.guard() != 1 || w.progress.Nodes[0].WriteGuard > 1 {
		t.Errorf("min-replicas-to-write %d, written down %d", w.guard(), w.progress.Nodes[0].WriteGuard)
	}
}

// One writer: a master that may be isolated is waited for until its guard has stopped it, one whose machine answers is
// not.
func TestAMasterThatMayBeIsolatedIsReplacedWhenItsGuardHasStoppedIt(t *testing.T) {
	tests := map[string]struct {
		downAfter time.Duration
		connected bool // a connection was made a moment ago: its process hangs
		want      time.Duration
	}{
		"its process hangs":                   {3 * time.Second, true, 3 * time.Second},
		"its machine is silent, too":          {3 * time.Second, false, 4 * time.Second},
		"a short down-after is what one asks": {2 * time.Second, false, 3 * time.Second},
		"a long one needs no margin":          {10 * time.Second, false, 10 * time.Second},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.policy.DownAfter = tc.downAfter
			w.write(1000, nil)
			w.hang("r-0")
			began := w.now
			for w.master() == "r-0" && w.now.Sub(began) < time.Minute {
				if tc.connected {
					w.node("r-0").ConnectedAt = w.now
				}
				w.pass(100 * time.Millisecond)
			}
			if took := w.now.Sub(began); took < tc.want || took > tc.want+500*time.Millisecond {
				t.Errorf("replaced after %s, want %s", took, tc.want)
			}
		})
	}
}

// The guard stops a master some time after it has heard a replica, not after it was heard by us.
func TestAMasterThatMayBeIsolatedIsWaitedForSinceItMayHaveHeardAReplica(t *testing.T) {
	isolated := func(t *testing.T) *world {
		w := settled(t, 3)
		w.write(1000, nil)
		w.hang("r-0")
		return w
	}
	touch := func(w *world) { // the network lets something through for an instant, and not to us
		for _, name := range []string{"r-1", "r-2"} {
			w.node(name).Replication.LastIO = 0
		}
		w.sample(0)
	}
	replaced := func(w *world, since time.Time) time.Duration {
		for w.master() == "r-0" && w.now.Sub(since) < time.Minute {
			w.pass(100 * time.Millisecond)
		}
		return w.now.Sub(since)
	}
	within := func(t *testing.T, took time.Duration) {
		t.Helper()
		if took < 4*time.Second || took > 4500*time.Millisecond {
			t.Errorf("replaced %s after it may have heard a replica, want 4s", took)
		}
	}
	t.Run("heard by a replica later than by us", func(t *testing.T) {
		w := isolated(t)
		w.pass(800 * time.Millisecond)
		touch(w)
		within(t, replaced(w, w.now))
	})
	t.Run("heard after the failover was begun, before it was detached", func(t *testing.T) {
		w := isolated(t)
		w.onAction = func(a failover.Action) bool {
			if d, is := a.(failover.Detach); is && w.node(d.Node.Pod).Heard.At.Before(w.progress.StartedAt) {
				if !d.Look {
					t.Errorf("%s is detached before it is known until when it has heard the master", d.Node.Pod)
				}
				touch(w)
			}
			return true
		}
		for w.progress.State != failover.StateFencing {
			w.sleep(100 * time.Millisecond)
			w.once()
		}
		within(t, replaced(w, w.now))
	})
	t.Run("detached by a predecessor that alone knew", func(t *testing.T) {
		w := isolated(t)
		for w.progress.State != failover.StateFencing {
			w.sleep(100 * time.Millisecond)
			w.once()
		}
		began := w.now
		w.takeOver(500 * time.Millisecond)
		w.heard("r-1", failover.ContactAnswering)
		w.heard("r-2", failover.ContactAnswering)
		w.heard("r-0", failover.ContactSilent)
		within(t, replaced(w, began))
	})
	t.Run("its process has ended", func(t *testing.T) {
		w := settled(t, 3)
		w.write(1000, nil)
		w.die("r-0")
		w.node("r-1").Stale = true // else the choice is made at once
		for w.progress.State != failover.StateFencing {
			w.once()
		}
		began := w.now
		w.takeOver(500 * time.Millisecond)
		w.heard("r-1", failover.ContactAnswering)
		w.heard("r-2", failover.ContactAnswering)
		w.heard("r-0", failover.ContactSilent) // its machine, too, by now
		if took := replaced(w, began); took > 2*time.Second {
			t.Errorf("a process that is known to have ended was waited for: %s", took)
		}
	})
}

// Applications wait for the guard of a master that has lost its last replica, and with it for what is written before.
func TestTheGuardIsLoweredWithoutAWriteWhenTheLastReplicasWereEndedOnPurpose(t *testing.T) {
	for name, replicas := range map[string]int{"a pair": 2, "two of three at once": 3} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, replicas)
			for _, n := range w.nodes[1:] {
				n.Terminating = true
			}
			w.pass(time.Second)
			if w.guard() == 0 || !w.progress.IsWriteGuardOff(w.node("r-0").Ref()) {
				t.Fatalf("guard %d, nodes %+v", w.guard(), w.progress.Nodes)
			}
			for i := 1; i < replicas; i++ {
				w.remove(w.nodes[1].Name)
			}
			w.writes = 0
			if w.once(); w.guard() != 0 || w.writes != 0 {
				t.Errorf("guard %d after %d write(s)\n%s", w.guard(), w.writes, w.story())
			}
			w.run()
			if len(w.progress.Nodes) != 1 {
				t.Errorf("what could wait was not written down: %+v", w.progress.Nodes)
			}
		})
	}
	w := settled(t, 3)
	w.node("r-1").Terminating = true
	w.pass(time.Second)
	if w.progress.IsWriteGuardOff(w.node("r-0").Ref()) {
		t.Error("a replica stays, and the guard is said to be off")
	}
}

// The fault that the record is for, and beside it the ordinary end of a replica.
func TestAMasterWhoseLastReplicaIsBeingEndedIsNotReplacedOnAGuess(t *testing.T) {
	w := settled(t, 2)
	w.node("r-1").Terminating = true
	w.pass(time.Second)
	w.hang("r-0") // or isolated, and its guard may have been lowered by now
	w.pass(10 * time.Second)
	if w.master() != "r-0" || w.progress.Reason != failover.ReasonMasterUnreachableWithoutGuard {
		t.Errorf("master %s, state %s, reason %s", w.master(), w.progress.State, w.progress.Reason)
	}
	w.remove("r-1")
	back := w.boot(1)
	w.nodes = append(w.nodes, back)
	w.node("r-0").Contact, w.node("r-0").ContactSince = failover.ContactAnswering, w.now
	w.pass(5 * time.Second)
	if w.guard() != 1 || w.progress.IsWriteGuardOff(w.node("r-0").Ref()) {
		t.Errorf("guard %d, %+v\n%s", w.guard(), w.progress.Nodes, w.story())
	}
}

// The network holds up what the new master answers, from the moment on that its replica was pointed at it.
func TestTheGuardIsNotLoweredForAReplicaThatWasPointedAtTheMasterSince(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.remove("r-2")
	w.die("r-0")
	for w.pub.Pod != "r-1" {
		w.once()
		w.now = w.now.Add(time.Millisecond)
	}
	came := w.boot(2)
	came.Replication.Lineage, came.Replication.Keys = w.node("r-1").Replication.Lineage, 1
	w.nodes = append(w.nodes, came)
	w.once() // orders it to follow
	if came.OrderedAt.IsZero() {
		t.Fatalf("it was not pointed at the master\n%s", w.story())
	}
	master := w.node("r-1")
	master.SampledAt, master.Replication.Followers, master.Replication.Fresh, master.Replication.MinReplicas = w.now.Add(
		-time.Millisecond,
	), 0, 0, 1
	w.now = w.now.Add(clientsFirstFor + time.Millisecond)
	for _, a := range Decide(w.now, w.policy, w.observe(), w.progress, w.request).Actions {
		if set, is := a.(failover.SetMinReplicas); is {
			t.Errorf("min-replicas-to-write is set to %d by what the master said before\n%s", set.MinReplicas, w.story())
		}
	}
}
