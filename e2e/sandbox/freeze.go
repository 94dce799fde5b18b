// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// FreezeNode lets a node stand still as a machine does that is paused: no process of its pods runs, nothing there is
// probed, started, ended or reported, while connections to it are still taken by the kernel. Kubernetes is told
// nothing, as in the first half minute of such an outage. ThawNode ends it.
func (s *Sandbox) FreezeNode(ctx context.Context, name string) error {
	workers, err := s.runner.freeze(name)
	if err != nil {
		return err
	}
	var errs []error
	for _, w := range workers {
		errs = append(errs, w.signalAll(ctx, syscall.SIGSTOP))
	}
	return errors.Join(errs...)
}

// ThawNode lets a frozen node go on where it was.
func (s *Sandbox) ThawNode(ctx context.Context, name string) error {
	var errs []error
	for _, w := range s.runner.on(name) {
		errs = append(errs, w.signalAll(ctx, syscall.SIGCONT))
	}
	return errors.Join(append(errs, s.runner.thaw(name))...)
}

// freeze notes that the node is frozen and returns its workers.
func (r *runner) freeze(node string) ([]*worker, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen[node] != nil {
		return nil, fmt.Errorf("node %s is frozen already", node)
	}
	r.frozen[node] = make(chan struct{})
	return r.workersOn(node), nil
}

func (r *runner) thaw(node string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.frozen[node] == nil {
		return fmt.Errorf("node %s is not frozen", node)
	}
	close(r.frozen[node])
	delete(r.frozen, node)
	return nil
}

func (r *runner) on(node string) []*worker {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.workersOn(node)
}

func (r *runner) workersOn(node string) []*worker {
	var workers []*worker
	for _, w := range r.workers {
		if w.latest().Spec.NodeName == node {
			workers = append(workers, w)
		}
	}
	return workers
}

// thawed returns when the node is not frozen, or the context ends.
func (w *worker) thawed(ctx context.Context) {
	for {
		w.r.mu.Lock()
		frozen := w.r.frozen[w.latest().Spec.NodeName]
		w.r.mu.Unlock()
		if frozen == nil {
			return
		}
		select {
		case <-frozen:
		case <-ctx.Done():
			return
		}
	}
}

// signalAll sends a signal to every process of the pod. The first process of a container is spared by a signal to all
// processes of its namespace, and comes first when it is stopped, so that it does not see what happens to the others.
func (w *worker) signalAll(ctx context.Context, signal syscall.Signal) error {
	name := map[syscall.Signal]string{syscall.SIGSTOP: "STOP", syscall.SIGCONT: "CONT"}[signal]
	var errs []error
	for _, p := range w.processes() {
		if signal == syscall.SIGSTOP {
			errs = append(errs, p.signal(signal))
		}
		// Its exit code is 1 where there are no others. Without the two dashes some shells take -1 for an option.
		code, said, err := p.output(ctx, "sh", "-c", "kill -s "+name+" -- -1")
		if err == nil && code > 1 {
			err = fmt.Errorf("kill ended with exit code %d: %s", code, said)
		}
		errs = append(errs, err)
		if signal != syscall.SIGSTOP {
			errs = append(errs, p.signal(signal))
		}
	}
	return errors.Join(errs...)
}

func (w *worker) processes() []*process {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*process
	for _, c := range w.containers {
		if c.process != nil {
			all = append(all, c.process)
		}
	}
	return all
}
