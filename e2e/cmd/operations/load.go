// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/e2e/sandbox"
)

const (
	// interval is the time from one write of an application to its next, and afterError that from an error to the next.
	interval   = 10 * time.Millisecond
	afterError = 20 * time.Millisecond
	// welcome is how long applications that start may take until each has written.
	welcome = 30 * time.Second
)

// load is what applications write in one round.
type load struct {
	set *set
	// all are the groups of applications that wrote one after the other. The last one writes.
	all []group
}

// group of applications that get at the master in the same way.
type group struct {
	options chaos.Options
	writers *chaos.Writers
}

// use starts applications that get at the master like this. Those from before are ended when each of the new ones has
// written: a rollout of the applications.
func (l *load) use(ctx context.Context, a access) error {
	addr, err := l.set.bed.MasterAddr(ctx, l.set.key, a.port)
	if err != nil {
		return err
	}
	options := chaos.Options{
		Finder: chaos.Fixed(addr), Password: a.password, Dial: a.dial, Ordinary: true, Writers: l.set.writers,
		Interval: interval, Redial: afterError, Prefix: fmt.Sprintf("%d:", len(l.all)),
	}
	started := group{options: options, writers: chaos.Start(options)}
	l.all = append(l.all, started)
	ctx, cancel := context.WithTimeout(ctx, welcome)
	defer cancel()
	err = sandbox.WaitFor(ctx, "every application to write", func(context.Context) (bool, error) {
		silent := func(g chaos.Gap) bool { return g.Length() == 0 }
		return !slices.ContainsFunc(started.writers.LongestByWriter(), silent), nil
	})
	if err != nil {
		return fmt.Errorf("%w; errors: %s", err, started.writers.Errors())
	}
	for _, former := range l.all[:len(l.all)-1] {
		former.writers.Stop()
	}
	return nil
}

// firstAck waits for the first write that is acknowledged after an instant, of the applications that write now.
func (l *load) firstAck(ctx context.Context, after time.Time) (time.Time, error) {
	return l.all[len(l.all)-1].writers.WaitAck(ctx, after)
}

// stop ends all applications.
func (l *load) stop() {
	for _, g := range l.all {
		g.writers.Stop()
	}
}

// note puts into the result what the applications noticed. They have stopped.
func (l *load) note(to *result, begun time.Time) {
	to.Errors = map[string]int64{}
	var longest chaos.Gap
	for _, g := range l.all {
		for _, gap := range g.writers.LongestByWriter() {
			if gap.Length() > longest.Length() {
				longest = gap
			}
		}
		to.Acked += g.writers.Acked()
		for class, n := range g.writers.Failed() {
			to.Errors[class] += n
		}
	}
	to.Stall, to.StallAt = longest.Length().Milliseconds(), longest.From.Sub(begun).Milliseconds()
}

// lookUp looks up every acknowledged write of the round in the way in which the last applications got at the master:
// the ways of those before may be closed by now.
func (l *load) lookUp(ctx context.Context, to *result) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for _, g := range l.all {
		loss, err := g.writers.VerifyBy(ctx, l.all[len(l.all)-1].options)
		if err != nil {
			return fmt.Errorf("the writes were not looked up: %w", err)
		}
		to.LookedUp, to.Lost = to.LookedUp+loss.Acked, to.Lost+loss.Lost
		to.LostKeys = append(to.LostKeys, loss.Examples...)
	}
	return nil
}
