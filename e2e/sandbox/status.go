// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

func isGone(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsConflict(err) }

// statusLoop writes the status whenever it has changed, until end is closed. An API server that is away is tried again
// and holds nothing else up.
func (w *worker) statusLoop(ctx context.Context, end <-chan struct{}) {
	var written []byte
	pause := minPause
	for {
		select {
		case <-end:
			return
		case <-ctx.Done():
			return
		case <-w.dirty:
		}
		w.thawed(ctx)
		status := w.patch()
		if bytes.Equal(status, written) {
			continue
		}
		attempt, cancel := requestContext(ctx)
		err := w.sendStatus(attempt, status)
		cancel()
		switch {
		case err == nil:
			written, pause = status, minPause
		case isGone(err):
			return
		default:
			w.r.sandbox.log.Warn("write status", "pod", w.key, "error", err)
			select {
			case <-end:
				return
			case <-ctx.Done():
				return
			case <-time.After(pause):
				pause = min(2*pause, maxPause)
				notify(w.dirty)
			}
		}
	}
}

// How long a status that could not be written waits.
const (
	minPause = 100 * time.Millisecond
	maxPause = 500 * time.Millisecond
)

func (w *worker) writeStatus(ctx context.Context) error { return w.sendStatus(ctx, w.patch()) }

func (w *worker) sendStatus(ctx context.Context, patch []byte) error {
	_, err := w.r.client.CoreV1().
		Pods(w.key.Namespace).
		Patch(ctx, w.key.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// patch is the status as a strategic merge patch, which leaves the conditions of others alone. The UID in it makes the
// API server refuse it for a later pod of the same name.
func (w *worker) patch() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	status := w.status()
	conditions := status.Conditions
	status.Conditions = nil
	patch, err := json.Marshal(
		map[string]any{"metadata": map[string]any{"uid": w.uid}, "status": &conditionsPatch{status, conditions}},
	)
	if err != nil {
		panic(err) // the API's own types
	}
	return patch
}

// conditionsPatch is a status whose conditions say explicitly that there is no reason and no message: conditions are
// merged, and what is left out would stay.
type conditionsPatch struct {
	corev1.PodStatus
	conditions []corev1.PodCondition
}

func (p *conditionsPatch) MarshalJSON() ([]byte, error) {
	conditions := make([]map[string]any, 0, len(p.conditions))
	for _, c := range p.conditions {
		condition := map[string]any{
			"type":               c.Type,
			"status":             c.Status,
			"lastTransitionTime": c.LastTransitionTime,
			"reason":             nil,
			"message":            nil,
		}
		if c.Reason != "" {
			condition["reason"], condition["message"] = c.Reason, c.Message
		}
		conditions = append(conditions, condition)
	}
	type plain corev1.PodStatus
	data, err := json.Marshal((*plain)(&p.PodStatus))
	if err != nil {
		return nil, err
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	fields["conditions"] = append(conditions, resizeConditions(p.conditions)...)
	if addresses, ok := fields["podIPs"].([]any); ok { // merged too, and a pod may get another one
		fields["podIPs"] = append(addresses, map[string]any{"$patch": "replace"})
	}
	return json.Marshal(fields)
}

// status needs the lock.
func (w *worker) status() corev1.PodStatus {
	pod := w.pod
	status := corev1.PodStatus{
		ObservedGeneration: pod.Generation,
		StartTime:          &w.startTime,
		HostIP:             w.r.hostIP(pod.Spec.NodeName),
	}
	status.HostIPs = []corev1.HostIP{{IP: status.HostIP}}
	if w.endpoint != nil {
		status.PodIP = w.endpoint.addr.String()
		status.PodIPs = []corev1.PodIP{{IP: status.PodIP}}
	}
	for i := range pod.Spec.InitContainers {
		status.InitContainerStatuses = append(status.InitContainerStatuses, w.containerStatus(&pod.Spec.InitContainers[i]))
	}
	var unready []string
	for i := range pod.Spec.Containers {
		s := w.containerStatus(&pod.Spec.Containers[i])
		if !s.Ready {
			unready = append(unready, s.Name)
		}
		status.ContainerStatuses = append(status.ContainerStatuses, s)
	}
	status.Phase = w.phase()
	w.setCondition(corev1.PodReadyToStartContainers, w.endpoint != nil && !w.ended, "", "")
	w.setCondition(corev1.PodInitialized, w.initialized, "ContainersNotInitialized", w.message)
	message := "containers with unready status: [" + strings.Join(unready, " ") + "]"
	w.setCondition(corev1.ContainersReady, len(unready) == 0 && w.initialized, "ContainersNotReady", message)
	w.setCondition(corev1.PodReady, len(unready) == 0 && w.initialized && gatesOpen(pod), "ContainersNotReady", message)
	for _, condition := range w.conditions {
		status.Conditions = append(status.Conditions, condition)
	}
	slices.SortFunc(
		status.Conditions,
		func(a, b corev1.PodCondition) int { return strings.Compare(string(a.Type), string(b.Type)) },
	)
	return status
}

func gatesOpen(pod *corev1.Pod) bool {
	for _, gate := range pod.Spec.ReadinessGates {
		open := false
		for _, condition := range pod.Status.Conditions {
			open = open || condition.Type == gate.ConditionType && condition.Status == corev1.ConditionTrue
		}
		if !open {
			return false
		}
	}
	return true
}

func (w *worker) setCondition(kind corev1.PodConditionType, ok bool, reason, message string) {
	status := corev1.ConditionFalse
	if ok {
		status, reason, message = corev1.ConditionTrue, "", ""
	}
	transition := metav1.Now()
	if old, known := w.conditions[kind]; known && old.Status == status {
		transition = old.LastTransitionTime
	}
	w.conditions[kind] = corev1.PodCondition{
		Type:               kind,
		Status:             status,
		Reason:             reason,
		Message:            message,
		LastTransitionTime: transition,
	}
}

// phase follows from the containers: the pod is over when all of them are.
func (w *worker) phase() corev1.PodPhase {
	begun, over := false, true
	for _, c := range w.containers {
		if !c.init {
			begun = begun || c.begun > 0
			over = over && (c.over || w.ended)
		}
	}
	switch {
	case over && w.failed():
		return corev1.PodFailed
	case over:
		return corev1.PodSucceeded
	case begun:
		return corev1.PodRunning
	}
	return corev1.PodPending
}

// failed reports whether a container did not do what it had to, or never began.
func (w *worker) failed() bool {
	for _, c := range w.containers {
		if !c.done() && (c.over || !c.init) {
			return true
		}
	}
	return false
}

// done reports whether the last incarnation did what it had to. It needs the lock.
func (c *container) done() bool { return c.ended != nil && c.ended.ExitCode == 0 }

func (w *worker) containerStatus(spec *corev1.Container) corev1.ContainerStatus {
	c := w.containers[spec.Name]
	status := corev1.ContainerStatus{
		Name: c.name, Image: spec.Image, ImageID: "sandbox://" + spec.Image, ContainerID: c.id, RestartCount: c.restarts,
		Ready: c.ready && c.process != nil, Started: ptr.To(c.started && c.process != nil),
		LastTerminationState: corev1.ContainerState{Terminated: c.last},
	}
	w.setResources(&status)
	switch {
	case c.process != nil:
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(c.process.started)}
	case c.waiting != nil && !c.over:
		status.State.Waiting = c.waiting
		if c.ended != nil {
			status.LastTerminationState.Terminated = c.ended
		}
	case c.ended != nil:
		status.State.Terminated = c.ended
		// An init container that has done its work is ready.
		status.Ready = c.init && c.done()
	default:
		status.State.Waiting = &corev1.ContainerStateWaiting{Reason: w.creating(c), Message: w.message}
	}
	return status
}

// creating is the reason why a container waits that has not begun.
func (w *worker) creating(c *container) string {
	if !c.init && !w.initialized && len(w.pod.Spec.InitContainers) > 0 {
		return "PodInitializing"
	}
	return "ContainerCreating"
}
