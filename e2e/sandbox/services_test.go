// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"
)

// speaker listens and says a word to each connection.
func speaker(t *testing.T, word string) netip.AddrPort {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, word+"\n")
			conn.Close()
		}
	}()
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

func sliceOf(backend netip.AddrPort) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns",
			Name:      "master",
			Labels:    map[string]string{discoveryv1.LabelServiceName: "master"},
		},
		Ports:     []discoveryv1.EndpointPort{{Name: ptr.To(""), Port: ptr.To(int32(backend.Port()))}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{backend.Addr().String()}}},
	}
}

func TestAServiceThatLagsLeadsWhereItLedBefore(t *testing.T) {
	const address = "198.19.255.7:6379"
	ctx, cancel := context.WithCancel(t.Context())
	old, fresh := speaker(t, "old"), speaker(t, "fresh")
	client := fake.NewClientset(sliceOf(old), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "master"},
		Spec: corev1.ServiceSpec{
			ClusterIP: "198.19.255.7",
			Ports:     []corev1.ServicePort{{Port: 6379, Protocol: corev1.ProtocolTCP}},
		},
	})
	factory := informers.NewSharedInformerFactory(client, 0)
	p := newServiceProxy(factory, newFaults(), slog.New(slog.DiscardHandler), 0, 0)
	lagging, over := make(chan struct{}), make(chan struct{})
	p.lag = func(ctx context.Context) {
		for _, step := range []chan struct{}{lagging, over} {
			select {
			case step <- struct{}{}:
			case <-ctx.Done():
			}
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	// What the caches were filled with wakes the proxy once or twice.
	leads := func() string {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp4", address)
		if err != nil {
			return ""
		}
		defer conn.Close()
		word, _ := bufio.NewReader(conn).ReadString('\n')
		return word
	}
	for leads() != "old\n" {
		select {
		case <-lagging:
			<-over
		case <-time.After(10 * time.Millisecond):
		}
	}
	for idle := false; !idle; {
		select {
		case <-lagging:
			<-over
		case <-time.After(300 * time.Millisecond):
			idle = true
		}
	}
	_, err := client.DiscoveryV1().EndpointSlices("ns").Update(t.Context(), sliceOf(fresh), metav1.UpdateOptions{})
	check(t, err)
	<-lagging
	if word := leads(); word != "old\n" {
		t.Errorf("before the rules have changed the Service leads to %q", word)
	}
	<-over
	check(
		t,
		WaitFor(
			t.Context(),
			"the Service to lead elsewhere",
			func(context.Context) (bool, error) { return leads() == "fresh\n", nil },
		),
	)
}

func TestALagIsAPartOfWhatIsAllowed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	upTo(0)(ctx)
	cancel()
	upTo(time.Hour)(ctx) // ends with the context
}
