// SPDX-License-Identifier: Apache-2.0

// Command demo shows in a minute and a half what RedisHA is for. In a sandbox it runs the operator and a RedisHA of
// three real Redis processes, writes to it without pause, and does to its master what happens to masters. For each
// fault it tells what the operator saw and did and what the clients noticed. It exits with 0 only if every fault was
// survived.
//
// KEEP=1 leaves everything running for kubectl afterwards.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

// patience bounds the whole show, without what is built before it.
const patience = 10 * time.Minute

func main() {
	sandbox.Enter(testbed.Prepare)
	os.Exit(run())
}

// run returns the exit status: 0, 1 for a fault that was not survived or a show that could not go on, 130 for ctrl-C.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s := newScreen(os.Stdout)
	logs, err := os.MkdirTemp("", "redisha-demo-")
	if err != nil {
		s.printf("%s\n", err)
		return 1
	}
	switch kept, err := show(ctx, s, logs); {
	case ctx.Err() != nil && !kept:
		_ = os.RemoveAll(logs)
		s.printf("\ninterrupted; nothing is left behind\n")
		return 130
	case err != nil:
		s.printf("\n%s %s\nThe logs of operator, Redis and control plane are in %s\n", s.paint(bad, "✗"), err, logs)
		return 1
	}
	_ = os.RemoveAll(logs)
	return 0
}

// show reports whether it went as far as being kept for kubectl.
func show(interrupted context.Context, s *screen, logs string) (kept bool, err error) {
	ctx, cancel := context.WithTimeout(interrupted, patience)
	defer cancel()
	p := &demo{screen: s, logs: logs}
	defer p.end()
	err = p.perform(ctx)
	if os.Getenv("KEEP") != "" && p.sandbox != nil && interrupted.Err() == nil {
		p.keep(interrupted, err)
		return true, err
	}
	return false, err
}

// keep waits for ctrl-C.
func (p *demo) keep(ctx context.Context, err error) {
	if err != nil {
		p.printf("\n%s %s\n", p.paint(bad, "✗"), err)
	}
	p.printf(
		"\nEverything keeps running. In another terminal:\n\n  export KUBECONFIG=%s\n  kubectl get rha,pods -A\n\nLogs: "+
			"%s\nEnd with ctrl-C.\n",
		p.sandbox.OutsideKubeconfig(),
		p.logs,
	)
	<-ctx.Done()
}

// perform starts the cluster, makes each fault happen, and prints the table.
func (p *demo) perform(ctx context.Context) error {
	p.printf("%s\n\n", p.paint(title, "RedisHA: what the clients notice when a Redis master is lost"))
	if err := p.setUp(ctx); err != nil {
		return err
	}
	for i, f := range faults() {
		p.printf("\n%s\n", p.paint(title, fmt.Sprintf("%d. %s", i+1, f.title)))
		if err := p.inflict(ctx, f); err != nil {
			p.keepStatus()
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return p.conclude(ctx)
}

// keepStatus puts the object as it is next to the logs.
func (p *demo) keepStatus() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if text, err := p.describe(ctx); err == nil {
		_ = os.WriteFile(filepath.Join(p.logs, "redisha.yaml"), text, 0o644)
	}
}

var errNotSurvived = errors.New("not every fault was survived")
