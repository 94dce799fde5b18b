// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/flowcontrol"
)

// runner is what the kubelets of all nodes are in a cluster: it has a worker for every pod that is bound to a node.
type runner struct {
	sandbox *Sandbox
	client  kubernetes.Interface
	backOff *flowcontrol.Backoff // of container restarts, the kubelet's own type
	events  record.EventRecorder
	dir     string

	configMaps corelisters.ConfigMapLister
	secrets    corelisters.SecretLister
	pods       corelisters.PodLister
	claims     corelisters.PersistentVolumeClaimLister
	volumes    corelisters.PersistentVolumeLister

	mu      sync.Mutex
	ctx     context.Context // of the workers; set by run
	early   []*corev1.Pod   // seen before run
	workers map[types.UID]*worker
	failed  map[string][]netip.Addr  // nodes, and the addresses that were cut off with them
	frozen  map[string]chan struct{} // nodes that stand still, and what is closed when they go on
	done    sync.WaitGroup
}

func newRunner(
	s *Sandbox, client kubernetes.Interface, events record.EventRecorder, factory informers.SharedInformerFactory,
) *runner {
	core := factory.Core().V1()
	r := &runner{
		sandbox:    s,
		client:     client,
		events:     events,
		dir:        filepath.Join(s.dir, "pods"),
		workers:    map[types.UID]*worker{},
		failed:     map[string][]netip.Addr{},
		frozen:     map[string]chan struct{}{},
		backOff:    flowcontrol.NewBackOff(s.options.RestartBackOff, s.options.RestartBackOffMax),
		pods:       core.Pods().Lister(),
		configMaps: core.ConfigMaps().Lister(),
		secrets:    core.Secrets().Lister(),
		claims:     core.PersistentVolumeClaims().Lister(),
		volumes:    core.PersistentVolumes().Lister(),
	}
	_, _ = core.Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { r.podChanged(object.(*corev1.Pod)) },
		UpdateFunc: func(_, object any) { r.podChanged(object.(*corev1.Pod)) },
		DeleteFunc: func(object any) { r.podGone(object) },
	})
	for _, informer := range []cache.SharedIndexInformer{core.ConfigMaps().Informer(), core.Secrets().Informer()} {
		_, _ = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { r.wakeVolumes() },
			UpdateFunc: func(_, _ any) { r.wakeVolumes() },
		})
	}
	return r
}

// run lets workers begin and returns when all have ended their processes.
func (r *runner) run(ctx context.Context) {
	r.mu.Lock()
	r.ctx = ctx
	early := r.early
	r.early = nil
	r.mu.Unlock()
	for _, pod := range early {
		r.podChanged(pod)
	}
	<-ctx.Done()
	r.done.Wait()
}

func (r *runner) podChanged(pod *corev1.Pod) {
	if pod.Spec.NodeName == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx == nil {
		r.early = append(r.early, pod)
		return
	}
	w, known := r.workers[pod.UID]
	if known {
		w.update(pod)
		return
	}
	if _, failed := r.failed[pod.Spec.NodeName]; failed || r.ctx.Err() != nil {
		return
	}
	w = newWorker(r, pod)
	r.workers[pod.UID] = w
	r.done.Go(func() {
		w.run()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.workers, pod.UID)
	})
}

func (r *runner) podGone(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	r.mu.Lock()
	w := r.workers[pod.UID]
	r.mu.Unlock()
	if w != nil {
		w.vanish()
	}
}

func (r *runner) wakeVolumes() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.workers {
		w.wakeVolumes()
	}
}

// find returns the worker of the pod of that name; of two, the one whose pod still exists.
func (r *runner) find(namespace, name string) (*worker, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found *worker
	for _, w := range r.workers {
		if w.key == (types.NamespacedName{Namespace: namespace, Name: name}) && (found == nil || !w.vanished()) {
			found = w
		}
	}
	if found == nil {
		return nil, fmt.Errorf("no pod %s/%s on any node", namespace, name)
	}
	return found, nil
}

func (r *runner) process(namespace, pod, container string) (*process, error) {
	w, err := r.find(namespace, pod)
	if err != nil {
		return nil, err
	}
	return w.process(container)
}

func (r *runner) hostIP(node string) string {
	for i := range r.sandbox.options.Nodes {
		if NodeName(i) == node {
			return nodeAddr(i).String()
		}
	}
	return apiServerAddr.String()
}

func (r *runner) secretData(namespace, name string) (map[string][]byte, error) {
	secret, err := r.secrets.Secrets(namespace).Get(name)
	if err != nil {
		return nil, err
	}
	return secret.Data, nil
}

func (r *runner) configMapData(namespace, name string) (map[string][]byte, error) {
	configMap, err := r.configMaps.ConfigMaps(namespace).Get(name)
	if err != nil {
		return nil, err
	}
	data := make(map[string][]byte, len(configMap.Data)+len(configMap.BinaryData))
	for key, value := range configMap.Data {
		data[key] = []byte(value)
	}
	for key, value := range configMap.BinaryData {
		data[key] = value
	}
	return data, nil
}

// notFoundYet tells an object that may still come from a real error.
func notFoundYet(err error) bool { return apierrors.IsNotFound(err) }
