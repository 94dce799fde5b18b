// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	resourcehelpers "k8s.io/component-helpers/resource"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/requests"
)

const (
	// movePause is how long a pod is left where it is after it was moved. The scheduler has the last word, and may put it
	// back on the same machine: the pause doubles each time that it is moved again soon.
	movePause    = 10 * time.Minute
	movePauseMax = 24 * time.Hour
	// roomAgain is when machines that had no room are looked at again.
	roomAgain = 5 * time.Minute
)

// move is the last time that a pod was moved.
type move struct {
	uid   types.UID // of the pod that was deleted
	from  string    // the machine
	at    time.Time
	pause time.Duration
}

// left is for how long the pause goes on.
func (m move) left(now time.Time) time.Duration { return max(0, m.at.Add(m.pause).Sub(now)) }

// spread is what the decision to move a pod to a free machine depends on.
type spread struct {
	placement
	moves map[string]move // by pod name
	now   time.Time
}

// movable is the pod to move now; when there is none, after how long to look again, zero for "when something changes".
// It is pure.
//
// One replica at a time, never the master, and only while all else is well: every pod in sync, nothing outdated, no
// scaling, no failover. A pod with a claim stays, because its volume may be bound to the machine.
func (s spread) movable() (*corev1.Pod, time.Duration) {
	if !s.allowed() || !s.undisturbed() {
		return nil, 0
	}
	if len(s.machines.free) == 0 {
		return nil, s.machines.settles
	}
	if wait := s.inVain(); wait > 0 {
		return nil, wait
	}
	var again time.Duration
	for _, pod := range slices.Backward(s.stack()) { // the highest ordinal first
		if s.isMaster(pod) || !repels(pod) {
			continue
		}
		wait := s.moves[pod.Name].left(s.now)
		if wait == 0 {
			return pod, 0
		}
		if again == 0 || wait < again {
			again = wait
		}
	}
	return nil, again
}

// isMaster goes by the label, too: the status may be a moment behind it.
func (s spread) isMaster(pod *corev1.Pod) bool {
	return pod.Name == s.master() || pod.Labels[v1alpha1.LabelRole] == v1alpha1.RoleMaster
}

// allowed reports a set whose pods may be moved at all.
func (s spread) allowed() bool {
	return s.rha.Spec.Storage == nil && s.rha.Spec.Failover.Mode != v1alpha1.ModePaused && !requests.IsRequested(s.rha)
}

// undisturbed reports a set in which nothing is under way and nothing is missing.
func (s spread) undisturbed() bool {
	master := s.masterPod()
	if master == nil || !s.stable() || s.rha.Status.ObservedGeneration != s.rha.Generation {
		return false
	}
	if _, progress := s.replaceable(); progress.reason != v1alpha1.ReasonUpToDate {
		return false
	}
	for i := range s.pods {
		if pod := &s.pods[i]; !s.stands(pod) || pod != master && !s.follows(pod) {
			return false
		}
	}
	return true
}

// stands reports a pod that was not told to go, on a machine that is well. The pods of one that is being drained leave
// by themselves.
func (s spread) stands(pod *corev1.Pod) bool {
	if pod.UID == s.moves[pod.Name].uid {
		return false // deleted already; the cache is behind
	}
	under := s.machines.under[pod.Spec.NodeName]
	if under == nil || under.Spec.Unschedulable {
		return false
	}
	_, ready := readySince(under)
	return ready
}

// inVain is for how long nothing is moved because a pod came back on the machine that it was moved from: for the
// scheduler there is something that weighs more, and for the other pods it will be the same.
func (s spread) inVain() time.Duration {
	var wait time.Duration
	for i := range s.pods {
		if m, moved := s.moves[s.pods[i].Name]; moved && m.from == s.pods[i].Spec.NodeName {
			wait = max(wait, m.left(s.now))
		}
	}
	return wait
}

// repels reports a pod that asks not to share its machine with others like it, as all do unless spec.podTemplate says
// otherwise. Another one would come back where it was.
func repels(pod *corev1.Pod) bool {
	matches := func(topology string, selector *metav1.LabelSelector) bool {
		s, err := metav1.LabelSelectorAsSelector(selector)
		return err == nil && topology == corev1.LabelHostname && s.Matches(labels.Set(pod.Labels))
	}
	for _, c := range pod.Spec.TopologySpreadConstraints {
		if matches(c.TopologyKey, c.LabelSelector) {
			return true
		}
	}
	if pod.Spec.Affinity == nil || pod.Spec.Affinity.PodAntiAffinity == nil {
		return false
	}
	for _, t := range pod.Spec.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		if matches(t.PodAffinityTerm.TopologyKey, t.PodAffinityTerm.LabelSelector) {
			return true
		}
	}
	return false
}

// spreadPods moves a pod to a machine that is free. The StatefulSet makes it anew, and the scheduler prefers a machine
// without another.
func (w *pass) spreadPods(ctx context.Context) error {
	if w.sts == nil || len(shared(w.pods)) == 0 {
		return nil
	}
	now := w.now()
	pod, again := spread{placement: w.placement(), moves: w.known.moves.last, now: now}.movable()
	if again > 0 {
		w.lookAgain(again)
	}
	if pod == nil {
		return nil
	}
	if !w.hasRoom(ctx, pod) {
		w.lookAgain(roomAgain)
		return nil
	}
	err := w.Client.Delete(ctx, pod, client.Preconditions{UID: ptr.To(pod.UID)})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // the cache was behind
	}
	if err != nil {
		return fmt.Errorf("moving pod %q: %w", pod.Name, err)
	}
	w.known.moves.note(pod, now)
	message := fmt.Sprintf(
		"%s leaves %s, which other pods of the set run on, because another machine is free", pod.Name, pod.Spec.NodeName,
	)
	ctrl.LoggerFrom(ctx).Info(message, "pod", pod.Name)
	w.Recorder.Event(w.rha, corev1.EventTypeNormal, v1alpha1.EventPodMoved, message)
	return nil
}

// hasRoom reports that one of the free machines has room for what the pod requests. The pods of others are not in the
// cache, so the API server is asked, at most once in roomAgain; where it does not let us see them, the scheduler
// decides.
func (w *pass) hasRoom(ctx context.Context, pod *corev1.Pod) bool {
	now := w.now()
	if now.Sub(w.known.moves.full) < roomAgain {
		return false
	}
	for _, node := range w.machines.free {
		there := &corev1.PodList{}
		err := w.APIReader.List(ctx, there, client.MatchingFields{"spec.nodeName": node.Name})
		if apierrors.IsForbidden(err) || err == nil && fits(pod, node, there.Items) {
			return true
		}
	}
	w.known.moves.full = now
	return false
}

// fits reports that what the pods on a machine request leaves enough for one more.
func fits(pod *corev1.Pod, node *corev1.Node, there []corev1.Pod) bool {
	left := node.Status.Allocatable.DeepCopy()
	count := int64(0)
	for i := range there {
		if phase := there[i].Status.Phase; phase == corev1.PodSucceeded || phase == corev1.PodFailed {
			continue
		}
		count++
		for name, quantity := range resourcehelpers.PodRequests(&there[i], resourcehelpers.PodResourcesOptions{}) {
			rest := left[name]
			rest.Sub(quantity)
			left[name] = rest
		}
	}
	if limit, limited := left[corev1.ResourcePods]; limited && limit.Value() <= count {
		return false
	}
	for name, quantity := range resourcehelpers.PodRequests(pod, resourcehelpers.PodResourcesOptions{}) {
		if rest := left[name]; rest.Cmp(quantity) < 0 {
			return false
		}
	}
	return true
}

// moves are the pods of a RedisHA that were moved.
type moves struct {
	last map[string]move // by pod name
	full time.Time       // when no free machine had room
}

func (m *moves) note(pod *corev1.Pod, now time.Time) {
	if m.last == nil {
		m.last = map[string]move{}
	}
	m.last[pod.Name] = moved(m.last[pod.Name], pod, now)
}

// moved is the next move after the last one.
func moved(last move, pod *corev1.Pod, now time.Time) move {
	next := move{uid: pod.UID, from: pod.Spec.NodeName, at: now, pause: movePause}
	if last.pause > 0 && now.Sub(last.at) < 2*last.pause {
		next.pause = min(2*last.pause, movePauseMax)
	}
	return next
}
