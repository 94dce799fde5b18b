// SPDX-License-Identifier: Apache-2.0

package redisclient_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/redisha/redisha/redisclient"
	"github.com/redisha/redisha/redisclient/redistest"
)

// testNode is a Redis to test against, fake or real; *redistest.Node is one.
type testNode interface {
	Addr() string
	HostPort() (string, int)
	Kill()
	Restart(redistest.Keep) error
	Hang()
	Resume()
	SetLoading(bool)
}

// backend starts nodes that can replicate from each other. They end with the test.
type backend func(t testing.TB, cfg redistest.Config) testNode

// TestContract holds the client to its promises, and the fake to the truth: every case runs against both.
func TestContract(t *testing.T) {
	cases := map[string]func(*testing.T, backend){
		"a booted node is a fenced replica":                                      testBootFence,
		"promotion makes a fenced node a writable master":                        testPromote,
		"a replica has the master's data, lineage and offset":                    testReplicate,
		"the first replica begins a new lineage":                                 testFirstReplica,
		"detaching freezes the offset and keeps the lineage":                     testDetach,
		"a sibling continues by partial resync after a promotion":                testPartialResync,
		"a demoted master continues as a replica by partial resync":              testDemotion,
		"a diverged master loses its extra writes to a full sync":                testDivergence,
		"a master restarted empty wipes no replica":                              testRestartEmpty,
		"a restart from a snapshot keeps lineage and offset":                     testRestartSnapshot,
		"a killed master takes its replicas' links down":                         testLinkDown,
		"a link that an order has ended keeps its age":                           testLinkEndedByAnOrder,
		"paused writes wait, reads do not":                                       testPause,
		"no write is acknowledged between the offset and the end of the pause":   testPauseAndInfo,
		"KillWriters drops who wrote to a replica, and no reader":                testKillWriters,
		"KillClients drops clients and subscribers but not the caller":           testKillClients,
		"KillOperatorConnections drops namesakes but not the caller's own name":  testKillOperators,
		"min-replicas-to-write refuses writes without replicas":                  testMinReplicas,
		"the end of the process is reported without a command":                   testEOF,
		"the death of a hung process is reported":                                testEOFWhileHung,
		"a hung process is silent, and answers again once resumed":               testHang,
		"a hung process is not promoted behind our back":                         testHungPromotion,
		"an address that nothing listens at is refused":                          testRefused,
		"a wrong password is a matter of authentication":                         testAuth,
		"a rotated password is used by the next connection":                      testRotation,
		"a stale replica that serves nothing still tells about itself":           testMasterDown,
		"a process that loads its data is alive and tells about itself":          testLoading,
		"being turned away for too many clients is not silence":                  testMaxClients,
		"calls from many goroutines share one named connection":                  testOneConnection,
		"the connection comes from the local address":                            testLocalAddr,
		"cancelling a call ends it":                                              testCancel,
		"closing ends a call in flight and is not reported as the process's end": testClose,
	}
	backends := map[string]backend{"fake": startFake, "real": startReal}
	for name, start := range backends {
		for promise, test := range cases {
			t.Run(name+"/"+promise, func(t *testing.T) {
				t.Parallel()
				test(t, start)
			})
		}
	}
}

func startFake(t testing.TB, cfg redistest.Config) testNode {
	t.Helper()
	net, ok := fakeNetworks.Load(t)
	if !ok {
		w := redistest.NewNetwork()
		fakeNetworks.Store(t, w)
		t.Cleanup(func() { fakeNetworks.Delete(t); w.Close() })
		net = w
	}
	n, err := net.(*redistest.Network).Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func testBootFence(t *testing.T, start backend) {
	c := client(t, start(t, redistest.Config{}))
	info := mustInfo(t, c)
	want := redisclient.Info{
		Server: "redis", Role: redisclient.RoleReplica, MasterHost: "127.0.0.1", MasterPort: 1,
		LastIO: redisclient.Unknown, LinkDownFor: redisclient.Unknown, SecondOffset: -1,
		ReplID2: strings.Repeat("0", 40), Priority: 100, MinReplicas: 0, MaxLag: 10 * time.Second,
		RDBLastSaveOK: true, AOFLastWriteOK: true,
	}
	want.RunID, want.Version, want.ReplID, want.UptimeSeconds = info.RunID, info.Version, info.ReplID, info.UptimeSeconds
	if diff := cmp.Diff(want, info); diff != "" {
		t.Errorf("Info of a fresh node (-want +got):\n%s", diff)
	}
	if len(info.RunID) != 40 || len(info.ReplID) != 40 || !strings.HasPrefix(info.Version, "7.") {
		t.Errorf("run ID %q, replication ID %q, version %q", info.RunID, info.ReplID, info.Version)
	}
	if !info.Fenced() {
		t.Error("a fresh node is not fenced")
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	wantClass(t, user(t, c).Set(t.Context(), "k", "v", 0).Err(), redisclient.ClassReadOnly)
}

func testPromote(t *testing.T, start backend) {
	c := client(t, start(t, redistest.Config{}))
	before := mustInfo(t, c)
	must(t, c.Promote(t.Context()))
	write(t, c, "k", "v")
	after := mustInfo(t, c)
	if after.Role != redisclient.RoleMaster || after.MasterHost != "" || after.Keys != 1 {
		t.Errorf("after promotion: %+v", after)
	}
	if after.ReplID2 != before.ReplID || after.ReplID == before.ReplID {
		t.Errorf("the new lineage %s (%s) does not continue %s", after.ReplID, after.ReplID2, before.ReplID)
	}
	must(t, c.Promote(t.Context()))
	if again := mustInfo(t, c); again.ReplID != after.ReplID {
		t.Error("promoting a master changed its lineage")
	}
}

func testReplicate(t *testing.T, start backend) {
	m, rs := replicated(t, start, 2)
	write(t, m, "k", "v")
	for _, r := range rs {
		caughtUp(t, m, r)
		master, replica := mustInfo(t, m), mustInfo(t, r)
		host, port := splitHostPort(t, m.Addr())
		if replica.MasterHost != host || replica.MasterPort != port || replica.ReplID != master.ReplID {
			t.Errorf("replica follows %s:%d in %s; master is %s in %s",
				replica.MasterHost, replica.MasterPort, replica.ReplID, m.Addr(), master.ReplID)
		}
		if replica.LastIO < 0 || replica.Keys != master.Keys {
			t.Errorf("last I/O %v, %d keys", replica.LastIO, replica.Keys)
		}
		if len(master.ConnectedReplicas) != len(rs) {
			t.Errorf("master lists %+v", master.ConnectedReplicas)
		}
	}
}

func testFirstReplica(t *testing.T, start backend) {
	m := client(t, start(t, redistest.Config{}))
	must(t, m.Promote(t.Context()))
	write(t, m, "k", "v")
	alone := mustInfo(t, m)
	if alone.Offset != 0 {
		t.Errorf("a master that never had a replica counts offset %d", alone.Offset)
	}
	r := client(t, start(t, redistest.Config{}))
	follow(t, r, m)
	served := mustInfo(t, m)
	if served.ReplID == alone.ReplID || served.SecondOffset != -1 {
		t.Errorf("lineage before the first replica %s, after it %s (until %d)",
			alone.ReplID, served.ReplID, served.SecondOffset)
	}
	if got := mustInfo(t, r).Keys; got != 1 {
		t.Errorf("the replica has %d keys", got)
	}
}

func testDetach(t *testing.T, start backend) {
	m, rs := replicated(t, start, 1)
	write(t, m, "k", "1")
	caughtUp(t, m, rs[0])
	master := mustInfo(t, m)
	must(t, rs[0].ReplicaOf(t.Context(), redisclient.FenceHost, redisclient.FencePort))
	frozen := mustInfo(t, rs[0])
	write(t, m, "k", "2")
	after := mustInfo(t, rs[0])
	if !after.Fenced() || after.LinkUp || after.AppliedOffset != frozen.AppliedOffset || after.Offset != frozen.Offset {
		t.Errorf("detached at %+v, then %+v", frozen, after)
	}
	if frozen.ReplID != master.ReplID || frozen.AppliedOffset < master.Offset {
		t.Errorf("detached in %s at %d, master was in %s at %d",
			frozen.ReplID, frozen.AppliedOffset, master.ReplID, master.Offset)
	}
}

func testPartialResync(t *testing.T, start backend) {
	m, rs := replicated(t, start, 2)
	write(t, m, "k", "v")
	caughtUp(t, m, rs[0])
	caughtUp(t, m, rs[1])
	for _, r := range rs {
		must(t, r.ReplicaOf(t.Context(), redisclient.FenceHost, redisclient.FencePort))
	}
	candidate, sibling := mostAdvanced(t, rs)
	lineage := mustInfo(t, candidate)
	must(t, candidate.Promote(t.Context()))
	promoted := mustInfo(t, candidate)
	if promoted.ReplID2 != lineage.ReplID || promoted.SecondOffset != lineage.AppliedOffset+1 {
		t.Errorf("promoted at %d of %s, continues %s until %d",
			lineage.AppliedOffset, lineage.ReplID, promoted.ReplID2, promoted.SecondOffset)
	}
	follow(t, sibling, candidate)
	if got := mustInfo(t, sibling); got.ReplID != promoted.ReplID || got.ReplID2 != lineage.ReplID {
		t.Errorf("sibling is in %s after %s, so it was synchronised in full", got.ReplID, got.ReplID2)
	}
}

func testDemotion(t *testing.T, start backend) {
	m, rs := replicated(t, start, 1)
	write(t, m, "k", "v")
	at, err := m.PauseAndInfo(t.Context(), 5*time.Second)
	must(t, err)
	eventually(t, "the replica to reach the master", func() bool { return mustInfo(t, rs[0]).AppliedOffset >= at.Offset })
	must(t, m.ReplicaOf(t.Context(), redisclient.FenceHost, redisclient.FencePort))
	must(t, rs[0].Promote(t.Context()))
	follow(t, m, rs[0])
	if got := mustInfo(t, m); got.ReplID2 != at.ReplID {
		t.Errorf("the old master left %s for %s after %s, so it was synchronised in full", at.ReplID, got.ReplID, got.ReplID2)
	}
}

func testDivergence(t *testing.T, start backend) {
	m, rs := replicated(t, start, 1)
	caughtUp(t, m, rs[0])
	must(t, rs[0].ReplicaOf(t.Context(), redisclient.FenceHost, redisclient.FencePort))
	must(t, rs[0].Promote(t.Context()))
	write(t, m, "lost", "v")
	follow(t, m, rs[0])
	if got := mustInfo(t, m); got.Keys != 0 || got.SecondOffset != -1 {
		t.Errorf("after following the new master: %d keys, second offset %d", got.Keys, got.SecondOffset)
	}
}

func testRestartEmpty(t *testing.T, start backend) {
	node := start(t, redistest.Config{})
	m := client(t, node)
	must(t, m.Promote(t.Context()))
	r := client(t, start(t, redistest.Config{}))
	follow(t, r, m)
	write(t, m, "k", "v")
	caughtUp(t, m, r)
	before := mustInfo(t, m)
	must(t, node.Restart(redistest.KeepNothing))
	answers(t, m)
	after := mustInfo(t, m)
	if after.RunID == before.RunID || !after.Fenced() || after.Keys != 0 {
		t.Errorf("restarted: %+v", after)
	}
	// A real replica asks again after a second; it is refused with NOMASTERLINK.
	time.Sleep(1200 * time.Millisecond)
	if got := mustInfo(t, r); got.LinkUp || got.Keys != 1 || got.ReplID != before.ReplID {
		t.Errorf("replica of an empty master: %+v", got)
	}
}

func testRestartSnapshot(t *testing.T, start backend) {
	m, _ := replicated(t, start, 1)
	node := start(t, redistest.Config{})
	r := client(t, node)
	follow(t, r, m)
	write(t, m, "k", "v")
	caughtUp(t, m, r)
	before := mustInfo(t, r)
	must(t, node.Restart(redistest.KeepRDB))
	answers(t, r)
	after := mustInfo(t, r)
	if !after.Fenced() || after.Keys != 1 || after.ReplID != before.ReplID || after.AppliedOffset < before.AppliedOffset {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	follow(t, r, m)
}

func testLinkDown(t *testing.T, start backend) {
	node := start(t, redistest.Config{})
	m := client(t, node)
	must(t, m.Promote(t.Context()))
	r := client(t, start(t, redistest.Config{}))
	follow(t, r, m)
	node.Kill()
	eventually(t, "the link to be down", func() bool { return !mustInfo(t, r).LinkUp })
	if got := mustInfo(
		t, r,
	); got.LastIO != redisclient.Unknown || got.LinkDownFor < 0 ||
		got.Role != redisclient.RoleReplica {
		t.Errorf("replica of a dead master: %+v", got)
	}
}

// The age of a link that an order has ended is the order's: a successor of who gave it knows since when nothing was
// carried.
func testLinkEndedByAnOrder(t *testing.T, start backend) {
	_, rs := replicated(t, start, 1)
	if got := mustInfo(t, rs[0]); got.LinkDownFor != redisclient.Unknown {
		t.Errorf("a link that is up is down for %s", got.LinkDownFor)
	}
	must(t, rs[0].ReplicaOf(t.Context(), redisclient.FenceHost, redisclient.FencePort))
	if got := mustInfo(t, rs[0]); got.LinkDownFor < 0 || got.LinkDownFor > 2*time.Second {
		t.Errorf("a link that was ended a moment ago is down for %s", got.LinkDownFor)
	}
	eventually(t, "the link to be down for a second", func() bool { return mustInfo(t, rs[0]).LinkDownFor >= time.Second })
}

func testMinReplicas(t *testing.T, start backend) {
	m, rs := replicated(t, start, 1)
	must(t, m.SetMinReplicas(t.Context(), 1, 2*time.Second))
	if got := mustInfo(t, m).MinReplicas; got != 1 {
		t.Errorf("MinReplicas is %d", got)
	}
	write(t, m, "k", "v")
	must(t, rs[0].ReplicaOf(t.Context(), redisclient.FenceHost, redisclient.FencePort))
	u := user(t, m)
	eventually(t, "NOREPLICAS", func() bool {
		return redisclient.Classify(u.Set(t.Context(), "k", "v", 0).Err()) == redisclient.ClassNoReplicas
	})
	must(t, m.SetMinReplicas(t.Context(), 0, 2*time.Second))
	write(t, m, "k", "v")
}

func testRefused(t *testing.T, start backend) {
	node := start(t, redistest.Config{})
	c := client(t, node)
	must(t, c.Ping(t.Context()))
	node.Kill()
	for range 3 {
		_, err := c.Info(t.Context())
		wantClass(t, err, redisclient.ClassRefused)
	}
	must(t, node.Restart(redistest.KeepNothing))
	must(t, c.Ping(t.Context())) // no old error is repeated
}

func testAuth(t *testing.T, start backend) {
	node := start(t, redistest.Config{Password: "secret"})
	for _, password := range []string{"", "wrong"} {
		c := clientWith(t, node, redisclient.Options{Credentials: redisclient.Password(password)})
		_, err := c.Info(t.Context())
		wantClass(t, err, redisclient.ClassAuth)
		if err != nil && strings.Contains(err.Error(), "wrong\"") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	c := clientWith(t, node, redisclient.Options{Credentials: redisclient.Password("secret"), Name: "redisha-test"})
	must(t, c.Ping(t.Context()))
}

func testRotation(t *testing.T, start backend) {
	node := start(t, redistest.Config{Password: "old"})
	password := "old"
	shown := func() []redisclient.Credentials { return []redisclient.Credentials{{Password: password}} }
	c := clientWith(t, node, redisclient.Options{Credentials: shown})
	must(t, c.ConfigSet(t.Context(), "requirepass", "new"))
	must(t, c.Ping(t.Context())) // the connection is still good

	other := clientWith(t, node, redisclient.Options{Credentials: shown})
	wantClass(t, other.Ping(t.Context()), redisclient.ClassAuth)
	password = "new"
	must(t, other.Ping(t.Context()))
}

// replicated starts a master with n replicas.
func replicated(t *testing.T, start backend, n int) (*redisclient.Client, []*redisclient.Client) {
	t.Helper()
	m := client(t, start(t, redistest.Config{}))
	must(t, m.Promote(t.Context()))
	var replicas []*redisclient.Client
	for range n {
		r := client(t, start(t, redistest.Config{}))
		follow(t, r, m)
		replicas = append(replicas, r)
	}
	return m, replicas
}

// follow makes r a replica of m and waits for its link.
func follow(t *testing.T, r, m *redisclient.Client) {
	t.Helper()
	host, port := splitHostPort(t, m.Addr())
	must(t, r.ReplicaOf(t.Context(), host, port))
	eventually(t, fmt.Sprintf("%s to follow %s", r.Addr(), m.Addr()), func() bool {
		info := mustInfo(t, r)
		return info.LinkUp && !info.SyncInProgress && timesOnline(t, m, r) == 1
	})
}

// timesOnline counts how often the master lists the replica as receiving the stream.
func timesOnline(t *testing.T, m, r *redisclient.Client) (n int) {
	t.Helper()
	host, port := splitHostPort(t, r.Addr())
	for _, c := range mustInfo(t, m).ConnectedReplicas {
		if c.Addr == host && c.Port == port && c.State == "online" && c.Lag >= 0 {
			n++
		}
	}
	return n
}

func caughtUp(t *testing.T, m, r *redisclient.Client) {
	t.Helper()
	at := mustInfo(t, m).Offset
	eventually(t, "the replica to catch up", func() bool { return mustInfo(t, r).AppliedOffset >= at })
}

func mostAdvanced(t *testing.T, rs []*redisclient.Client) (candidate, sibling *redisclient.Client) {
	t.Helper()
	if mustInfo(t, rs[1]).AppliedOffset > mustInfo(t, rs[0]).AppliedOffset {
		return rs[1], rs[0]
	}
	return rs[0], rs[1]
}

func client(t *testing.T, n testNode) *redisclient.Client {
	t.Helper()
	return clientWith(t, n, redisclient.Options{})
}

// clientWith is patient unless told otherwise, so that a busy machine fails no test.
func clientWith(t *testing.T, n testNode, o redisclient.Options) *redisclient.Client {
	t.Helper()
	o.Addr = n.Addr()
	if o.Timeout == 0 {
		o.Timeout, o.DialTimeout = patience, patience
	}
	c := redisclient.New(o)
	t.Cleanup(c.Close)
	return c
}

// user is an ordinary client of the node that c administers.
func user(t *testing.T, c *redisclient.Client) *redis.Client {
	t.Helper()
	u := redis.NewClient(
		&redis.Options{Addr: c.Addr(), MaxRetries: -1, ReadTimeout: patience, ContextTimeoutEnabled: true},
	)
	t.Cleanup(func() { _ = u.Close() })
	return u
}

func write(t *testing.T, c *redisclient.Client, key, value string) {
	t.Helper()
	must(t, user(t, c).Set(t.Context(), key, value, 0).Err())
}

func mustInfo(t *testing.T, c *redisclient.Client) redisclient.Info {
	t.Helper()
	info, err := c.Info(t.Context())
	must(t, err)
	return info
}

// answers waits for the first reply; the call before it may find a connection to the former process.
func answers(t *testing.T, c *redisclient.Client) {
	t.Helper()
	eventually(t, "an answer", func() bool { return c.Ping(t.Context()) == nil })
}

const patience = 10 * time.Second

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantClass(t *testing.T, err error, want redisclient.Class) {
	t.Helper()
	if got := redisclient.Classify(err); got != want {
		t.Errorf("class %v of %v, want %v", got, err, want)
	}
}
