// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/e2e/sandbox"
)

func TestServiceLeadsWhereItsEndpointSliceSays(t *testing.T) {
	namespace := newNamespace(t)
	apply(t, namespace, redisPod("one")+redisPod("two")+`
apiVersion: v1
kind: Service
metadata: {name: master}
spec: {ports: [{name: redis, port: 6379}]}
`)
	one, two := ready(t, namespace, "one"), ready(t, namespace, "two")
	for _, name := range []string{"one", "two"} {
		_, err := shared.Exec(within(t), namespace, name, "redis", "redis-cli", "set", "name", name)
		check(t, err)
	}
	service, err := client.CoreV1().Services(namespace).Get(within(t), "master", metav1.GetOptions{})
	check(t, err)
	address := service.Spec.ClusterIP + ":6379"
	host := newHost(t)
	if _, err := dial(t, host, address, 5*time.Second); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial a Service without endpoints: %v, want refused", err)
	}

	slice := endpointSlice(namespace, one)
	slice, err = client.DiscoveryV1().EndpointSlices(namespace).Create(within(t), slice, metav1.CreateOptions{})
	check(t, err)
	if got := ask(t, host, address, "STRLEN name"); got != ":3" {
		t.Errorf("STRLEN name: %q", got)
	}
	kept, err := dial(t, host, address, 5*time.Second)
	check(t, err)
	if got, err := say(kept, "CLIENT SETNAME kept", 5*time.Second); got != "+OK" {
		t.Fatalf("CLIENT SETNAME: %q, %v", got, err)
	}

	slice.Endpoints = endpointSlice(namespace, two).Endpoints
	slice, err = client.DiscoveryV1().EndpointSlices(namespace).Update(within(t), slice, metav1.UpdateOptions{})
	check(t, err)
	check(t, sandbox.WaitFor(within(t), "new connections to reach the other pod", func(ctx context.Context) (bool, error) {
		conn, err := host.DialContext(ctx, "tcp", address)
		if err != nil {
			return false, err // a flip must not refuse anybody
		}
		defer conn.Close()
		answer, err := say(conn, "GETRANGE name 0 0", 5*time.Second)
		if err != nil || answer != "$1" {
			return false, err
		}
		return clients(t, namespace, "two") > 0, nil
	}))
	if got, err := say(kept, "STRLEN name", 5*time.Second); got != ":3" {
		t.Errorf("the established connection: %q, %v; want it to stay where it was", got, err)
	}

	slice.Endpoints = nil
	_, err = client.DiscoveryV1().EndpointSlices(namespace).Update(within(t), slice, metav1.UpdateOptions{})
	check(t, err)
	check(t, sandbox.WaitFor(within(t), "the Service to refuse", func(ctx context.Context) (bool, error) {
		conn, err := host.DialContext(ctx, "tcp", address)
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED), nil
	}))
}

// clients returns how many commands the pod's redis has served besides its own redis-cli's: a GETRANGE tells.
func clients(t *testing.T, namespace, pod string) int {
	t.Helper()
	stats, err := shared.Exec(
		within(t), namespace, pod, "redis", "sh", "-c", "redis-cli info commandstats | grep -c cmdstat_getrange || true",
	)
	check(t, err)
	if stats == "1\n" {
		return 1
	}
	return 0
}

func endpointSlice(namespace string, pod *corev1.Pod) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "master", Labels: map[string]string{
			discoveryv1.LabelServiceName: "master", discoveryv1.LabelManagedBy: "test",
		}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To("redis"), Port: ptr.To(int32(6379))}},
		Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{pod.Status.PodIP}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}},
		},
	}
}

func TestPartitionDropsSilentlyAndHeals(t *testing.T) {
	namespace := newNamespace(t)
	apply(t, namespace, redisPod("near")+redisPod("far"))
	near, far := ready(t, namespace, "near"), ready(t, namespace, "far")
	host := newHost(t)
	established, err := dial(t, host, far.Status.PodIP+":6379", 5*time.Second)
	check(t, err)
	if got, err := say(established, "PING", 5*time.Second); got != "+PONG" {
		t.Fatalf("PING: %q, %v", got, err)
	}

	check(t, shared.Partition(host.Addr(), podAddr(t, far)))
	t.Cleanup(func() { check(t, shared.HealAll()) })
	if got, err := say(established, "PING", 700*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("PING through a partition: %q, %v; want silence", got, err)
	}
	if _, err := dial(
		t, host, far.Status.PodIP+":6379", 700*time.Millisecond,
	); !errors.Is(err, context.DeadlineExceeded) &&
		!isTimeout(err) {
		t.Errorf("dial through a partition: %v, want silence", err)
	}
	if got := ask(t, host, near.Status.PodIP+":6379", "PING"); got != "+PONG" {
		t.Errorf("PING to a pod that is not parted: %q", got)
	}
	if got, err := shared.Exec(
		within(t), namespace, "near", "redis", "redis-cli", "-h", far.Status.PodIP, "ping",
	); got != "PONG\n" {
		t.Errorf("the pods are not parted from each other, yet: %q, %v", got, err)
	}

	check(t, shared.Heal(host.Addr(), podAddr(t, far)))
	if got := ask(t, host, far.Status.PodIP+":6379", "PING"); got != "+PONG" {
		t.Errorf("PING after healing: %q", got)
	}
	// TCP resends what was lost: the connection lives on.
	if got, err := say(established, "PING", 10*time.Second); got != "+PONG" {
		t.Errorf("PING on the old connection after healing: %q, %v", got, err)
	}
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestPartitionHoldsThroughAService(t *testing.T) {
	namespace := newNamespace(t)
	apply(t, namespace, redisPod("behind")+`
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {selector: {app: behind}, ports: [{name: redis, port: 6379}]}
`)
	pod := ready(t, namespace, "behind")
	service, err := client.CoreV1().Services(namespace).Get(within(t), "front", metav1.GetOptions{})
	check(t, err)
	address := service.Spec.ClusterIP + ":6379"
	host := newHost(t)
	if got := ask(t, host, address, "PING"); got != "+PONG" {
		t.Fatalf("PING through the Service: %q", got)
	}
	conn, err := dial(t, host, address, 5*time.Second)
	check(t, err)
	check(t, shared.Partition(host.Addr(), podAddr(t, pod)))
	t.Cleanup(func() { check(t, shared.HealAll()) })
	if got, err := say(conn, "PING", 500*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("PING through Service and partition: %q, %v; want silence", got, err)
	}
	check(t, shared.HealAll())
	if got := ask(t, host, address, "PING"); got != "+PONG" {
		t.Errorf("PING after healing: %q", got)
	}
}

func TestIsolatedPodIsAloneAndStillProbed(t *testing.T) {
	namespace := newNamespace(t)
	apply(t, namespace, redisPod("lone")+redisPod("other"))
	lone, other := ready(t, namespace, "lone"), ready(t, namespace, "other")
	check(t, shared.Isolate(podAddr(t, lone)))
	t.Cleanup(func() { check(t, shared.HealAll()) })
	host := newHost(t) // did not exist when the pod was isolated
	if _, err := dial(t, host, lone.Status.PodIP+":6379", 500*time.Millisecond); !isTimeout(err) {
		t.Errorf("dial an isolated pod: %v, want silence", err)
	}
	if got, err := shared.Exec(
		within(t), namespace, "lone", "redis", "timeout", "0.5", "redis-cli", "-h", other.Status.PodIP, "ping",
	); err == nil {
		t.Errorf("an isolated pod got out: %q", got)
	}
	time.Sleep(4 * time.Second) // more than the readiness probe's three failures
	if pod, err := client.CoreV1().
		Pods(namespace).
		Get(within(t), "lone", metav1.GetOptions{}); err != nil ||
		!isReady(pod) {
		t.Errorf("the node no longer finds the isolated pod ready: %v", err)
	}
	check(t, shared.Rejoin(podAddr(t, lone)))
	if got := ask(t, host, lone.Status.PodIP+":6379", "PING"); got != "+PONG" {
		t.Errorf("PING after rejoining: %q", got)
	}
}

func TestHostIsPartedFromTheAPIServer(t *testing.T) {
	host := newHost(t)
	conn, err := dial(t, host, shared.APIServerAddr().String()+":6443", 5*time.Second)
	check(t, err)
	conn.Close()
	check(t, shared.PartitionOneWay(host.Addr(), shared.APIServerAddr()))
	t.Cleanup(func() { check(t, shared.HealAll()) })
	if _, err := dial(t, host, shared.APIServerAddr().String()+":6443", 700*time.Millisecond); !isTimeout(err) {
		t.Errorf("dial the API server through a partition: %v, want silence", err)
	}
}
