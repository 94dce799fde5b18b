// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"context"
	"syscall"
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/failover"
)

func TestInManualModeAPersonIsWaitedFor(t *testing.T) {
	s := begin(
		t, "mode Manual: master killed, then requested",
		v1alpha1.RedisHASpec{Failover: v1alpha1.FailoverSpec{Mode: v1alpha1.ModeManual}},
	)
	s.signal(s.master(), syscall.SIGKILL)
	s.refusal(string(failover.ReasonManualMode))
	time.Sleep(2 * time.Second)
	s.unmoved()
	if role := s.info(s.master(), "role"); role != "slave" {
		t.Errorf("the restarted master is %q without anybody's decision", role)
	}
	s.request("switchover")
	s.promotion(v1alpha1.HistoryFailover, deadProcess...)
	s.end(unreplicated)
	s.epochs(1)
}

func TestTheOnlyPodComesBackWithItsDisk(t *testing.T) {
	s := begin(
		t, "a single pod with a disk killed",
		v1alpha1.RedisHASpec{Replicas: ptr.To[int32](1), Storage: &v1alpha1.StorageSpec{}},
	)
	s.signal(s.master(), syscall.SIGKILL)
	s.promotion(v1alpha1.HistoryFailover, deadProcess...)
	s.end(0)
	s.epochs(1)
}

func TestStrictPromotesNoReplicaThatMayLackAWriteThatWaitAcknowledged(t *testing.T) {
	s := begin(t, "Strict: the replica with the latest writes out of reach", v1alpha1.RedisHASpec{
		Failover: v1alpha1.FailoverSpec{Consistency: v1alpha1.ConsistencyStrict},
	})
	ops.leading(s.ctx, t)
	behind, ahead := s.replicas()[0], s.replicas()[1]
	s.part(s.addr(behind), s.addr(s.master()))
	w := s.waiting()
	time.Sleep(2 * time.Second)
	s.part(s.addr(ahead), operatorAddrs()...)
	s.signal(s.master(), syscall.SIGKILL)
	w.stop()
	s.refusal(string(failover.ReasonTooFewReplicasFenced))
	s.announced("Blocked")
	s.heal()
	if entry := s.promotion(v1alpha1.HistoryFailover, deadProcess...); entry.To != ahead {
		t.Errorf("%s was promoted, want %s with the latest writes: %s", entry.To, ahead, entry.Message)
	}
	s.row.reason = string(failover.ReasonTooFewReplicasFenced)
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
	c := s.redis(s.master())
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
