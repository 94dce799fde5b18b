// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/executor"
	"github.com/redisha/redisha/failover/prober"
	"github.com/redisha/redisha/redisclient/redistest"
)

// patience is for what must happen, on a machine that may be busy. Nothing is asserted to be fast.
const patience = 20 * time.Second

const key = "default/cache"

// process is a redis-server on a loopback address of its own.
type process struct {
	redistest.Process

	t *testing.T
}

// start boots fenced, as every pod does.
func (p *process) start() error {
	return p.Start(
		"--port", strconv.Itoa(p.Port), "--bind", p.Host, "--protected-mode", "no", "--dir", p.Dir, "--save", "",
		"--replicaof", failover.FenceHost, strconv.Itoa(failover.FencePort), "--repl-diskless-sync-delay", "0",
		"--repl-ping-replica-period", "1", "--bind-source-addr", p.Host,
	)
}

func (p *process) client() *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: p.Addr(), MaxRetries: -1, ReadTimeout: patience})
	p.t.Cleanup(func() { _ = c.Close() })
	return c
}

// fleet is three real Redis processes under the eyes of a real Prober and in the hands of a real Executor.
type fleet struct {
	t        *testing.T
	prober   *prober.Prober
	executor *executor.Executor
	redis    []*process
	port     int
}

// newFleet starts a master, 0, with two replicas attached.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	redistest.Installed(t)
	port, err := redistest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, prober: prober.New(prober.Options{}), port: port}
	t.Cleanup(f.prober.Close)
	f.executor = executor.New(f.prober, nil, endless{}, executor.Options{})
	var targets []prober.Target
	for i := range 3 {
		p := &process{
			Process: redistest.Process{Host: fmt.Sprintf("127.0.0.%d", i+1), Port: f.port, Dir: t.TempDir()}, t: t,
		}
		if err := p.start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		f.redis = append(f.redis, p)
		targets = append(
			targets, prober.Target{Pod: fmt.Sprint("cache-", i), UID: fmt.Sprint("u", i), IP: p.Host, Port: f.port},
		)
	}
	f.prober.Ensure(key, targets, prober.Credentials{})
	for i := range f.redis {
		f.until(fmt.Sprint(i, " is sampled"), func() bool { return f.node(i).Answers() })
	}
	f.do(failover.Promote{Node: f.ref(0)})
	f.do(failover.Follow{Node: f.ref(1), Master: f.ref(0)})
	f.do(failover.Follow{Node: f.ref(2), Master: f.ref(0)})
	f.until("the replicas are attached", func() bool {
		return f.node(0).Replication.Followers == 2 && f.node(1).Replication.LinkUp && f.node(2).Replication.LinkUp
	})
	return f
}

// endless is a lease that no other wants.
type endless struct{}

func (endless) Left() time.Duration { return time.Hour }

func (f *fleet) node(i int) failover.Node { return f.prober.Observe(key)[i] }

func (f *fleet) ref(i int) failover.NodeRef { return f.node(i).Ref() }

func (f *fleet) do(a failover.Action) {
	f.t.Helper()
	if err := f.try(a); err != nil {
		f.t.Fatalf("%T: %v", a, err)
	}
}

func (f *fleet) try(a failover.Action) error {
	return f.executor.Execute(f.t.Context(), key, executor.Master{Port: f.port}, []failover.Action{a})[0].Err
}

func (f *fleet) until(what string, holds func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("not within %v: %s\n%+v", patience, what, f.prober.Observe(key))
		}
	}
}
