// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// serviceProxy does what kube-proxy does, in user space: it listens on the cluster IP and node port of every Service
// and leads each connection to one of the endpoints that EndpointSlices name at that moment. Changes apply at once, or
// with a lag. Without endpoints no socket listens, so a client is refused. A connection stays where it was led for as
// long as it lives.
type serviceProxy struct {
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	faults   *faults
	log      *slog.Logger
	nodes    int
	lag      func(context.Context) // comes between a change and the rules
	wake     chan struct{}
	ports    map[netip.AddrPort]*servicePort
}

func newServiceProxy(
	factory informers.SharedInformerFactory, f *faults, log *slog.Logger, nodes int, lag time.Duration,
) *serviceProxy {
	services, endpointSlices := factory.Core().V1().Services(), factory.Discovery().V1().EndpointSlices()
	p := &serviceProxy{
		services: services.Lister(),
		slices:   endpointSlices.Lister(),
		faults:   f,
		log:      log,
		nodes:    nodes,
		lag:      upTo(lag),
		wake:     make(chan struct{}, 1),
		ports:    map[netip.AddrPort]*servicePort{},
	}
	for _, informer := range []cache.SharedIndexInformer{services.Informer(), endpointSlices.Informer()} {
		_, _ = informer.AddEventHandler(wakeOn(p.wake))
	}
	return p
}

func (p *serviceProxy) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			for _, port := range p.ports {
				port.close()
			}
			return
		case <-p.wake:
			p.lag(ctx)
			if !p.reconcile(ctx) {
				time.AfterFunc(100*time.Millisecond, func() { notify(p.wake) })
			}
		}
	}
}

// upTo waits for a random part of a time. What changes meanwhile is in the rules, too.
func upTo(lag time.Duration) func(context.Context) {
	if lag <= 0 {
		return func(context.Context) {}
	}
	return func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case <-time.After(rand.N(lag)):
		}
	}
}

// reconcile returns false when an address could not be listened on.
func (p *serviceProxy) reconcile(ctx context.Context) bool {
	wanted := p.wanted()
	for address, port := range p.ports {
		if len(wanted[address]) == 0 {
			port.close()
			delete(p.ports, address)
		}
	}
	ok := true
	for address, backends := range wanted {
		if len(backends) == 0 {
			continue
		}
		if port := p.ports[address]; port != nil {
			port.setBackends(backends)
			continue
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", address.String())
		if err != nil {
			p.log.Warn("listen for a Service", "address", address, "error", err)
			ok = false
			continue
		}
		port := &servicePort{listener: listener, faults: p.faults}
		port.setBackends(backends)
		p.ports[address] = port
		go port.serve()
	}
	return ok
}

// wanted returns the backends of every address that a Service has.
func (p *serviceProxy) wanted() map[netip.AddrPort][]netip.AddrPort {
	wanted := map[netip.AddrPort][]netip.AddrPort{}
	services, err := p.services.List(labels.Everything())
	if err != nil {
		return wanted
	}
	for _, service := range services {
		ip, err := netip.ParseAddr(service.Spec.ClusterIP)
		if err != nil { // headless, or of type ExternalName
			continue
		}
		for _, port := range service.Spec.Ports {
			if port.Protocol != corev1.ProtocolTCP {
				continue
			}
			backends := p.backends(service, port.Name)
			wanted[netip.AddrPortFrom(ip, uint16(port.Port))] = backends
			for i := range p.nodes {
				if port.NodePort != 0 {
					wanted[netip.AddrPortFrom(nodeAddr(i), uint16(port.NodePort))] = backends
				}
			}
		}
	}
	return wanted
}

// backends returns the ready endpoints; where there are none, those that terminate and still serve, as kube-proxy does.
func (p *serviceProxy) backends(service *corev1.Service, portName string) []netip.AddrPort {
	selector := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name})
	endpointSlices, _ := p.slices.EndpointSlices(service.Namespace).List(selector)
	ready, terminating := map[netip.AddrPort]bool{}, map[netip.AddrPort]bool{}
	for _, slice := range endpointSlices {
		port := slicePort(slice, portName)
		if port == 0 {
			continue
		}
		for _, endpoint := range slice.Endpoints {
			if len(endpoint.Addresses) == 0 {
				continue
			}
			ip, err := netip.ParseAddr(endpoint.Addresses[0])
			if err != nil {
				continue
			}
			address := netip.AddrPortFrom(ip, port)
			switch conditions := endpoint.Conditions; {
			case ptr.Deref(conditions.Ready, true):
				ready[address] = true
			case ptr.Deref(conditions.Serving, false) && ptr.Deref(conditions.Terminating, false):
				terminating[address] = true
			}
		}
	}
	if len(ready) == 0 {
		ready = terminating
	}
	return slices.SortedFunc(maps.Keys(ready), netip.AddrPort.Compare)
}

func slicePort(slice *discoveryv1.EndpointSlice, name string) uint16 {
	for _, port := range slice.Ports {
		if ptr.Deref(port.Name, "") == name && ptr.Deref(port.Protocol, corev1.ProtocolTCP) == corev1.ProtocolTCP {
			return uint16(ptr.Deref(port.Port, 0))
		}
	}
	return 0
}
