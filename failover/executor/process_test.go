// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/executor"
	"github.com/redisha/redisha/failover/prober"
)

// patience is for what must happen, on a machine that may be busy. Nothing is asserted to be fast.
const patience = 20 * time.Second

const key = "default/cache"

// process is a redis-server on a loopback address of its own.
type process struct {
	t    *testing.T
	ip   string
	port int
	dir  string
	cmd  *exec.Cmd
}

func (p *process) addr() string { return net.JoinHostPort(p.ip, strconv.Itoa(p.port)) }

// start boots fenced, as every pod does.
func (p *process) start() error {
	p.cmd = exec.Command(
		"redis-server", "--port", strconv.Itoa(p.port), "--bind", p.ip, "--protected-mode", "no", "--dir", p.dir, "--save",
		"", "--replicaof", failover.FenceHost, strconv.Itoa(failover.FencePort), "--repl-diskless-sync-delay", "0",
		"--repl-ping-replica-period", "1", "--logfile", filepath.Join(p.dir, "log"), "--bind-source-addr", p.ip,
	)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		conn, err := net.Dial("tcp", p.addr())
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(filepath.Join(p.dir, "log"))
			return fmt.Errorf("redis-server did not start: %w\n%s", err, said)
		}
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) client() *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: p.addr(), MaxRetries: -1, ReadTimeout: patience})
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
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("this is about real servers: apt-get install redis-server")
	}
	f := &fleet{t: t, prober: prober.New(prober.Options{}), port: freePort(t)}
	t.Cleanup(f.prober.Close)
	f.executor = executor.New(f.prober, nil, endless{}, executor.Options{})
	var targets []prober.Target
	for i := range 3 {
		p := &process{t: t, ip: fmt.Sprintf("127.0.0.%d", i+1), port: f.port, dir: t.TempDir()}
		if err := p.start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.kill() })
		f.redis = append(f.redis, p)
		targets = append(
			targets, prober.Target{Pod: fmt.Sprint("cache-", i), UID: fmt.Sprint("u", i), IP: p.ip, Port: f.port},
		)
	}
	f.prober.Ensure(key, targets, nil)
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

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func (f *fleet) node(i int) failover.Node { return f.prober.Observe(key)[i] }

func (f *fleet) ref(i int) failover.NodeRef { return f.node(i).Ref() }

func (f *fleet) do(a failover.Action) {
	f.t.Helper()
	if err := f.try(a); err != nil {
		f.t.Fatalf("%T: %v", a, err)
	}
}

func (f *fleet) try(a failover.Action) error {
	return f.executor.Execute(f.t.Context(), key, f.port, []failover.Action{a})[0].Err
}

func (f *fleet) until(what string, holds func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("not within %v: %s\n%+v", patience, what, f.prober.Observe(key))
		}
	}
}
