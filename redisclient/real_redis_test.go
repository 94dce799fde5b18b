// SPDX-License-Identifier: Apache-2.0

package redisclient_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisha/redisha/redisclient"
	"github.com/redisha/redisha/redisclient/redistest"
)

// realNode is a redis-server process with a directory and a port of its own.
type realNode struct {
	redistest.Process

	t    testing.TB
	cfg  redistest.Config
	slow bool // loads its data set slowly
}

// startReal starts a redis-server configured as RedisHA's pods are. It ends with the test, or with the test binary.
func startReal(t testing.TB, cfg redistest.Config) testNode {
	t.Helper()
	redistest.Installed(t)
	n := &realNode{Process: redistest.Process{Host: "127.0.0.1", Dir: t.TempDir()}, t: t, cfg: cfg}
	t.Cleanup(n.Kill)
	var err error
	for range 5 { // a port that was free may be taken by the time it is used
		if n.Port, err = redistest.FreePort(); err != nil {
			continue
		}
		if err = n.start(); err == nil {
			return n
		}
	}
	t.Fatal(err)
	return nil
}

func (n *realNode) config() string {
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\nprotected-mode no\ndir %s\nsave \"\"\nappendonly no\n"+
		"repl-diskless-sync yes\nrepl-diskless-sync-delay 0\nrepl-ping-replica-period 1\nrdb-del-sync-files yes\n",
		n.Port, n.Dir)
	if n.cfg.Password != "" {
		text += fmt.Sprintf("requirepass %s\nmasterauth %s\n", n.cfg.Password, n.cfg.Password)
	}
	if n.slow {
		// 2 ms a key, answering clients every few keys.
		text += "key-load-delay 2000\nloading-process-events-interval-bytes 1024\n"
	}
	if !n.cfg.BootsAsMaster {
		text += "replicaof 127.0.0.1 1\n"
	}
	return text
}

func (n *realNode) start() error {
	file := filepath.Join(n.Dir, "redis.conf")
	if err := os.WriteFile(file, []byte(n.config()), 0o600); err != nil {
		return err
	}
	return n.Start(file)
}

func (n *realNode) HostPort() (string, int) { return n.Host, n.Port }

func (n *realNode) Restart(keep redistest.Keep) error {
	if keep == redistest.KeepRDB {
		c := redis.NewClient(&redis.Options{Addr: n.Addr(), Password: n.cfg.Password, ReadTimeout: patience})
		defer func() { _ = c.Close() }()
		if err := c.Save(n.t.Context()).Err(); err != nil {
			return err
		}
	}
	n.Kill()
	return n.start()
}

// SetLoading restarts the process from a snapshot, so that it is busy loading it for some seconds.
func (n *realNode) SetLoading(loading bool) {
	n.t.Helper()
	if !loading {
		return // it will be done by itself
	}
	n.slow = true
	if err := n.Restart(redistest.KeepRDB); err != nil {
		n.t.Fatal(err)
	}
}

func (n *realNode) Hang() { n.Signal(n.t, syscall.SIGSTOP) }

func (n *realNode) Resume() { n.Signal(n.t, syscall.SIGCONT) }

func TestARunningScriptIsASignOfLife(t *testing.T) {
	t.Parallel()
	c := client(t, startReal(t, redistest.Config{}))
	must(t, c.ConfigSet(t.Context(), "busy-reply-threshold", "20"))
	u := user(t, c)
	done := make(chan error, 1)
	go func() { done <- u.EvalRO(t.Context(), "while true do end", nil).Err() }()
	eventually(t, "BUSY", func() bool {
		return redisclient.Classify(c.Ping(t.Context())) == redisclient.ClassBusy
	})
	_, err := c.Info(t.Context())
	wantClass(t, err, redisclient.ClassBusy)
	must(t, u.ScriptKill(t.Context()).Err())
	if err := <-done; err == nil {
		t.Error("the script ended by itself")
	}
	must(t, c.Ping(t.Context()))
}

// One slow answer does not cost the connection: a Redis that lets no other one in (maxclients) would be out of reach.
func TestASlowAnswerDoesNotCostTheConnection(t *testing.T) {
	t.Parallel()
	node := startReal(t, redistest.Config{})
	var dials atomic.Int32
	c := clientWith(t, node, redisclient.Options{Timeout: 200 * time.Millisecond, DialTimeout: time.Second,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}})
	answers(t, c)
	time.Sleep(1500 * time.Millisecond) // longer than a connection is waited for whose reply is overdue
	node.Hang()
	_, err := c.Info(t.Context())
	wantClass(t, err, redisclient.ClassTimeout)
	wake := time.AfterFunc(100*time.Millisecond, node.Resume)
	defer wake.Stop()
	eventually(t, "an answer", func() bool { _, err := c.Info(t.Context()); return err == nil })
	if n := dials.Load(); n != 1 {
		t.Errorf("%d connections were made", n)
	}
}

// P8, S6: what Redis refuses for want of memory or clients is counted in INFO.
func TestInfoTellsOfRefusalsForWantOfMemoryOrClients(t *testing.T) {
	t.Parallel()
	c := client(t, startReal(t, redistest.Config{}))
	must(t, c.Promote(t.Context()))
	u := user(t, c)
	must(t, u.Ping(t.Context()).Err())
	if info := mustInfo(t, c); info.OutOfMemory != 0 || info.RejectedConnections != 0 {
		t.Errorf("%d and %d before anything happened", info.OutOfMemory, info.RejectedConnections)
	}
	must(t, c.ConfigSet(t.Context(), "maxmemory", "1"))
	if err := u.Set(t.Context(), "k", "v", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "OOM") {
		t.Errorf("not refused: %v", err)
	}
	must(t, c.ConfigSet(t.Context(), "maxclients", "2"))
	if err := user(t, c).Ping(t.Context()).Err(); err == nil {
		t.Error("a third client was let in")
	}
	if info := mustInfo(t, c); info.OutOfMemory != 1 || info.RejectedConnections < 1 {
		t.Errorf("%d commands, %d connections", info.OutOfMemory, info.RejectedConnections)
	}
}
