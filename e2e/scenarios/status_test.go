// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/util/retry"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/scenes"
)

// setBack writes a status in the place of the present one, as who restores a backup does, or edits it.
func (s *scene) setBack(change func(*v1alpha1.RedisHAStatus)) {
	s.t.Helper()
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		rha, err := bed.Get(s.Ctx, s.Key)
		if err != nil {
			return err
		}
		change(&rha.Status)
		return bed.Client.Status().Update(s.Ctx, rha)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// moveTo has the master switched over to a pod, and waits until all is well.
func (s *scene) moveTo(pod string) {
	s.t.Helper()
	if s.Settle(); s.Master() == pod {
		return
	}
	s.Request("switchover:" + pod)
	s.Eventually(pod+" to be master", func(rha *v1alpha1.RedisHA) bool {
		return rha.Status.Master != nil && rha.Status.Master.Pod == pod && rha.Status.Failover.State == v1alpha1.StateStable
	})
	s.Settle()
}

// The status is lost or comes from a backup, and the world is further: docs/failure-modes.md, "A status that is older
// than the world".
func TestAStatusThatWasLostOrRestoredCostsNothing(t *testing.T) {
	lost := func(first v1alpha1.RedisHAStatus) func(*v1alpha1.RedisHAStatus) {
		return func(is *v1alpha1.RedisHAStatus) { *is = v1alpha1.RedisHAStatus{} }
	}
	restored := func(first v1alpha1.RedisHAStatus) func(*v1alpha1.RedisHAStatus) {
		return func(is *v1alpha1.RedisHAStatus) { *is = *first.DeepCopy() }
	}
	situations := []struct {
		name   string
		moves  []string // whom the master goes to before
		status func(first v1alpha1.RedisHAStatus) func(*v1alpha1.RedisHAStatus)
		kill   bool // the master, in the same moment
	}{
		{"lost", []string{"cache-1"}, lost, false},
		{"lost, master killed", nil, lost, true},
		{"restored, master elsewhere", []string{"cache-1", "cache-2"}, restored, false},
		{"restored, master elsewhere and killed", []string{"cache-1", "cache-2"}, restored, true},
		{"restored, master the same and killed", []string{"cache-1", "cache-2", "cache-0"}, restored, true},
		{
			"master and epoch restored",
			[]string{"cache-1", "cache-2"},
			func(first v1alpha1.RedisHAStatus) func(*v1alpha1.RedisHAStatus) {
				return func(is *v1alpha1.RedisHAStatus) { is.Master, is.Failover.Epoch = first.Master, first.Failover.Epoch }
			},
			false,
		},
	}
	for _, situation := range situations {
		for storage, spec := range map[string]v1alpha1.RedisHASpec{"in memory": {}, "with disks": {Storage: &v1alpha1.StorageSpec{}}} {
			for _, away := range []bool{false, true} {
				name := fmt.Sprintf("status %s, %s, operator away %t", situation.name, storage, away)
				t.Run(name, func(t *testing.T) {
					s := begin(t, name, spec)
					s.moveTo("cache-0")
					first := s.Before.Status
					for _, pod := range situation.moves {
						s.moveTo(pod)
					}
					s.suffer(situation.status(first), situation.kill, away)
				})
			}
		}
	}
}

// suffer sets the status back, and has the set go on and survive the next fault.
func (s *scene) suffer(status func(*v1alpha1.RedisHAStatus), kill, away bool) {
	s.t.Helper()
	ops.leading(s.Ctx, s.t)
	var seen time.Time
	epoch, mayLose := s.Before.Status.Failover.Epoch, int64(0)
	if away {
		back := ops.strike(s.t)
		defer func() { back() }()
		s.setBack(status)
		if kill {
			s.Signal(s.Master(), syscall.SIGKILL)
		}
		s.fault()
		time.Sleep(time.Second)
		back()
		seen = s.seen()
	} else {
		s.setBack(status)
		if seen = time.Now(); kill {
			s.Signal(s.Master(), syscall.SIGKILL)
		}
		s.fault()
	}
	if kill {
		mayLose = unreplicated
	}
	took := s.acknowledged(seen).Sub(seen)
	s.Settle()
	if !away {
		took = s.writers.Gap(seen, time.Now()).Length()
	}
	s.t.Logf("no write for %s once an operator could see it", took.Round(time.Millisecond))
	if took > 2*time.Second {
		s.t.Errorf("no write for %s, though an operator could see it", took)
	}
	s.Announced("StatusOverruled")
	if is := s.Before.Status.Failover.Epoch; is < epoch {
		s.t.Errorf("epoch %d after %d", is, epoch)
	}
	s.Signal(s.Master(), syscall.SIGKILL) // the next fault
	s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
	s.end(mayLose + unreplicated)
}

// seen waits until an operator leads.
func (s *scene) seen() time.Time {
	s.t.Helper()
	for s.Ctx.Err() == nil {
		for _, p := range ops.all() {
			if leads, err := p.Leads(s.Ctx); err == nil && leads {
				return time.Now()
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatal("no operator leads")
	return time.Time{}
}
