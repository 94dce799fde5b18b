// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"context"
	"errors"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/executor"
)

// Bounds of one turn of the controller's loop, as in controllers/failover_controller.go.
const (
	stepBudget     = 5 * time.Second
	stepPause      = 10 * time.Millisecond
	retryPause     = 50 * time.Millisecond
	requestTimeout = 5 * time.Second
	firstBackoff   = 5 * time.Millisecond
	mostBackoff    = time.Second
)

// crashWithin is how many orders an operator may have given, since it wrote the state down after which it is to die. A
// switchover gives six until the next master is published: two to the old one, three to the next.
const crashWithin = 8

// loop is the controller's queue with its one worker: observe, decide, persist, act, observe.
func (o *operator) loop(t *task) {
	failures := 0
	again := time.Duration(0)
	for {
		if !o.woken {
			o.wakeLoop = t.waker()
			if again > 0 {
				o.world.after(o.real(again), o.wakeLoop)
			}
			t.park()
		}
		o.woken = false
		var err error
		again, err = o.reconcile(t)
		if err == nil {
			failures = 0
			continue
		}
		again = min(firstBackoff<<min(failures, 30), mostBackoff)
		failures++
	}
}

// reconcile carries the failover on as far as it goes now; it returns when to look again, or zero.
func (o *operator) reconcile(t *task) (time.Duration, error) {
	if !o.synced {
		return 0, nil
	}
	if !o.confirmed {
		if err := o.readLive(); err != nil {
			return 0, err
		}
	}
	for began := o.now(); o.now().Sub(began) < stepBudget; {
		again, err := o.step()
		if errors.Is(err, errConflict) {
			err, again = o.readLive(), 0
		}
		if err != nil {
			return 0, err
		}
		if again > stepPause || again < 0 {
			return max(again, 0), nil
		}
		if again > 0 {
			t.sleep(o.real(again))
		}
	}
	return retryPause, nil
}

// readLive reads the object past the cache. Until it succeeds nothing is decided.
func (o *operator) readLive() error {
	ctx, cancel := runtime{o}.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	o.own.swaps, o.own.progress, o.confirmed = 0, nil, o.world.defect.cacheTrusted
	var live objects
	err := o.call(ctx, false, func() error { live = o.world.api.now; return nil })
	if err == nil {
		o.own.progress, o.own.swaps, o.confirmed = live.progress, live.swaps, true
		o.own.published, o.own.slice = live.published, live.slice
	}
	return err
}

// step is one turn.
func (o *operator) step() (time.Duration, error) {
	w := o.world
	o.ensure(o.cache.pods)
	obs := o.observe()
	before, swaps := o.progress(), o.swaps()
	now := o.now()
	obs.ObserverSuspect = w.now < w.sickTill
	decision := w.defect.decide(o, now, o.cache.policy, obs, *before, o.cache.request)
	w.checks.onDecision(o, *before, decision)
	o.last, o.lastAt = decision, w.now
	wrote := !sameProgress(*before, decision.Next)
	if wrote && !w.defect.persistSkipped {
		if err := o.persist(decision, swaps, obs.Published); err != nil {
			return 0, err
		}
	}
	w.checks.onSeen(before.State, obs)
	o.claim(obs)
	results := o.executor.Execute(
		context.Background(),
		objectName,
		executor.Master{Port: redisPort},
		decision.ActionsAfter(o.now().Sub(now)),
	)
	if wrote && w.defect.persistSkipped {
		if err := o.persist(decision, swaps, obs.Published); err != nil {
			return 0, err
		}
	}
	switch {
	case failed(results):
		return retryPause, nil
	case wrote || len(decision.Actions) > 0:
		return 0, nil
	}
	wait, timed := decision.Again.Wait()
	if !timed {
		return -1, nil
	}
	return max(wait, time.Nanosecond), nil
}

func failed(results []executor.Result) bool {
	for _, r := range results {
		if r.Err != nil {
			return true
		}
	}
	return false
}

var errLeaseLost = errors.New("the lease is not certainly ours any more")

// persist is the compare-and-swap of the progress, decided on while that was published.
func (o *operator) persist(d failover.Decision, expected int64, published failover.Published) error {
	if (leaseOf{o}).Left() <= 0 {
		return errLeaseLost
	}
	o.effect()
	ctx, cancel := runtime{o}.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	var swaps int64
	next := d.Next.Clone()
	err := o.call(ctx, true, func() (err error) {
		swaps, err = o.world.api.swap(o, expected, published, next)
		return err
	})
	if err != nil {
		return err
	}
	o.own.progress, o.own.swaps = &next, swaps
	if o.world.cfg.crashAfter == next.State && next.State != "" {
		o.world.cfg.crashAfter = ""
		o.crashIn = 1 + o.world.rng.IntN(crashWithin)
	}
	return nil
}

// claim cuts the connections of whoever led before, once for each process that answers.
func (o *operator) claim(obs failover.Observation) {
	for _, n := range obs.Nodes {
		ref := n.Ref()
		if n.Answers() && !o.claimed[ref] && o.executor.Claim(context.Background(), objectName, ref, "redisha-") == nil {
			o.claimed[ref] = true
		}
	}
}
