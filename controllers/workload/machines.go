// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	schedulinghelpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/tenancy"
)

// machineSettles is how long a machine must have been ready to count as free: one that flaps is no place to move to.
const machineSettles = 30 * time.Second

// machines are the Kubernetes nodes that matter to where the pods of one RedisHA run.
type machines struct {
	// under are those that a pod runs on, by name, as far as they exist.
	under map[string]*corev1.Node
	// free are those that could take a pod and have none of the set. They are looked for only while pods share a machine.
	free []*corev1.Node
	// settles is after how long another machine is free, if it stays ready; zero when there is none such.
	settles time.Duration
}

// lookAtMachines fills in w.machines. What is read from the cache without a copy is not changed.
func (w *pass) lookAtMachines(ctx context.Context) error {
	w.machines = machines{under: map[string]*corev1.Node{}}
	for i := range w.pods {
		name := w.pods[i].Spec.NodeName
		if name == "" || w.machines.under[name] != nil {
			continue
		}
		node := &corev1.Node{}
		switch err := w.Client.Get(ctx, client.ObjectKey{Name: name}, node); {
		case err == nil:
			w.machines.under[name] = node
		case !apierrors.IsNotFound(err):
			return fmt.Errorf("reading node %s: %w", name, err)
		}
	}
	if len(shared(w.pods)) == 0 {
		return nil
	}
	nodes := &corev1.NodeList{}
	if err := w.Client.List(ctx, nodes, &client.ListOptions{UnsafeDisableDeepCopy: ptr.To(true)}); err != nil {
		return fmt.Errorf("listing the nodes: %w", err)
	}
	w.machines.search(nodes.Items, w.pods, w.now())
	return nil
}

// search finds the machines that are free.
func (m *machines) search(nodes []corev1.Node, pods []corev1.Pod, now time.Time) {
	for i := range nodes {
		node := &nodes[i]
		since, ready := readySince(node)
		if !ready || m.under[node.Name] != nil || !takes(node, &pods[0]) {
			continue
		}
		switch left := machineSettles - now.Sub(since); {
		case left <= 0:
			m.free = append(m.free, node)
		case m.settles == 0 || left < m.settles:
			m.settles = left
		}
	}
}

// takes reports a machine that the pod may be scheduled to, as far as the machine and the pod's own wishes tell.
func takes(node *corev1.Node, pod *corev1.Pod) bool {
	if node.Spec.Unschedulable || node.DeletionTimestamp != nil {
		return false
	}
	// A toleration that compares numbers passes the API server only where the scheduler knows it, too.
	if _, untolerated := schedulinghelpers.FindMatchingUntoleratedTaint(
		logr.Discard(), node.Spec.Taints, pod.Spec.Tolerations, nil, true,
	); untolerated {
		return false
	}
	match, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node)
	return err == nil && match
}

// readySince says whether the kubelet is ready, and since when.
func readySince(node *corev1.Node) (since time.Time, ready bool) {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.LastTransitionTime.Time, c.Status == corev1.ConditionTrue
		}
	}
	return time.Time{}, false
}

// shared are the pods of each machine that has more than one of them. A pod that is being deleted does not count.
func shared(pods []corev1.Pod) map[string][]*corev1.Pod {
	on := map[string][]*corev1.Pod{}
	for i := range pods {
		if pod := &pods[i]; pod.Spec.NodeName != "" && pod.DeletionTimestamp.IsZero() {
			on[pod.Spec.NodeName] = append(on[pod.Spec.NodeName], pod)
		}
	}
	for name, there := range on {
		if len(there) < 2 {
			delete(on, name)
		}
	}
	return on
}

// machineChanged wakes every RedisHA whose pods share a machine when one may have become free, or not free any more.
// Those that are there when the operator starts are no news: every RedisHA is looked at then.
func (r *Reconciler) machineChanged() handler.Funcs {
	wake := func(ctx context.Context, q tenancy.Queue) {
		for _, req := range r.stacked(ctx) {
			q.Add(req)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q tenancy.Queue) {
			if !e.IsInInitialList {
				wake(ctx, q)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q tenancy.Queue) {
			if freedomChanged(e.ObjectOld, e.ObjectNew) {
				wake(ctx, q)
			}
		},
		DeleteFunc: func(ctx context.Context, _ event.DeleteEvent, q tenancy.Queue) { wake(ctx, q) },
	}
}

// freedomChanged lets through what decides whether a machine takes pods: kubelets report far more often.
func freedomChanged(before, after client.Object) bool {
	a, okA := before.(*corev1.Node)
	b, okB := after.(*corev1.Node)
	if !okA || !okB {
		return true
	}
	_, wasReady := readySince(a)
	_, isReady := readySince(b)
	return wasReady != isReady || a.Spec.Unschedulable != b.Spec.Unschedulable ||
		!slices.EqualFunc(a.Spec.Taints, b.Spec.Taints, func(x, y corev1.Taint) bool { return x.MatchTaint(&y) }) ||
		!maps.Equal(a.Labels, b.Labels)
}

// stacked are the RedisHA that have pods which share a machine.
func (r *Reconciler) stacked(ctx context.Context) []reconcile.Request {
	var list corev1.PodList
	if err := r.Client.List(
		ctx, &list, &client.ListOptions{UnsafeDisableDeepCopy: ptr.To(true)},
	); err != nil { // the cache holds Redis pods only
		return nil
	}
	sets := map[client.ObjectKey][]corev1.Pod{}
	for i := range list.Items {
		pod := &list.Items[i]
		if name := pod.Labels[v1alpha1.LabelName]; name != "" {
			key := client.ObjectKey{Namespace: pod.Namespace, Name: name}
			sets[key] = append(sets[key], *pod)
		}
	}
	var requests []reconcile.Request
	for key, pods := range sets {
		if len(shared(pods)) > 0 {
			requests = append(requests, reconcile.Request{NamespacedName: key})
		}
	}
	return requests
}
