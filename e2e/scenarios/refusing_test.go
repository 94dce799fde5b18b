// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/scenes"
)

// unavailable waits until the condition Available says so for the reason, and an Event with it.
func (s *scene) unavailable(reason string) {
	s.t.Helper()
	s.Condition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, reason)
	s.Announced("WritesRefused")
	s.Reason = reason
}

// availableAgain waits until the master serves, and an Event tells.
func (s *scene) availableAgain() {
	s.t.Helper()
	s.Condition(v1alpha1.ConditionAvailable, metav1.ConditionTrue, v1alpha1.ReasonMasterServing)
	s.Announced("WritesAccepted")
}

// busyScript runs for as many milliseconds as its argument says, and writes nothing.
const busyScript = `local function now() local t = redis.call('TIME'); return t[1] * 1000 + t[2] / 1000 end
local till = now() + tonumber(ARGV[1])
while now() < till do end
return 1`

// S6: a script takes longer than down-after. Nothing is lost by waiting for it, and its writes by a failover.
func TestAScriptThatTakesLongerThanDownAfterCostsNoMasterAndIsTold(t *testing.T) {
	s := begin(t, "the master runs a script for 8 s", v1alpha1.RedisHASpec{})
	c := s.redis(s.Master())
	s.fault()
	done := make(chan error, 1)
	go func() { done <- c.WithTimeout(20*time.Second).EvalRO(s.Ctx, busyScript, nil, 8000).Err() }()
	s.unavailable(v1alpha1.ReasonMasterBusy)
	if err := <-done; err != nil {
		t.Error(err)
	}
	s.availableAgain()
	s.end(0)
	s.Unmoved()
}

// P8: memory is full, and nothing may be evicted.
func TestAMasterWhoseMemoryIsFullIsToldAsThat(t *testing.T) {
	s := begin(t, "the master's memory is full", v1alpha1.RedisHASpec{Auth: granted()})
	s.fault()
	s.do(s.Master(), "CONFIG", "SET", "maxmemory", "1")
	s.unavailable(v1alpha1.ReasonMasterOutOfMemory)
	s.do(s.Master(), "CONFIG", "SET", "maxmemory", "0")
	s.availableAgain()
	s.end(0)
	s.Unmoved()
}

// S6: applications that connect are turned away, and those that are connected go on.
func TestAMasterThatTurnsClientsAwayIsToldAsThat(t *testing.T) {
	s := begin(t, "the master turns connections away", v1alpha1.RedisHASpec{Auth: granted()})
	s.fault()
	c := s.redis(s.Master())
	s.limitClients(c)
	if err := s.redis(s.Master()).Ping(s.Ctx).Err(); err == nil {
		t.Fatal("a connection too many was let in")
	}
	s.unavailable(v1alpha1.ReasonMasterTurnsClientsAway)
	if err := c.ConfigSet(s.Ctx, "maxclients", "10000").Err(); err != nil {
		t.Fatal(err)
	}
	s.availableAgain()
	s.end(0)
	s.Unmoved()
}

// limitClients lets a Redis take no further connection.
func (s *scene) limitClients(c *redis.Client) {
	s.t.Helper()
	if err := c.ConfigSet(s.Ctx, "maxclients", "1").Err(); err != nil {
		s.t.Fatal(err)
	}
}

// B2: a replica lets the operator in no more. It is no witness by what it said before, and is not waited for.
func TestAReplicaThatTurnsTheOperatorAwayDelaysNoFailover(t *testing.T) {
	s := begin(t, "a replica turns the operator away, and the master is killed", v1alpha1.RedisHASpec{Auth: granted()})
	full, other := s.Replicas()[0], s.Replicas()[1]
	c := s.redis(full)
	s.limitClients(c)
	if err := c.Do(s.Ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	s.Signal(s.Master(), syscall.SIGKILL)
	if entry := s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...); entry.To != other {
		t.Errorf("%s was promoted, want %s", entry.To, other)
	}
	at := s.acknowledged(s.at.Add(100 * time.Millisecond))
	if took := at.Sub(s.at); took > 3*time.Second {
		t.Errorf("the first write came after %s", took)
	}
	if err := c.ConfigSet(s.Ctx, "maxclients", "10000").Err(); err != nil {
		t.Fatal(err)
	}
	s.end(unreplicated)
	s.Epochs(s.Before, 1)
}
