// SPDX-License-Identifier: Apache-2.0

package redisclient_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisha/redisha/redisclient"
	"github.com/redisha/redisha/redisclient/redistest"
)

// fakeNetworks holds the network of each test, so that a test's fakes find each other.
var fakeNetworks sync.Map

func testPause(t *testing.T, start backend) {
	c := client(t, start(t, redistest.Config{}))
	must(t, c.Promote(t.Context()))
	u := user(t, c)
	must(t, u.Set(t.Context(), "k", "before", 0).Err())
	must(t, c.PauseWrites(t.Context(), time.Minute))
	written := make(chan error, 1)
	go func() { written <- u.Set(t.Context(), "k", "after", 0).Err() }()
	select {
	case err := <-written:
		t.Fatalf("a write was answered during the pause: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if got, err := u.Get(t.Context(), "k").Result(); got != "before" || err != nil {
		t.Errorf("read during the pause: %q, %v", got, err)
	}
	must(t, c.UnpauseWrites(t.Context()))
	must(t, <-written)

	must(t, c.PauseWrites(t.Context(), 50*time.Millisecond))
	must(t, u.Set(t.Context(), "k", "by itself", 0).Err()) // the pause ends by itself
}

func testPauseAndInfo(t *testing.T, start backend) {
	m, _ := replicated(t, start, 1) // without a replica there is no offset
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		u := user(t, m)
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = u.Incr(t.Context(), "n").Err()
				}
			}
		})
	}
	reader := user(t, m)
	eventually(t, "the writers to write", func() bool { return reader.Exists(t.Context(), "n").Val() == 1 })
	at, err := m.PauseAndInfo(t.Context(), time.Minute)
	must(t, err)
	first := reader.Get(t.Context(), "n").Val()
	time.Sleep(100 * time.Millisecond)
	if second := reader.Get(t.Context(), "n").Val(); second != first {
		t.Errorf("the counter went from %s to %s during the pause", first, second)
	}
	// The master goes on pinging its replicas (14 bytes each) but adds no write.
	if grown := mustInfo(t, m).Offset - at.Offset; grown < 0 || grown%14 != 0 {
		t.Errorf("the stream grew by %d bytes during the pause", grown)
	}
	if at.Role != redisclient.RoleMaster || at.Offset == 0 || at.MinReplicas != redisclient.Unknown {
		t.Errorf("under the pause: %+v", at)
	}
	close(stop)
	must(t, m.UnpauseWrites(t.Context()))
	wg.Wait()
}

func testKillClients(t *testing.T, start backend) {
	var ends eofs
	m, rs := replicated(t, start, 1)
	c := redisclient.New(redisclient.Options{Addr: m.Addr(), Timeout: patience, OnEOF: ends.add})
	defer c.Close()
	must(t, c.Ping(t.Context()))
	u := user(t, m).Conn()
	must(t, u.Ping(t.Context()).Err())
	sub := user(t, m).Subscribe(t.Context(), "news")
	defer func() { _ = sub.Close() }()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	killed, err := c.KillClients(t.Context())
	must(t, err)
	if killed < 2 {
		t.Errorf("killed %d clients", killed)
	}
	wantClass(t, u.Ping(t.Context()).Err(), redisclient.ClassRefused)
	must(t, c.Ping(t.Context()))
	if ends.count() != 0 {
		t.Error("our own connection was killed")
	}
	if !mustInfo(t, rs[0]).LinkUp {
		t.Error("the replication link was killed")
	}
}

// A client that was led to a node while it was master, and one that means to read from a replica, are told apart by
// what they did last.
func testKillWriters(t *testing.T, start backend) {
	m, rs := replicated(t, start, 1)
	must(t, user(t, m).Set(t.Context(), "k", "1", 0).Err())
	c := rs[0]
	if was := mustInfo(t, c).RefusedWrites; was != 0 {
		t.Fatalf("%d refused writes before there was any", was)
	}
	writer, reader := user(t, c).Conn(), user(t, c).Conn()
	if err := reader.Get(t.Context(), "k").Err(); err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	if err := writer.Set(t.Context(), "k", "2", 0).Err(); err == nil {
		t.Fatal("a replica takes writes")
	}
	if refused := mustInfo(t, c).RefusedWrites; refused != 1 {
		t.Errorf("%d refused writes, want 1", refused)
	}
	killed, err := c.KillWriters(t.Context())
	must(t, err)
	if killed != 1 {
		t.Errorf("killed %d clients, want the writer", killed)
	}
	must(t, reader.Ping(t.Context()).Err())
	if info := mustInfo(t, c); !info.LinkUp {
		t.Error("the link to the master was killed")
	}
}

func testKillOperators(t *testing.T, start backend) {
	node := start(t, redistest.Config{})
	var former, sibling eofs
	named := func(name string, ends *eofs) *redisclient.Client {
		c := clientWith(t, node, redisclient.Options{Name: name, OnEOF: ends.add})
		must(t, c.Ping(t.Context()))
		return c
	}
	named("redisha-former", &former)
	same := named("redisha-leader", &sibling)
	u := user(t, same)
	must(t, u.Ping(t.Context()).Err())
	c := named("redisha-leader", &sibling)
	for client, want := range map[*redisclient.Client]int{c: 1, clientWith(t, node, redisclient.Options{}): 3} {
		if n, err := client.CountOperatorConnections(t.Context(), "redisha-"); err != nil || n != want {
			t.Errorf("%d connections of other operators, want %d: %v", n, want, err)
		}
	}
	killed, err := c.KillOperatorConnections(t.Context(), "redisha-")
	must(t, err)
	if killed != 1 {
		t.Errorf("killed %d connections", killed)
	}
	eventually(t, "the former leader to notice", func() bool { return former.count() == 1 })
	must(t, same.Ping(t.Context()))
	must(t, u.Ping(t.Context()).Err())
	if sibling.count() != 0 {
		t.Error("a connection with our own name was killed")
	}
}

func testEOF(t *testing.T, start backend) {
	node := start(t, redistest.Config{})
	var ends eofs
	c := clientWith(t, node, redisclient.Options{OnEOF: ends.add})
	must(t, c.Ping(t.Context()))
	killed := time.Now()
	node.Kill()
	eventually(t, "OnEOF", func() bool { return ends.count() == 1 })
	t.Logf("noticed %v after the kill was asked for", ends.at().Sub(killed))
	must(t, node.Restart(redistest.KeepNothing))
	must(t, c.Ping(t.Context()))
	if ends.count() != 1 {
		t.Errorf("reported %d ends", ends.count())
	}
}

func testEOFWhileHung(t *testing.T, start backend) {
	node := start(t, redistest.Config{})
	var ends eofs
	c := clientWith(t, node, redisclient.Options{OnEOF: ends.add, Timeout: 200 * time.Millisecond})
	answers(t, c)
	node.Hang()
	for range 8 { // long enough to include a second connection, opened while the process hangs
		wantClass(t, c.Ping(t.Context()), redisclient.ClassTimeout)
	}
	node.Kill()
	eventually(t, "OnEOF", func() bool { return ends.count() == 1 })
}

func testHang(t *testing.T, start backend) {
	node := start(t, redistest.Config{})
	c := clientWith(t, node, redisclient.Options{Timeout: 300 * time.Millisecond})
	answers(t, c)
	node.Hang()
	for range 3 {
		_, err := c.Info(t.Context())
		wantClass(t, err, redisclient.ClassTimeout)
	}
	node.Resume()
	eventually(t, "an answer", func() bool { _, err := c.Info(t.Context()); return err == nil })
	info, err := c.Info(t.Context())
	if err != nil || info.Role != redisclient.RoleReplica {
		t.Errorf("after a late reply: %+v, %v", info, err)
	}
}

func testHungPromotion(t *testing.T, start backend) {
	node := start(t, redistest.Config{})
	c := clientWith(t, node, redisclient.Options{Timeout: 200 * time.Millisecond})
	answers(t, c)
	node.Hang()
	for range 8 {
		wantClass(t, c.Promote(t.Context()), redisclient.ClassTimeout)
	}
	c.Close()
	node.Resume()
	observer := client(t, node)
	eventually(t, "the abandoned connections to be dealt with", func() bool {
		return user(t, observer).ClientList(t.Context()).Err() == nil
	})
	time.Sleep(100 * time.Millisecond)
	if got := mustInfo(t, observer).Role; got != redisclient.RoleReplica {
		t.Errorf("the woken process is a %s", got)
	}
}

func testMasterDown(t *testing.T, start backend) {
	c := client(t, start(t, redistest.Config{}))
	must(t, c.ConfigSet(t.Context(), "replica-serve-stale-data", "no"))
	wantClass(t, c.Ping(t.Context()), redisclient.ClassMasterDown)
	if info := mustInfo(t, c); !info.Fenced() || info.MinReplicas != 0 {
		t.Errorf("%+v", info)
	}
	must(t, c.Promote(t.Context()))
	must(t, c.Ping(t.Context()))
}

func testLoading(t *testing.T, start backend) {
	node := start(t, redistest.Config{})
	c := client(t, node)
	must(t, c.Promote(t.Context()))
	fill(t, c, 1000)
	node.SetLoading(true)
	eventually(t, "LOADING", func() bool {
		return redisclient.Classify(c.Ping(t.Context())) == redisclient.ClassLoading
	})
	if info := mustInfo(t, c); !info.Loading || info.RunID == "" {
		t.Errorf("%+v", info)
	}
	wantClass(t, c.Promote(t.Context()), redisclient.ClassLoading)
	node.SetLoading(false)
	answers(t, c)
	if info := mustInfo(t, c); info.Loading || info.Keys != 1000 {
		t.Errorf("%+v", info)
	}
}

func fill(t *testing.T, c *redisclient.Client, keys int) {
	t.Helper()
	pipe := user(t, c).Pipeline()
	for i := range keys {
		pipe.Set(t.Context(), strconv.Itoa(i), "v", 0)
	}
	_, err := pipe.Exec(t.Context())
	must(t, err)
}

func testMaxClients(t *testing.T, start backend) {
	node := start(t, redistest.Config{})
	first := client(t, node)
	must(t, first.ConfigSet(t.Context(), "maxclients", "1"))
	second := client(t, node)
	for range 20 {
		wantClass(t, second.Ping(t.Context()), redisclient.ClassMaxClients)
	}
	must(t, first.Ping(t.Context())) // whoever is connected stays so
}

func testOneConnection(t *testing.T, start backend) {
	node := start(t, redistest.Config{})
	c := clientWith(t, node, redisclient.Options{Name: "redisha-shared"})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.Info(t.Context()); err != nil {
				t.Error(err)
			}
			if err := c.SetMinReplicas(t.Context(), 0, 2*time.Second); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list, err := user(t, c).ClientList(t.Context()).Result()
	must(t, err)
	if got := strings.Count(list, " name=redisha-shared "); got != 1 {
		t.Errorf("%d connections:\n%s", got, list)
	}
}

func testLocalAddr(t *testing.T, start backend) {
	node := start(t, redistest.Config{})
	c := clientWith(t, node, redisclient.Options{LocalAddr: "127.0.0.9"})
	must(t, c.Ping(t.Context()))
	list, err := user(t, c).ClientList(t.Context()).Result()
	must(t, err)
	if !strings.Contains(list, " addr=127.0.0.9:") {
		t.Errorf("clients:\n%s", list)
	}
}

func testCancel(t *testing.T, start backend) {
	node := start(t, redistest.Config{})
	c := client(t, node)
	must(t, c.Ping(t.Context()))
	node.Hang()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Ping(ctx) }()
	cancel()
	select {
	case err := <-done:
		wantClass(t, err, redisclient.ClassCanceled)
	case <-time.After(patience / 2):
		t.Error("a cancelled call did not return")
	}
	node.Resume()
	must(t, c.Ping(t.Context()))
}

func testClose(t *testing.T, start backend) {
	node := start(t, redistest.Config{})
	var ends eofs
	c := clientWith(t, node, redisclient.Options{OnEOF: ends.add})
	must(t, c.Ping(t.Context()))
	node.Hang()
	done := make(chan error, 1)
	go func() { done <- c.Ping(t.Context()) }()
	time.Sleep(20 * time.Millisecond)
	c.Close()
	if err := <-done; !errors.Is(err, redisclient.ErrClosed) {
		t.Errorf("the call in flight returned %v", err)
	}
	if err := c.Ping(t.Context()); !errors.Is(err, redisclient.ErrClosed) {
		t.Errorf("a later call returned %v", err)
	}
	if ends.count() != 0 {
		t.Error("closing was reported as the end of the process")
	}
}

// eofs collects what OnEOF reports.
type eofs struct {
	mu   sync.Mutex
	errs []error
	last time.Time
}

func (e *eofs) add(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.errs, e.last = append(e.errs, err), time.Now()
}

func (e *eofs) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.errs)
}

func (e *eofs) at() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.last
}

func splitHostPort(t *testing.T, addr string) (string, int) {
	t.Helper()
	host, text, err := net.SplitHostPort(addr)
	must(t, err)
	port, err := strconv.Atoi(text)
	must(t, err)
	return host, port
}
