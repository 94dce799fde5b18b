// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// What only the fake can do; what it shares with a real Redis is in the contract test of package redisclient.

func TestAFrozenReplicaLagsUntilUnfrozen(t *testing.T) {
	_, m, rs := cluster(t, 2, Config{})
	set(t, m, "k", "1")
	rs[0].Freeze()
	set(t, m, "k", "2")
	if got := get(t, rs[0], "k"); got != "1" {
		t.Errorf("frozen replica has %q", got)
	}
	if got := get(t, rs[1], "k"); got != "2" {
		t.Errorf("the other replica has %q", got)
	}
	if n := dial(t, m).Wait(t.Context(), 2, 20*time.Millisecond).Val(); n != 1 {
		t.Errorf("WAIT counts %d replicas", n)
	}
	rs[0].Unfreeze()
	if got := get(t, rs[0], "k"); got != "2" {
		t.Errorf("unfrozen replica has %q", got)
	}
}

func TestWhatAFrozenReplicaMissedIsLostWithItsMaster(t *testing.T) {
	_, m, rs := cluster(t, 1, Config{})
	set(t, m, "kept", "v")
	rs[0].Freeze()
	set(t, m, "lost", "v")
	m.Kill()
	promote(t, rs[0])
	if keys := dial(t, rs[0]).Keys(t.Context(), "*").Val(); len(keys) != 1 || keys[0] != "kept" {
		t.Errorf("keys %v", keys)
	}
}

func TestACutSilencesReplicationUntilHealed(t *testing.T) {
	w, m, rs := cluster(t, 1, Config{ReplTimeout: 50 * time.Millisecond})
	w.Cut(m, rs[0])
	set(t, m, "k", "v")
	if err := dial(t, rs[0]).Get(t.Context(), "k").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("the write passed the cut: %v", err)
	}
	eventually(t, func() bool { return linkStatus(rs[0]) == false })
	w.Heal(m, rs[0])
	if got := get(t, rs[0], "k"); got != "v" || !linkStatus(rs[0]) {
		t.Errorf("after healing: %q, link up %t", got, linkStatus(rs[0]))
	}
	if full, partial := rs[0].Syncs(); full != 1 || partial != 0 {
		t.Errorf("%d full and %d partial synchronisations", full, partial)
	}
}

func TestAFullSyncTakesItsTime(t *testing.T) {
	w, m, _ := cluster(t, 0, Config{})
	set(t, m, "k", "v")
	r := start(t, w, Config{SyncDelay: 50 * time.Millisecond})
	follow(t, r, m)
	if info := dial(t, r).InfoMap(t.Context(), "replication").Item("Replication", "master_sync_in_progress"); info != "1" {
		t.Errorf("master_sync_in_progress:%s", info)
	}
	eventually(t, func() bool { return linkStatus(r) })
	if got := get(t, r, "k"); got != "v" {
		t.Errorf("synchronised %q", got)
	}
}

func TestAnAppendOnlyFileKeepsDataButNotLineage(t *testing.T) {
	_, m, rs := cluster(t, 1, Config{})
	set(t, m, "k", "v")
	if err := rs[0].Restart(KeepAOF); err != nil {
		t.Fatal(err)
	}
	if got := get(t, rs[0], "k"); got != "v" {
		t.Errorf("loaded %q", got)
	}
	follow(t, rs[0], m)
	if full, partial := rs[0].Syncs(); full != 1 || partial != 0 {
		t.Errorf("%d full and %d partial synchronisations", full, partial)
	}
}

func TestReplicasOfReplicasFollowAlong(t *testing.T) {
	w, m, rs := cluster(t, 1, Config{})
	leaf := start(t, w, Config{})
	follow(t, leaf, rs[0])
	set(t, m, "k", "v")
	if got := get(t, leaf, "k"); got != "v" {
		t.Errorf("the replica's replica has %q", got)
	}
}

func TestATransactionIsReplicatedAndRefusedAsAWhole(t *testing.T) {
	_, m, rs := cluster(t, 1, Config{})
	_, err := dial(t, m).TxPipelined(t.Context(), func(p redis.Pipeliner) error {
		p.Select(t.Context(), 3)
		p.Incr(t.Context(), "n")
		p.Incr(t.Context(), "n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := rs[0].data.mini.DB(3).Exists("n"); !got {
		t.Error("the write to another database was not replicated there")
	}
	_, err = dial(t, rs[0]).TxPipelined(t.Context(), func(p redis.Pipeliner) error {
		return p.Incr(t.Context(), "n").Err()
	})
	if err == nil {
		t.Error("a replica executed a transaction that writes")
	}
}

func TestCommandsThatCannotBeReplicatedAreRefused(t *testing.T) {
	_, m, _ := cluster(t, 0, Config{})
	for _, cmd := range [][]any{{"SPOP", "s"}, {"EVAL", "return 1", 0}, {"WATCH", "k"}, {"NONSENSE"}} {
		if err := dial(t, m).Do(t.Context(), cmd...).Err(); err == nil {
			t.Errorf("%v was accepted", cmd)
		}
	}
}

func TestSubscribersGetWhatIsPublished(t *testing.T) {
	_, m, _ := cluster(t, 0, Config{})
	sub := dial(t, m).Subscribe(t.Context(), "news")
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := dial(t, m).Publish(t.Context(), "news", "hello").Val(); n != 1 {
		t.Errorf("published to %d", n)
	}
	if msg := <-sub.Channel(); msg.Payload != "hello" {
		t.Errorf("got %v", msg)
	}
	_ = sub.Close()
	eventually(t, func() bool { return dial(t, m).Publish(t.Context(), "news", "gone").Val() == 0 })
}

// cluster starts a master with n replicas.
func cluster(t *testing.T, n int, cfg Config) (*Network, *Node, []*Node) {
	t.Helper()
	w := NewNetwork()
	t.Cleanup(w.Close)
	m := start(t, w, cfg)
	promote(t, m)
	var replicas []*Node
	for range n {
		r := start(t, w, cfg)
		follow(t, r, m)
		replicas = append(replicas, r)
	}
	return w, m, replicas
}

func start(t *testing.T, w *Network, cfg Config) *Node {
	t.Helper()
	n, err := w.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func promote(t *testing.T, n *Node) {
	t.Helper()
	if err := dial(t, n).ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
}

func follow(t *testing.T, r, m *Node) {
	t.Helper()
	if err := dial(t, r).Do(t.Context(), "REPLICAOF", "127.0.0.1", portOf(m)).Err(); err != nil {
		t.Fatal(err)
	}
}

func portOf(n *Node) int {
	_, port := n.HostPort()
	return port
}

func dial(t *testing.T, n *Node) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: n.Addr(), MaxRetries: -1})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func set(t *testing.T, n *Node, key, value string) {
	t.Helper()
	if err := dial(t, n).Set(t.Context(), key, value, 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, n *Node, key string) string {
	t.Helper()
	value, err := dial(t, n).Get(t.Context(), key).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	return value
}

func linkStatus(n *Node) bool {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	return n.linkUp()
}

func eventually(t *testing.T, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !cond() {
		if ctx.Err() != nil {
			t.Fatal("it did not happen")
		}
		time.Sleep(time.Millisecond)
	}
}
