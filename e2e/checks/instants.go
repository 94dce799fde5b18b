// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

// instants is what was published so far, at every instant that the API server knows of.
type instants struct {
	client             client.WithWatch
	namespace, service string

	mu       sync.Mutex
	epoch    int64
	labelled map[types.UID]string
	wrong    []string
}

// WatchInstants begins to watch what is published about a RedisHA, until the context ends or it is stopped; stop waits
// for the end. At every instant the master's Service has to lead to one pod at most, by an epoch that never goes back,
// and one pod at most may be labelled as master. Wrong says what was wrong so far.
func WatchInstants(ctx context.Context, c client.WithWatch, key client.ObjectKey) (wrong func() []string, stop func()) {
	w := &instants{
		client: c, namespace: key.Namespace, service: resources.MasterServiceName(key.Name), labelled: map[types.UID]string{},
	}
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { w.follow(ctx, &corev1.PodList{}, w.forgetPods, w.pod) })
	done.Go(func() { w.follow(ctx, &discoveryv1.EndpointSliceList{}, func() {}, w.slice) })
	wrong = func() []string {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.wrong
	}
	return wrong, func() {
		cancel()
		done.Wait()
	}
}

// follow hands every change to see, from the present state on. A watch that ends, as with its API server, is begun
// anew.
func (w *instants) follow(ctx context.Context, list client.ObjectList, forget func(), see func(watch.Event)) {
	for ctx.Err() == nil {
		forget()
		if watching, err := w.client.Watch(ctx, list, client.InNamespace(w.namespace)); err == nil {
			context.AfterFunc(ctx, watching.Stop)
			for event := range watching.ResultChan() {
				see(event)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (w *instants) forgetPods() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.labelled)
}

func (w *instants) pod(event watch.Event) {
	pod, ok := event.Object.(*corev1.Pod)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.labelled, pod.UID)
	if event.Type != watch.Deleted && pod.Labels[v1alpha1.LabelRole] == v1alpha1.RoleMaster {
		w.labelled[pod.UID] = pod.Name
	}
	if len(w.labelled) > 1 {
		w.wrong = append(w.wrong, fmt.Sprintf("labelled as master at the same time: %v", w.labelled))
	}
}

func (w *instants) slice(event watch.Event) {
	slice, ok := event.Object.(*discoveryv1.EndpointSlice)
	if !ok || slice.Name != w.service || event.Type == watch.Deleted {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var epoch int64
	if _, err := fmt.Sscan(slice.Annotations[v1alpha1.AnnotationEpoch], &epoch); err != nil || epoch < w.epoch {
		w.wrong = append(
			w.wrong, fmt.Sprintf("published by epoch %q after epoch %d", slice.Annotations[v1alpha1.AnnotationEpoch], w.epoch),
		)
	}
	w.epoch = max(w.epoch, epoch)
	if len(slice.Endpoints) > 1 {
		w.wrong = append(w.wrong, fmt.Sprintf("%d endpoints at the same time", len(slice.Endpoints)))
	}
}
