// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
)

const (
	// resizesIn is how long it takes to give a container other resources.
	resizesIn = 300 * time.Millisecond
	// resizesAgain is after how long what could not be given is tried again.
	resizesAgain = time.Second
)

// amounts are the processor and memory of a pod's containers, by their names.
type amounts map[string]corev1.ResourceRequirements

func amountsOf(pod *corev1.Pod) amounts {
	all := amounts{}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			all[list[i].Name] = list[i].Resources
		}
	}
	return all
}

// requests is the sum of what containers ask for.
func (a amounts) requests(name corev1.ResourceName) int64 {
	var sum int64
	for _, container := range a {
		sum += container.Requests.Name(name, "").MilliValue()
	}
	return sum
}

// allocate is what a kubelet does as soon as it sees that a pod is to have other resources: the node has room for them,
// has none at present, or never will. The worker is locked. Nothing is enforced, so nothing but the sums is looked at.
func (w *worker) allocate(pod *corev1.Pod) {
	wanted := amountsOf(pod)
	if equality.Semantic.DeepEqual(wanted, w.allocated) {
		delete(w.conditions, corev1.PodResizePending)
		return
	}
	if reason, message := w.r.room(pod, wanted); reason != "" {
		w.setCondition(corev1.PodResizePending, true, "", "")
		w.sayOf(corev1.PodResizePending, reason, message)
	} else {
		w.allocated = wanted
		delete(w.conditions, corev1.PodResizePending)
		w.setCondition(corev1.PodResizeInProgress, true, "", "")
		w.sayOf(corev1.PodResizeInProgress, "", "")
	}
	notify(w.resizes)
}

// sayOf gives a condition that is true a reason, which setCondition has for those that are not.
func (w *worker) sayOf(kind corev1.PodConditionType, reason, message string) {
	c := w.conditions[kind]
	c.Reason, c.Message = reason, message
	w.conditions[kind] = c
}

// room says why a node has no room for what a pod is to have; nothing when it has.
func (r *runner) room(pod *corev1.Pod, wanted amounts) (reason, message string) {
	capacity := newNode(0).Status.Allocatable
	others, err := r.pods.List(labels.Everything())
	if err != nil {
		return corev1.PodReasonDeferred, err.Error()
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		has, asks := capacity.Name(name, "").MilliValue(), wanted.requests(name)
		if asks > has {
			return corev1.PodReasonInfeasible, fmt.Sprintf(
				"Node didn't have enough capacity: %s, requested: %d, capacity: %d", name, asks/1000, has/1000,
			)
		}
		var used int64
		for _, other := range others {
			over := other.Status.Phase == corev1.PodSucceeded || other.Status.Phase == corev1.PodFailed
			if other.UID != pod.UID && other.Spec.NodeName == pod.Spec.NodeName && !over {
				used += amountsOf(other).requests(name)
			}
		}
		if asks+used > has {
			return corev1.PodReasonDeferred, fmt.Sprintf(
				"Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d", name, asks/1000, used/1000, has/1000,
			)
		}
	}
	return "", ""
}

// resizeLoop gives containers what the node has room for.
func (w *worker) resizeLoop(ctx context.Context) {
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.resizes:
			again = time.After(resizesIn)
		case <-again:
			w.thawed(ctx)
			again = nil
			if !w.enact() {
				again = time.After(resizesAgain)
			}
			notify(w.dirty)
		}
	}
}

// enact reports that the pod has what it is to have.
func (w *worker) enact() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.allocate(w.pod)
	_, pending := w.conditions[corev1.PodResizePending]
	for name, next := range w.allocated {
		limit := next.Limits.Memory().Value()
		before := w.enacted[name]
		had := before.Limits.Memory().Value()
		if limit == 0 || had > 0 && limit >= had || w.containers[name].process == nil {
			continue
		}
		if used := rss(w.containers[name].process.procID()); used >= limit {
			w.setCondition(corev1.PodResizeInProgress, true, "", "")
			w.sayOf(
				corev1.PodResizeInProgress,
				corev1.PodReasonError,
				fmt.Sprintf("cannot decrease memory limits: attempting to "+
					"set container %q memory limit (%d) below current usage (%d)", name, limit, used),
			)
			return false
		}
	}
	w.enacted = w.allocated
	delete(w.conditions, corev1.PodResizeInProgress)
	return !pending
}

// setResources fills in what a kubelet says of the resources of a container. The worker is locked.
func (w *worker) setResources(status *corev1.ContainerStatus) {
	allocated, enacted := w.allocated[status.Name], w.enacted[status.Name]
	status.AllocatedResources = allocated.Requests
	status.Resources = &corev1.ResourceRequirements{Limits: enacted.Limits, Requests: enacted.Requests}
}

// resizeConditions are the two that a pod has only while they are true: those that it has not are taken from it.
func resizeConditions(has []corev1.PodCondition) []map[string]any {
	var gone []map[string]any
	for _, kind := range []corev1.PodConditionType{corev1.PodResizePending, corev1.PodResizeInProgress} {
		there := false
		for _, c := range has {
			there = there || c.Type == kind
		}
		if !there {
			gone = append(gone, map[string]any{"type": kind, "$patch": "delete"})
		}
	}
	return gone
}

// rss is the memory of a process and of those below it, in bytes.
func rss(root int) int64 {
	parents, sizes := map[int]int{}, map[int]int64{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		text, err := os.ReadFile(file)
		_, after, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(after) // state, parent, …, rss is the 22nd
		if err != nil || len(fields) < 22 {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		pages, _ := strconv.ParseInt(fields[21], 10, 64)
		parents[pid], _ = strconv.Atoi(fields[1])
		sizes[pid] = pages * int64(os.Getpagesize())
	}
	var sum int64
	for pid, size := range sizes {
		for of := pid; of != 0; of = parents[of] {
			if of == root {
				sum += size
				break
			}
		}
	}
	return sum
}
