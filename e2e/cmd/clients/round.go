// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/clients"
	"github.com/redisha/redisha/e2e/sandbox"
)

const (
	// calm comes before each fault.
	calm = 3 * time.Second
	// patience is how long after the end of a fault an application may be without an answer before it counts as left
	// behind.
	patience = 10 * time.Second
	// silence is how long before the end of a round one that is left behind has had no answer.
	silence = 3 * time.Second
	// drained is how long jobs may take that were accepted: asynq looks after half a minute whether one was given up.
	drained = 2 * time.Minute
)

// round is one fault while it is played.
type round struct {
	*suite
	fault   fault
	number  int
	begun   time.Time
	before  *v1alpha1.RedisHA // when all was well
	at      time.Time         // when the fault happened
	results map[string]*clients.Result
	// failover is how the last master came to be, nil when nothing tells.
	failover *clients.Round
}

func (s *suite) playRound(ctx context.Context, f fault, number int) error {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute)
	defer cancel()
	r := &round{suite: s, fault: f, number: number, results: map[string]*clients.Result{}}
	var err error
	if r.before, err = s.settled(ctx); err != nil {
		return err
	}
	if err := s.answered(ctx, time.Minute); err != nil {
		return err
	}
	s.rounds = append(s.rounds, r)
	r.begun = time.Now()
	for _, p := range s.programs {
		p.Record.Begin()
	}
	if err := sandbox.Sleep(ctx, calm); err != nil {
		return err
	}
	r.at = time.Now()
	if err := f.inject(ctx, r); err != nil {
		return err
	}
	over := time.Now()
	rha, err := s.settled(ctx)
	if err != nil {
		return err
	}
	r.noteFailover(rha)
	left := r.watch(ctx, over, time.Now())
	r.note(left)
	if err := r.lookUp(ctx, rha); err != nil {
		return err
	}
	r.tell()
	for _, p := range left {
		if err := p.Restart(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// watch returns the applications that are left behind. It looks no longer than it needs to see that none is.
func (r *round) watch(ctx context.Context, over, settled time.Time) []*clients.Program {
	ctx, cancel := context.WithDeadline(ctx, over.Add(patience))
	defer cancel()
	_ = sandbox.WaitFor(ctx, "answers", func(context.Context) (bool, error) {
		return !slices.ContainsFunc(
			r.programs,
			func(p *clients.Program) bool { return p.Record.Silent(settled.Add(time.Second)) },
		), nil
	})
	var left []*clients.Program
	for _, p := range r.programs {
		if p.Record.Silent(time.Now().Add(-silence)) {
			left = append(left, p)
		}
	}
	return left
}

func (r *round) note(left []*clients.Program) {
	now := time.Now()
	for _, p := range r.programs {
		result := &clients.Result{
			Fault: r.fault.name, Planned: r.fault.planned, Library: p.Name, Round: r.number,
			Gap: p.Record.Gap(r.at, now).Milliseconds(), Left: slices.Contains(left, p),
			Acked: p.Record.Acked(), Errors: p.Record.Errors(),
		}
		if err := p.Failed(); err != nil {
			result.Errors["the process has ended"]++
		}
		r.results[p.Name] = result
		r.report.Results = append(r.report.Results, result)
	}
}

// noteFailover notes how the master came to be that there is now.
func (r *round) noteFailover(rha *v1alpha1.RedisHA) {
	failover, found := clients.NewRound(r.fault.name, r.number, r.at, r.before.Status.Master.Epoch, rha.Status.History)
	if found {
		r.failover = &failover
		r.report.Rounds = append(r.report.Rounds, failover)
	}
}

func (r *round) lookUp(ctx context.Context, rha *v1alpha1.RedisHA) error {
	master := r.master(rha)
	defer master.Close()
	for _, p := range r.programs {
		lost, err := p.LookUp(ctx, master)
		if err != nil {
			return err
		}
		r.results[p.Name].Lost = lost
	}
	return nil
}

// tell writes a line about the round.
func (r *round) tell() {
	var worst *clients.Result
	var left []string
	lost := int64(0)
	for _, p := range r.programs {
		result := r.results[p.Name]
		if worst == nil || result.Gap > worst.Gap {
			worst = result
		}
		if result.Left {
			left = append(left, p.Name)
		}
		lost += result.Lost
	}
	text := fmt.Sprintf(
		"%s, round %d: no answer for at most %d ms (%s), %d lost", r.fault.name, r.number, worst.Gap, worst.Library, lost,
	)
	if r.failover == nil {
		text += ", the master is the same"
	} else {
		text += fmt.Sprintf(", master published after %d ms (%s)", r.failover.Published, r.failover.Cause)
	}
	if len(left) > 0 {
		text += "; left behind: " + strings.Join(left, ", ")
	}
	fmt.Fprintln(r.progress, text)
}

// drain waits until all that queues have accepted has arrived, and counts what has not for the round in which it was
// accepted.
func (s *suite) drain(ctx context.Context) error {
	for _, p := range s.programs {
		p.StopProducing()
	}
	ctx, cancel := context.WithTimeout(ctx, drained)
	defer cancel()
	outstanding := func(p *clients.Program) bool { return p.Outstanding(0, time.Now().UnixMilli()) > 0 }
	_ = sandbox.WaitFor(ctx, "accepted jobs to run", func(context.Context) (bool, error) {
		return !slices.ContainsFunc(s.programs, outstanding), nil
	})
	for i, r := range s.rounds {
		until := time.Now()
		if i+1 < len(s.rounds) {
			until = s.rounds[i+1].begun
		}
		for _, p := range s.programs {
			if result := r.results[p.Name]; result != nil {
				result.Lost += p.Outstanding(r.begun.UnixMilli(), until.UnixMilli())
			}
		}
	}
	return nil
}
