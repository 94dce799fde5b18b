// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"context"
	"syscall"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/scenes"
	"github.com/redisha/redisha/failover"
)

func TestInManualModeAPersonIsWaitedFor(t *testing.T) {
	s := begin(
		t, "mode Manual: master killed, then requested",
		v1alpha1.RedisHASpec{Failover: v1alpha1.FailoverSpec{Mode: v1alpha1.ModeManual}},
	)
	s.Signal(s.Master(), syscall.SIGKILL)
	s.Refusal(string(failover.ReasonManualMode))
	time.Sleep(2 * time.Second)
	s.Unmoved()
	if role := s.info(s.Master(), "role"); role != "slave" {
		t.Errorf("the restarted master is %q without anybody's decision", role)
	}
	s.Request("switchover")
	s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
	s.end(unreplicated)
	s.Epochs(s.Before, 1)
}

func TestTheOnlyPodComesBackWithItsDisk(t *testing.T) {
	s := begin(
		t, "a single pod with a disk killed",
		v1alpha1.RedisHASpec{Replicas: ptr.To[int32](1), Storage: &v1alpha1.StorageSpec{}},
	)
	s.Signal(s.Master(), syscall.SIGKILL)
	s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
	s.end(0)
	s.Epochs(s.Before, 1)
}

func TestStrictPromotesNoReplicaThatMayLackAWriteThatWaitAcknowledged(t *testing.T) {
	s := begin(t, "Strict: the replica with the latest writes out of reach", v1alpha1.RedisHASpec{
		Failover: v1alpha1.FailoverSpec{Consistency: v1alpha1.ConsistencyStrict},
	})
	ops.leading(s.Ctx, t)
	behind, ahead := s.Replicas()[0], s.Replicas()[1]
	s.part(s.addr(behind), s.addr(s.Master()))
	w := s.waiting()
	time.Sleep(2 * time.Second)
	s.part(s.addr(ahead), operatorAddrs()...)
	s.Signal(s.Master(), syscall.SIGKILL)
	w.stop()
	s.Refusal(string(failover.ReasonTooFewReplicasFenced))
	s.Announced("Blocked")
	s.heal()
	if entry := s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...); entry.To != ahead {
		t.Errorf("%s was promoted, want %s with the latest writes: %s", entry.To, ahead, entry.Message)
	}
	s.Reason = string(failover.ReasonTooFewReplicasFenced)
	s.end(unreplicated)
	if acked, lost := w.verify(s); acked == 0 || lost != 0 {
		t.Errorf("%d of %d writes that WAIT 1 acknowledged are lost", lost, acked)
	}
}

// waiting begins to write to the master, with WAIT 1 behind every write; what counts as acknowledged is what a replica
// has.
func (s *scene) waiting() *few {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &few{cancel: cancel}
	c := s.redis(s.Master())
	f.done.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			err := c.Set(ctx, leftKey(n), n, 0).Err()
			if err == nil {
				var replicas int64
				if replicas, err = c.Wait(ctx, 1, 200*time.Millisecond).Result(); err == nil && replicas < 1 {
					continue
				}
			}
			f.note(n, err)
			time.Sleep(5 * time.Millisecond)
		}
	})
	s.t.Cleanup(f.stop)
	return f
}
