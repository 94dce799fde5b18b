// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

const (
	// absentFor is for how long a pod must have been missed before the Events of its StatefulSet are read: an ordinary one
	// comes at once.
	absentFor = 3 * time.Second
	// readAgain is the least time between two such readings.
	readAgain = 30 * time.Second
)

// absence is for which pod Events have been read, and what they said. A cause that lasts is not read more than twice a
// minute.
type absence struct {
	subject string // the pod that is missed
	since   time.Time
	read    time.Time // zero: not yet
	found   trouble
}

// absence is why the first pod that is missing does not exist, or the first that exists is not even begun. The status
// of a StatefulSet does not tell why a pod cannot be created (a quota, an admission, a ServiceAccount that is not
// there), nor that of a pod why a volume cannot be mounted: Events do. They are not watched: a cluster has many, and a
// set that is well needs none.
func (w *pass) absence(ctx context.Context) trouble {
	subject, read := w.absent()
	if subject == "" {
		w.known.absence = absence{}
		return trouble{}
	}
	is, now := &w.known.absence, w.now()
	if is.subject != subject {
		*is = absence{subject: subject, since: now}
	}
	if wait := absentFor - now.Sub(is.since); wait > 0 {
		w.lookAgain(wait)
		return trouble{}
	}
	if is.read.IsZero() || now.Sub(is.read) >= readAgain {
		is.read = now
		found, err := read(ctx)
		if err != nil { // that it is not known why is no reason to stop
			ctrl.LoggerFrom(ctx).V(1).Info("reading Events", "of", subject, "error", err.Error())
		} else {
			is.found = found
		}
	}
	w.lookAgain(readAgain - now.Sub(is.read))
	return is.found
}

// absent names the first pod that is missing or waits to be begun, and how to find out why.
func (w *pass) absent() (subject string, read func(context.Context) (trouble, error)) {
	present := map[string]*corev1.Pod{}
	for i := range w.pods {
		present[w.pods[i].Name] = &w.pods[i]
	}
	for ordinal := range int(ptr.Deref(w.sts.Spec.Replicas, 1)) {
		name := resources.PodName(w.rha.Name, ordinal)
		pod := present[name]
		switch {
		case pod == nil:
			return name, func(ctx context.Context) (trouble, error) { return w.whyNotCreated(ctx, name) }
		case pod.DeletionTimestamp == nil && isBeginning(pod):
			return name + " " + string(pod.UID), func(ctx context.Context) (trouble, error) { return w.whyNotBegun(ctx, pod) }
		}
	}
	return "", nil
}

// isBeginning reports a pod that has a machine, and whose containers wait there for what they need.
func isBeginning(pod *corev1.Pod) bool {
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if c.State.Waiting != nil && c.State.Waiting.Reason == "ContainerCreating" {
			return pod.Spec.NodeName != ""
		}
	}
	return false
}

// whyNotCreated reads what the StatefulSet controller said of a pod last. If it was created since, nothing.
func (w *pass) whyNotCreated(ctx context.Context, pod string) (trouble, error) {
	last, err := w.lastEvent(ctx, w.sts.UID, func(e *corev1.Event) bool {
		return strings.Contains(e.Message, " Pod "+pod+" in StatefulSet ") &&
			(e.Reason == "FailedCreate" || e.Reason == "SuccessfulCreate")
	})
	if err != nil || last == nil || last.Reason != "FailedCreate" {
		return trouble{}, err
	}
	_, cause, found := strings.Cut(last.Message, "failed error: ")
	if !found {
		cause = last.Message
	}
	return trouble{v1alpha1.ReasonFailedCreate, fmt.Sprintf("pod %s cannot be created: %s", pod, steady(cause))}, nil
}

// whyNotBegun reads what was said of a pod last, if that was a warning.
func (w *pass) whyNotBegun(ctx context.Context, pod *corev1.Pod) (trouble, error) {
	last, err := w.lastEvent(ctx, pod.UID, func(*corev1.Event) bool { return true })
	if err != nil || last == nil || last.Type != corev1.EventTypeWarning {
		return trouble{}, err
	}
	return trouble{
		v1alpha1.ReasonContainerNotStarted,
		fmt.Sprintf("pod %s cannot be started: %s: %s", pod.Name, last.Reason, steady(last.Message)),
	}, nil
}

// lastEvent is the latest Event about an object that is of interest; nil when there is none.
func (w *pass) lastEvent(
	ctx context.Context, about types.UID, ofInterest func(*corev1.Event) bool,
) (*corev1.Event, error) {
	events := &corev1.EventList{}
	err := w.APIReader.List(
		ctx, events, client.InNamespace(w.rha.Namespace), client.MatchingFields{"involvedObject.uid": string(about)},
	)
	if err != nil {
		return nil, fmt.Errorf("listing Events: %w", err)
	}
	var last *corev1.Event
	for i := range events.Items {
		if e := &events.Items[i]; ofInterest(e) && (last == nil || !eventTime(e).Before(eventTime(last))) {
			last = e
		}
	}
	return last, nil
}

// eventTime is when an Event was last seen. Which field says so depends on who wrote it.
func eventTime(e *corev1.Event) time.Time {
	at := e.LastTimestamp.Time
	if e.EventTime.After(at) {
		at = e.EventTime.Time
	}
	if e.Series != nil && e.Series.LastObservedTime.After(at) {
		at = e.Series.LastObservedTime.Time
	}
	return at
}
