// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// container is a container of a pod through all its incarnations. Its fields are guarded by the worker's lock.
type container struct {
	w    *worker
	name string
	init bool
	kill chan string // a probe asks for the end of the running incarnation and says why

	process  *process
	waiting  *corev1.ContainerStateWaiting
	ended    *corev1.ContainerStateTerminated // the present state when process and waiting are nil
	last     *corev1.ContainerStateTerminated
	id       string
	restarts int32
	begun    int // incarnations so far
	started  bool
	ready    bool
	over     bool // there will be no further incarnation
}

// loop runs incarnations of the container until its restart policy or the context says no.
func (c *container) loop(ctx context.Context) {
	defer c.update(func() { c.over = true })
	for ctx.Err() == nil {
		c.w.thawed(ctx)
		p, err := c.start()
		if err != nil {
			if !c.backOff(ctx, time.Now(), err) {
				return
			}
			continue
		}
		c.supervise(ctx, p)
		if ctx.Err() != nil || !c.restartsAfter(p.exitCode) {
			return
		}
		if !c.backOff(ctx, p.finished, nil) {
			return
		}
	}
}

// update changes the container's state and has the status written.
func (c *container) update(change func()) {
	c.w.mu.Lock()
	change()
	c.w.mu.Unlock()
	notify(c.w.dirty)
}

func (c *container) succeeded() bool {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return c.done()
}

func (c *container) isStarted() bool {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return c.started
}

// spec returns the container as the newest version of the pod has it.
func (c *container) spec() *corev1.Container {
	pod := c.w.latest()
	list := pod.Spec.Containers
	if c.init {
		list = pod.Spec.InitContainers
	}
	for i := range list {
		if list[i].Name == c.name {
			return &list[i]
		}
	}
	panic("a container can't leave a pod") // the API server refuses that
}

func (c *container) restartsAfter(exitCode int) bool {
	policy := c.w.latest().Spec.RestartPolicy
	if c.init {
		if ptr.Deref(c.spec().RestartPolicy, "") == corev1.ContainerRestartPolicyAlways {
			return true
		}
		return exitCode != 0 && policy != corev1.RestartPolicyNever
	}
	return policy == corev1.RestartPolicyAlways || policy == corev1.RestartPolicyOnFailure && exitCode != 0
}

// startError has the reason that a kubelet shows for it.
type startError struct {
	reason string
	err    error
}

func (e *startError) Error() string { return e.err.Error() }

func (c *container) start() (*process, error) {
	spec := c.spec()
	image, err := resolveImage(c.w.r.sandbox.options.Images, spec.Image)
	if err != nil {
		return nil, &startError{"ErrImagePull", err}
	}
	described, err := c.w.describe(spec, image)
	if err != nil {
		return nil, &startError{"CreateContainerConfigError", err}
	}
	log, err := c.openLog()
	if err != nil {
		return nil, &startError{"CreateContainerError", err}
	}
	defer log.Close()
	select { // a request to kill the incarnation before
	case <-c.kill:
	default:
	}
	p, err := startProcess(described, c.w.endpoint.ns, log)
	if err != nil {
		return nil, &startError{"RunContainerError", err}
	}
	c.update(func() {
		if c.ended != nil {
			c.last = c.ended
		}
		if c.begun > 0 {
			c.restarts++
		}
		c.begun++
		c.process, c.waiting, c.ended, c.id = p, nil, nil, p.id
		c.started, c.ready = spec.StartupProbe == nil, spec.StartupProbe == nil && spec.ReadinessProbe == nil
	})
	return p, nil
}

func (c *container) openLog() (*os.File, error) {
	c.w.mu.Lock()
	begun := c.begun
	c.w.mu.Unlock()
	path := c.logPath(begun)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}

func (c *container) logPath(incarnation int) string {
	folder := fmt.Sprintf("%s_%s_%.8s", c.w.key.Namespace, c.w.key.Name, c.w.uid)
	return filepath.Join(c.w.r.sandbox.logs, "pods", folder, fmt.Sprintf("%s-%d.log", c.name, incarnation))
}

// supervise returns when the process has ended and the state says so. What ends it may be the process itself, a probe,
// or the end of the pod.
func (c *container) supervise(ctx context.Context, p *process) {
	probing, stopProbes := context.WithCancel(context.WithoutCancel(ctx))
	probes := c.startProbes(probing, p)
	select {
	case <-p.done:
	case why := <-c.kill:
		c.w.tell("Killing", "container %s will be restarted: %s", c.name, why)
		c.stop(p, c.ownDeadline())
	case <-ctx.Done():
		c.w.tell("Killing", "stopping container %s", c.name)
		c.stop(p, time.Time{})
	}
	stopProbes()
	probes.Wait()
	message := c.terminationMessage(p)
	c.update(func() {
		c.process, c.started, c.ready = nil, false, false
		c.ended = terminated(p)
		c.ended.Message = message
	})
}

// A kubelet shows no more of a log than this in a pod's status.
const (
	maxMessage      = 2048
	maxMessageLines = 80
)

// terminationMessage is the end of the log of a process that failed, where the container asks for that.
func (c *container) terminationMessage(p *process) string {
	if p.exitCode == 0 || c.spec().TerminationMessagePolicy != corev1.TerminationMessageFallbackToLogsOnError {
		return ""
	}
	c.w.mu.Lock()
	path := c.logPath(max(c.begun-1, 0))
	c.w.mu.Unlock()
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	skipToTail(f, maxMessageLines)
	tail, err := io.ReadAll(f)
	if err != nil {
		return ""
	}
	return string(tail[max(0, len(tail)-maxMessage):])
}

func terminated(p *process) *corev1.ContainerStateTerminated {
	reason := "Completed"
	if p.exitCode != 0 {
		reason = "Error"
	}
	return &corev1.ContainerStateTerminated{
		ExitCode: int32(p.exitCode), Signal: int32(p.endSignal), Reason: reason, ContainerID: p.id,
		StartedAt: metav1.NewTime(p.started), FinishedAt: metav1.NewTime(p.finished),
	}
}

// backOff waits as a kubelet does before the next incarnation: not at all the first time, then 10 s and twice as long
// each time. It returns false when the context ended first.
func (c *container) backOff(ctx context.Context, finished time.Time, cause error) bool {
	key := string(c.w.uid) + "/" + c.name
	backOff := c.w.r.backOff
	var wait time.Duration
	if backOff.IsInBackOffSinceUpdate(key, finished) {
		wait = backOff.Get(key) - time.Since(finished)
	}
	retry := false // what is missing may come any moment; kubelets look again when they sync the pod
	var failed *startError
	if errors.As(cause, &failed) {
		c.w.r.sandbox.log.Warn(
			"start container", "pod", c.w.key, "container", c.name, "reason", failed.reason, "error", failed.err,
		)
		reason := failed.reason
		if retry = reason == "CreateContainerConfigError"; retry {
			wait = time.Second
		} else if wait > 0 && reason == "ErrImagePull" {
			reason = "ImagePullBackOff"
		}
		c.w.warn("Failed", "container %s: %s: %v", c.name, reason, failed)
		c.update(func() { c.waiting = &corev1.ContainerStateWaiting{Reason: reason, Message: failed.Error()} })
	} else if wait > 0 {
		message := fmt.Sprintf("back-off %s restarting failed container=%s pod=%s", backOff.Get(key), c.name, c.w.key)
		c.w.warn("BackOff", "%s", message)
		c.update(func() { c.waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: message} })
	}
	if !retry {
		backOff.Next(key, finished)
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(wait):
		return true
	}
}
