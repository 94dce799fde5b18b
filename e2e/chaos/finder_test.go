// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/redisclient/redistest"
)

// movable is a Finder that a test moves.
type movable struct {
	mu   sync.Mutex
	addr string
	left chan struct{}
}

func (m *movable) Find(context.Context) (Place, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Place{Addr: m.addr, Left: m.left}, nil
}

func (m *movable) move(addr string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left != nil {
		close(m.left)
	}
	m.addr, m.left = addr, make(chan struct{})
}

// registerRole makes a miniredis answer ROLE, which it does not know.
func registerRole(t *testing.T, m *miniredis.Miniredis, role string) {
	t.Helper()
	err := m.Server().Register("ROLE", func(peer *server.Peer, _ string, _ []string) {
		peer.WriteLen(1)
		peer.WriteBulk(role)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// hang lets no SET through before release is closed.
func hang(m *miniredis.Miniredis, release <-chan struct{}) {
	m.Server().SetPreHook(func(_ *server.Peer, command string, _ ...string) bool {
		if command == "SET" {
			<-release
		}
		return false
	})
}

func TestTheServicesAddressIsItsClusterIPAndFirstPort(t *testing.T) {
	client := fake.NewClientset(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cache-master"},
		Spec:       corev1.ServiceSpec{ClusterIP: "198.19.0.7", Ports: []corev1.ServicePort{{Port: 6379}}},
	})
	finder, err := FindService(t.Context(), client, "shop", "cache-master")
	if err != nil {
		t.Fatal(err)
	}
	place, err := finder.Find(t.Context())
	if err != nil || place.Addr != "198.19.0.7:6379" {
		t.Errorf("found %v, %v", place, err)
	}
	if _, err := FindService(t.Context(), client, "shop", "other-master"); err == nil {
		t.Error("a Service that does not exist was found")
	}
}

func slice(ip string, ready *bool) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop",
			Name:      "cache-master",
			Labels:    map[string]string{discoveryv1.LabelServiceName: "cache-master"},
		},
		Ports: []discoveryv1.EndpointPort{{Port: ptr.To[int32](6379)}},
		Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{ip}, Conditions: discoveryv1.EndpointConditions{Ready: ready}},
		},
	}
}

func TestAFlippedEndpointIsFoundAndTheOldOneLeft(t *testing.T) {
	client := fake.NewClientset(slice("198.18.1.2", nil))
	finder, err := WatchEndpoints(t.Context(), client, "shop", "cache-master")
	if err != nil {
		t.Fatal(err)
	}
	defer finder.Close()
	before, err := finder.Find(t.Context())
	if err != nil || before.Addr != "198.18.1.2:6379" {
		t.Fatalf("found %v, %v", before, err)
	}
	if _, err := client.DiscoveryV1().
		EndpointSlices("shop").
		Update(t.Context(), slice("198.18.2.2", ptr.To(true)), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-before.Left:
	case <-time.After(10 * time.Second):
		t.Fatal("the client was not told that the master has moved")
	}
	after, err := finder.Find(t.Context())
	if err != nil || after.Addr != "198.18.2.2:6379" {
		t.Errorf("found %v, %v", after, err)
	}
}

func TestAnEndpointThatIsNotReadyIsNone(t *testing.T) {
	client := fake.NewClientset(slice("198.18.1.2", ptr.To(false)))
	finder, err := WatchEndpoints(t.Context(), client, "shop", "cache-master")
	if err != nil {
		t.Fatal(err)
	}
	defer finder.Close()
	if place, err := finder.Find(t.Context()); err == nil {
		t.Errorf("found %v", place)
	}
}

func TestSentinelIsAskedForTheMaster(t *testing.T) {
	addr := startSentinel(t, "sentinel monitor cache 198.51.100.7 6379 1\n")
	unused := "127.0.0.1:1"
	finder := NewSentinel("cache", []string{unused, addr}, nil)
	defer finder.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		place, err := finder.Find(ctx)
		if err == nil {
			if place.Addr != "198.51.100.7:6379" {
				t.Errorf("found %v", place)
			}
			break
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	other := NewSentinel("other", []string{addr}, nil)
	defer other.Close()
	if place, err := other.Find(ctx); err == nil {
		t.Errorf("found %v for a name no Sentinel knows", place)
	}
}

// TestAnAnnouncedMasterIsFoundAndTheOldOneLeft: of two Sentinels the one that has announced it is asked, the other one
// does not know yet.
func TestAnAnnouncedMasterIsFoundAndTheOldOneLeft(t *testing.T) {
	var announced atomic.Bool
	names := func(master func() string) *miniredis.Miniredis {
		m := miniredis.RunT(t)
		err := m.Server().Register("SENTINEL", func(peer *server.Peer, _ string, _ []string) {
			peer.WriteStrings([]string{master(), "6379"})
		})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	late := names(func() string { return "cache-0" })
	leader := names(func() string {
		if announced.Load() {
			return "cache-1"
		}
		return "cache-0"
	})
	finder := NewSentinel("cache", []string{late.Addr(), leader.Addr()}, nil)
	defer finder.Close()
	before, err := finder.Find(t.Context())
	if err != nil || before.Addr != "cache-0:6379" {
		t.Fatalf("found %v, %v", before, err)
	}
	for deadline := time.Now().Add(20 * time.Second); leader.PubSubNumSub(switchMaster)[switchMaster] == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the Sentinel has no subscriber")
		}
	}
	announced.Store(true)
	leader.Publish(switchMaster, "other 198.51.100.1 6379 198.51.100.2 6379")
	leader.Publish(switchMaster, "cache cache-0 6379 cache-1 6379")
	select {
	case <-before.Left:
	case <-time.After(20 * time.Second):
		t.Fatal("the client was not told that the master has moved")
	}
	after, err := finder.Find(t.Context())
	if err != nil || after.Addr != "cache-1:6379" {
		t.Fatalf("found %v, %v", after, err)
	}
	late.Publish(switchMaster, "cache cache-0 6379 cache-1 6379") // it learns of it, and announces it, too
	select {
	case <-after.Left:
		t.Error("the client was told to leave the master that it had been led to")
	case <-time.After(100 * time.Millisecond):
	}
}

// startSentinel runs a real Sentinel and returns its address.
func startSentinel(t *testing.T, config string) string {
	t.Helper()
	redistest.Installed(t)
	p := &redistest.Process{Host: "127.0.0.1", Dir: t.TempDir()}
	var err error
	if p.Port, err = redistest.FreePort(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.Dir, "sentinel.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, "bind 127.0.0.1\nport %d\n%s", p.Port, config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	if err := p.Start(file, "--sentinel"); err != nil {
		t.Fatal(err)
	}
	return p.Addr()
}
