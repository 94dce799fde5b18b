// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

// hangFor is how long a stopped master stays stopped.
const hangFor = 10 * time.Second

// fault is something that happens to a master.
type fault struct {
	name  string // in the table
	title string
	// lossless: no acknowledged write may be lost.
	lossless bool
	// inject makes it happen and notes when.
	inject func(ctx context.Context, a *act) error
}

func faults() []fault {
	return []fault{
		{name: "master killed", title: "The master's process is killed (SIGKILL)", inject: kill},
		{name: "master hangs for 10 s", title: "The master's process hangs for 10 s (SIGSTOP)", inject: hang},
		{
			name:     "master's pod deleted",
			title:    "The master's pod is deleted (kubectl delete pod)",
			lossless: true,
			inject:   deletePod,
		},
		{
			name:   "operator killed amid a failover",
			title:  "The master's process is killed, and the leading operator in the middle of the failover",
			inject: killOperator,
		},
	}
}

// act is one fault while it is being played.
type act struct {
	*demo
	master   v1alpha1.NodeRef
	epoch    int64
	at       time.Time
	moments  []moment
	finishes []func(ctx context.Context) error // before all can be well again
}

func (a *act) note(at time.Time, what, text string, t tone) {
	a.moments = append(a.moments, moment{at, what, text, t})
}

func (a *act) signal(s syscall.Signal) error {
	return a.sandbox.Signal(a.key.Namespace, a.master.Pod, resources.RedisContainer, s)
}

func kill(_ context.Context, a *act) error {
	a.at = time.Now()
	a.note(a.at, "fault", "SIGKILL for redis-server in pod "+a.master.Pod, bad)
	return a.signal(syscall.SIGKILL)
}

func hang(_ context.Context, a *act) error {
	a.at = time.Now()
	a.note(a.at, "fault", "SIGSTOP for redis-server in pod "+a.master.Pod, bad)
	if err := a.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	a.finishes = append(a.finishes, func(ctx context.Context) error {
		select {
		case <-time.After(time.Until(a.at.Add(hangFor))):
		case <-ctx.Done():
			return ctx.Err()
		}
		_ = a.signal(syscall.SIGCONT) // its pod may have been replaced, which ended the hang earlier
		return nil
	})
	return nil
}

func deletePod(ctx context.Context, a *act) error {
	a.at = time.Now()
	a.note(a.at, "fault", "pod "+a.master.Pod+" is asked to go", bad)
	return a.bed.Client.Delete(
		ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: a.key.Namespace, Name: a.master.Pod}},
	)
}

// killOperator lets the leader kill itself right after it has written down whom it will promote, the worst moment:
// every replica is detached, none is master.
func killOperator(ctx context.Context, a *act) error {
	leader, err := a.bed.Leader(ctx)
	if err != nil {
		return err
	}
	if err := leader.CrashAt(string(v1alpha1.StatePromoting)); err != nil {
		return err
	}
	if err := kill(ctx, a); err != nil {
		return err
	}
	select {
	case <-leader.Exited():
	case <-time.After(20 * time.Second):
		return errors.New("the leading operator did not come as far as a promotion within 20 s")
	case <-ctx.Done():
		return ctx.Err()
	}
	a.note(leader.ExitedAt(), "fault", "SIGKILL for the leading operator, "+leader.Name, bad)
	successor, at, err := waitLeader(ctx, a.bed)
	if err != nil {
		return err
	}
	a.note(at, "lease", successor.Name+" leads now and goes on from what is written down", plain)
	a.finishes = append(a.finishes, func(context.Context) error {
		_, err := a.bed.StartOperator()
		return err
	})
	return nil
}

func waitLeader(ctx context.Context, g *testbed.Testbed) (*testbed.Operator, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var leader *testbed.Operator
	var at time.Time
	err := sandbox.WaitFor(ctx, "another operator to lead", func(ctx context.Context) (bool, error) {
		var err error
		leader, err = g.Leader(ctx)
		at = time.Now()
		return err == nil, nil
	})
	return leader, at, err
}

// inflict makes a fault happen to a set that is well, tells what comes of it, and waits until all is well again.
func (p *demo) inflict(ctx context.Context, f fault) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	p.begin()
	rha, err := p.bed.WaitSettled(ctx, p.key, p.say)
	if err != nil {
		return err
	}
	err = sandbox.WaitFor(
		ctx,
		"the watch to catch up",
		func(context.Context) (bool, error) { return p.promotions.caughtUp(&rha.Status), nil },
	)
	if err != nil {
		return err
	}
	r := result{fault: f, acked: -p.writers.Acked(), lost: -p.lost}
	r.published, r.epoch = p.promotions.count()
	a := &act{demo: p, master: rha.Status.Master.NodeRef, epoch: rha.Status.Failover.Epoch}
	if err := f.inject(ctx, a); err != nil {
		return err
	}
	if err := a.tell(ctx); err != nil {
		return err
	}
	for _, finish := range a.finishes {
		if err := finish(ctx); err != nil {
			return err
		}
	}
	if _, err = p.bed.WaitSettled(ctx, p.key, p.say); err != nil {
		return err
	}
	now := time.Now()
	r.recovered, r.gap = now.Sub(a.at), p.writers.Gap(a.at, now)
	loss, err := p.writers.Verify(ctx)
	if err != nil {
		return err
	}
	p.lost = loss.Lost
	r.lost, r.acked = r.lost+loss.Lost, r.acked+p.writers.Acked()
	p.results = append(p.results, r)
	p.printf("  %s no write for %s, %s of %s acknowledged writes lost, all well after %s\n", p.paint(good, "→"),
		p.paint(bold, about(r.gap.Length())), grouped(r.lost), grouped(r.acked), about(r.recovered))
	return nil
}

// tell waits for the end of the failover and shows its timeline.
func (a *act) tell(ctx context.Context) error {
	var entry *v1alpha1.HistoryEntry
	err := sandbox.WaitFor(
		ctx,
		fmt.Sprintf("a promotion after epoch %d", a.epoch),
		func(ctx context.Context) (bool, error) {
			rha, err := a.bed.Get(ctx, a.key)
			if err != nil {
				return false, err
			}
			a.say(message(rha))
			entry = newest(rha, a.epoch)
			return entry != nil, nil
		},
	)
	if err != nil {
		return err
	}
	a.steps(entry)
	promoted := entry.StartedAt.Time
	for _, s := range entry.Steps {
		if s.Name == "promoted" {
			promoted = s.At.Time
		}
	}
	first, err := a.writers.WaitAck(ctx, promoted)
	if err != nil {
		return err
	}
	a.note(first, "acknowledged", "the first write by "+entry.To, good)
	a.printf("%s", a.timeline(a.at, a.moments))
	return nil
}

func message(rha *v1alpha1.RedisHA) string {
	if rha.Status.Failover == nil {
		return ""
	}
	return fmt.Sprintf("%s: %s", rha.Status.Failover.State, rha.Status.Failover.Message)
}

// newest returns the latest promotion that succeeded, if its epoch is later than that.
func newest(rha *v1alpha1.RedisHA, epoch int64) *v1alpha1.HistoryEntry {
	for i := range rha.Status.History {
		if h := &rha.Status.History[i]; h.Epoch > epoch && h.Outcome == v1alpha1.OutcomeSucceeded {
			return h
		}
	}
	return nil
}

// steps notes what the history says, in words that say what it means.
func (a *act) steps(h *v1alpha1.HistoryEntry) {
	meaning := map[string]string{
		"evidence":   h.Cause,
		"intent":     fmt.Sprintf("epoch %d is written down: %s is to be replaced", h.Epoch, h.From),
		"detached":   "the replicas follow no master; what each of them has is final",
		"demoted":    h.From + " takes no more writes, and " + h.To + " has all of them",
		"promoted":   h.To + " is master",
		"published":  fmt.Sprintf("Service %s leads to %s", resources.MasterServiceName(a.key.Name), h.To),
		"reattached": "all replicas follow " + h.To,
	}
	for _, s := range h.Steps {
		t := plain
		if s.Name == "promoted" {
			t = bold
		}
		a.note(s.At.Time, s.Name, meaning[s.Name], t)
	}
}
