// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// afterHook is what a container gets at least between its preStop hook and SIGKILL, even when the hook used up the
// grace period.
const afterHook = 2 * time.Second

// ownDeadline is that of a container which is stopped while its pod goes on.
func (c *container) ownDeadline() time.Time {
	grace := ptr.Deref(c.w.latest().Spec.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)
	if probe := c.spec().LivenessProbe; probe != nil {
		grace = ptr.Deref(probe.TerminationGracePeriodSeconds, grace)
	}
	return time.Now().Add(time.Duration(grace) * time.Second)
}

// stop ends the process: preStop hook, SIGTERM, and SIGKILL when time is up. A zero deadline stands for the pod's,
// which may change while this runs. A pod that is gone from the API, or a sandbox that ends, gets no grace.
func (c *container) stop(p *process, deadline time.Time) {
	c.w.thawed(c.w.ctx)
	expired, cancel := c.w.expiry(deadline)
	defer cancel()
	if hook := c.spec().Lifecycle; hook != nil && hook.PreStop != nil && expired.Err() == nil {
		c.runHook(expired, p, hook.PreStop)
	}
	_ = p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return
	case <-expired.Done():
	}
	if c.spec().Lifecycle != nil && errors.Is(context.Cause(expired), errGraceOver) {
		select {
		case <-p.done:
		case <-c.w.gone:
		case <-time.After(afterHook):
		}
	}
	c.w.thawed(c.w.ctx)
	_ = p.signal(syscall.SIGKILL)
	<-p.done
}

type cause string

func (c cause) Error() string { return string(c) }

const (
	errGraceOver = cause("grace period is over")
	errNoGrace   = cause("pod is gone")
)

// expiry returns a context that ends when the process must.
func (w *worker) expiry(own time.Time) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	if w.vanished() || w.ctx.Err() != nil {
		cancel(errNoGrace)
		return ctx, func() {}
	}
	go func() {
		for {
			deadline, changed := w.earliest(own)
			timer := time.NewTimer(time.Until(deadline))
			select {
			case <-changed:
				timer.Stop()
			case <-timer.C:
				cancel(errGraceOver)
				return
			case <-w.gone:
				cancel(errNoGrace)
				return
			case <-w.ctx.Done():
				cancel(errNoGrace)
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// earliest returns the deadline that counts now, the container's own or the pod's, and what closes when that changes.
func (w *worker) earliest(own time.Time) (time.Time, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if own.IsZero() || !w.deadline.IsZero() && w.deadline.Before(own) {
		return w.deadline, w.graceChanged
	}
	return own, w.graceChanged
}

// runHook runs a preStop hook and returns when it has ended or time is up. What a hook says is not kept, as in a
// kubelet.
func (c *container) runHook(ctx context.Context, p *process, hook *corev1.LifecycleHandler) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.done: // nothing left to prepare for
			cancel()
		case <-ctx.Done():
		}
	}()
	switch {
	case hook.Exec != nil:
		_, _, _ = p.output(ctx, hook.Exec.Command...)
	case hook.HTTPGet != nil:
		_ = c.probeHTTP(ctx, hook.HTTPGet)
	case hook.Sleep != nil:
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(hook.Sleep.Seconds) * time.Second):
		}
	}
}
