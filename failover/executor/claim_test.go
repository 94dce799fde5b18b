// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestAFormerLeadersConnectionsAreCutAndOursAreNot(t *testing.T) {
	f := newFleet(t)
	former := redis.NewClient(
		&redis.Options{Addr: f.redis[0].client().Options().Addr, ClientName: "redisha-former", MaxRetries: -1, PoolSize: 1},
	)
	defer former.Close()
	conn := former.Conn()
	defer conn.Close()
	if err := conn.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	before := f.node(0).Replication.RunID
	if err := f.executor.Claim(t.Context(), key, f.ref(0), "redisha-"); err != nil {
		t.Fatal(err)
	}
	if err := conn.Ping(t.Context()).Err(); err == nil {
		t.Error("the former leader's connection still works")
	}
	if got := f.node(0).Replication.RunID; got != before {
		t.Errorf("our own connection sees %q", got)
	}
}
