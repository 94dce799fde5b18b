// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
	"github.com/redisha/redisha/redisclient/redistest"
)

// overTCP watches one node of a network of fake Redis processes, over a real connection.
func overTCP(t *testing.T, cfg redistest.Config, password func() string) (*Prober, *redistest.Node) {
	t.Helper()
	network := redistest.NewNetwork()
	t.Cleanup(network.Close)
	node, err := network.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	host, service, err := net.SplitHostPort(node.Addr())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(service)
	if err != nil {
		t.Fatal(err)
	}
	p := New(Options{})
	t.Cleanup(p.Close)
	var credentials Credentials
	if password != nil {
		credentials.Shown = func() []redisclient.Credentials { return []redisclient.Credentials{{Password: password()}} }
	}
	p.Ensure(key, []Target{{Pod: "cache-0", UID: "u0", IP: host, Port: port}}, credentials)
	return p, node
}

func becomes(t *testing.T, p *Prober, want failover.Contact) failover.Node {
	t.Helper()
	eventually(t, "contact is "+string(want), func() bool { return p.Observe(key)[0].Contact == want })
	return p.Observe(key)[0]
}

func TestADeniedPodAnswersOnceThePasswordIsRight(t *testing.T) {
	var password atomic.Value
	password.Store("wrong")
	p, _ := overTCP(t, redistest.Config{Password: "right"}, func() string { return password.Load().(string) })
	if n := becomes(t, p, failover.ContactDenied); n.Sampled {
		t.Errorf("a pod that denied us was sampled: %+v", n)
	}
	password.Store("right")
	becomes(t, p, failover.ContactAnswering)
}

func TestAKilledPodIsRefusedAndItsSuccessorSampled(t *testing.T) {
	p, node := overTCP(t, redistest.Config{}, nil)
	before := becomes(t, p, failover.ContactAnswering)
	node.Kill()
	becomes(t, p, failover.ContactRefused)
	if err := node.Restart(redistest.KeepNothing); err != nil {
		t.Fatal(err)
	}
	after := becomes(t, p, failover.ContactAnswering)
	if after.Replication.RunID == before.Replication.RunID || !after.Replication.Fenced() {
		t.Errorf("got %+v", after.Replication)
	}
}

func TestAHungPodIsSilentUntilItResumes(t *testing.T) {
	p, node := overTCP(t, redistest.Config{}, nil)
	becomes(t, p, failover.ContactAnswering)
	node.Hang()
	becomes(t, p, failover.ContactSilent)
	node.Resume()
	becomes(t, p, failover.ContactAnswering)
}
