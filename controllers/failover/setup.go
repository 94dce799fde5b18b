// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/controllers/podstate"
	"github.com/redisha/redisha/controllers/tenancy"
	"github.com/redisha/redisha/failover/executor"
	"github.com/redisha/redisha/failover/prober"
)

// SetupWithManager starts the loop with the manager, on the leader only.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.prepare(mgr.GetLogger())
	if err := mgr.Add(manager.RunnableFunc(r.closeProber)); err != nil {
		return fmt.Errorf("adding the prober: %w", err)
	}
	err := ctrl.NewControllerManagedBy(mgr).
		Named("failover").
		For(&v1alpha1.RedisHA{}).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(tenancy.ByName)).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(r.onNode), builder.WithPredicates(onChange(r.leaves))).
		Watches(&discoveryv1.EndpointSlice{}, handler.Funcs{
			UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q tenancy.Queue) { enqueue(ctx, e.ObjectNew, q) },
			DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q tenancy.Queue) {
				r.effects.slices.Forget(client.ObjectKeyFromObject(e.Object))
				enqueue(ctx, e.Object, q)
			},
		}).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(tenancy.ByName)).
		Watches(&appsv1.StatefulSet{}, handler.EnqueueRequestsFromMapFunc(tenancy.ByName)).
		WatchesRawSource(source.Func(func(_ context.Context, q tenancy.Queue) error {
			// The prober's wakes go straight into the queue: no buffer to overflow, duplicates fall together.
			r.wake = q.Add
			return nil
		})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: max(r.Concurrent, 1),
			// A standby keeps its caches warm: listing everything first would delay the failover it takes over.
			EnableWarmup: ptr.To(true),
			RateLimiter:  retries(),
			NewQueue:     tenancy.NewQueue,
		}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("building the failover controller: %w", err)
	}
	return nil
}

// Wake has the loop look at a RedisHA. It does nothing where the loop does not run.
func (r *Reconciler) Wake(key client.ObjectKey) { r.wake(reconcile.Request{NamespacedName: key}) }

// prepare makes what the loop works with.
func (r *Reconciler) prepare(logger logr.Logger) {
	r.wake = func(reconcile.Request) {}
	r.workers.All = max(r.Concurrent, 1)
	r.written = tenancy.WithBudget(r.Client, r.Clock)
	r.Client = r.written
	r.effects = &kubeEffects{
		client:     r.Client,
		reader:     r.Reader,
		statuses:   &r.statuses,
		encryption: func(key client.ObjectKey) encryption.State { return r.memory.Of(key).encryption() },
	}
	options := r.Prober
	options.Wake = func(key string) { r.wake(reconcile.Request{NamespacedName: objectKey(key)}) }
	options.Panicked = func(key, pod string, why any, stack []byte) {
		logger.Error(fmt.Errorf("panic: %v", why), "a pod's answer could not be read; it is asked again after a pause",
			"redisha", key, "pod", pod, "stack", string(stack))
	}
	r.prober = prober.New(options)
	r.executor = executor.New(r.prober, r.effects, r.Lease, executor.Options{})
	r.observer = observer{
		client: r.Client, prober: r.prober, effects: r.effects, clock: r.Clock, recorder: r.Recorder,
		drainTaints: r.DrainTaints,
	}
}

// retries is after how long what has failed is tried again. Every wake counts as a failure while the API server
// refuses: the default, which doubles up to 1000 s, could leave a failover waiting for minutes after the API server is
// well again.
func retries() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](5*time.Millisecond, time.Second)
}

func (r *Reconciler) closeProber(ctx context.Context) error {
	<-ctx.Done()
	r.prober.Close()
	return nil
}

func enqueue(ctx context.Context, obj client.Object, q tenancy.Queue) {
	for _, req := range tenancy.ByName(ctx, obj) {
		q.Add(req)
	}
}

// onNode leads from a Kubernetes node to every RedisHA that has a pod on it.
func (r *Reconciler) onNode(ctx context.Context, node client.Object) []reconcile.Request {
	var pods corev1.PodList
	if err := r.Client.List(ctx, &pods); err != nil { // the cache holds Redis pods only
		return nil
	}
	seen := map[client.ObjectKey]bool{}
	var requests []reconcile.Request
	for i := range pods.Items {
		if pods.Items[i].Spec.NodeName != node.GetName() {
			continue
		}
		for _, req := range tenancy.ByName(ctx, &pods.Items[i]) {
			if !seen[req.NamespacedName] {
				seen[req.NamespacedName] = true
				requests = append(requests, req)
			}
		}
	}
	return requests
}

// leaves lets through what a failover may be about: kubelets report far more often.
func (r *Reconciler) leaves(before, after client.Object) bool {
	a, okA := before.(*corev1.Node)
	b, okB := after.(*corev1.Node)
	return !okA || !okB || podstate.IsLeaving(a, r.DrainTaints) != podstate.IsLeaving(b, r.DrainTaints)
}

func onChange(changed func(before, after client.Object) bool) predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool { return changed(e.ObjectOld, e.ObjectNew) },
	}
}
