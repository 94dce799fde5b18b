// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// FindService is what an application in a pod does: it connects to the ClusterIP of a Service, which does not change,
// and leaves the rest to the service proxy. The port is the first of the Service.
func FindService(ctx context.Context, client kubernetes.Interface, namespace, name string) (Finder, error) {
	service, err := client.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("find the master: %w", err)
	}
	if service.Spec.ClusterIP == "" || service.Spec.ClusterIP == corev1.ClusterIPNone || len(service.Spec.Ports) == 0 {
		return nil, fmt.Errorf("find the master: Service %s/%s has no cluster IP or no port", namespace, name)
	}
	return Fixed(net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(int(service.Spec.Ports[0].Port)))), nil
}

// Endpoints is what a client with access to the API does: it watches the EndpointSlice of the master's Service and
// connects to the pod itself.
type Endpoints struct {
	stop    context.CancelFunc
	factory informers.SharedInformerFactory
	mu      sync.Mutex
	addr    string
	left    chan struct{}
}

var errNoEndpoint = errors.New("the master's Service has no ready endpoint")

// WatchEndpoints begins to watch the EndpointSlices of the Service and returns when they have been listed. The context
// bounds the list only; Close ends the watch.
func WatchEndpoints(ctx context.Context, client kubernetes.Interface, namespace, service string) (*Endpoints, error) {
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e := &Endpoints{stop: cancel}
	e.factory = informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.LabelSelector = discoveryv1.LabelServiceName + "=" + service
		}))
	informer := e.factory.Discovery().V1().EndpointSlices().Informer()
	update := func(any) { e.update(informer.GetStore()) }
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: update, DeleteFunc: update, UpdateFunc: func(_, _ any) { update(nil) },
	})
	if err != nil {
		cancel()
		return nil, err
	}
	e.factory.Start(background.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		e.Close()
		return nil, fmt.Errorf("list the EndpointSlices of %s/%s: %w", namespace, service, context.Cause(ctx))
	}
	update(nil)
	return e, nil
}

// Close ends the watch.
func (e *Endpoints) Close() {
	e.stop()
	e.factory.Shutdown()
}

// Find returns the one ready endpoint. Left is closed when the slice stops naming it.
func (e *Endpoints) Find(context.Context) (Place, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.addr == "" {
		return Place{}, errNoEndpoint
	}
	return Place{Addr: e.addr, Left: e.left}, nil
}

func (e *Endpoints) update(store cache.Store) {
	e.mu.Lock()
	defer e.mu.Unlock()
	addr := ""
	for _, object := range store.List() {
		if slice, ok := object.(*discoveryv1.EndpointSlice); ok && addr == "" {
			addr = readyEndpoint(slice)
		}
	}
	if addr == e.addr {
		return
	}
	if e.left != nil {
		close(e.left)
	}
	e.addr, e.left = addr, make(chan struct{})
}

// readyEndpoint returns host:port of the first endpoint that may be used; an unknown readiness counts as ready, as the
// API says.
func readyEndpoint(slice *discoveryv1.EndpointSlice) string {
	if len(slice.Ports) == 0 || slice.Ports[0].Port == nil {
		return ""
	}
	for _, endpoint := range slice.Endpoints {
		if ptr.Deref(endpoint.Conditions.Ready, true) && len(endpoint.Addresses) > 0 {
			return net.JoinHostPort(endpoint.Addresses[0], strconv.Itoa(int(*slice.Ports[0].Port)))
		}
	}
	return ""
}
