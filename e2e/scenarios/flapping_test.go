// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/decide"
)

func TestAMasterKilledAgainAndAgainIsReplacedEachTime(t *testing.T) {
	s := begin(t, "master killed every 5 s for a minute", v1alpha1.RedisHASpec{})
	const kills = 12
	for i := range kills {
		next := time.Now().Add(5 * time.Second)
		current := s.Get().Status.Master.Pod
		s.Signal(current, syscall.SIGKILL)
		s.Eventually(fmt.Sprintf("kill %d of %s to be survived", i+1, current), func(rha *v1alpha1.RedisHA) bool {
			return rha.Status.Master.Pod != current
		})
		s.acknowledged(time.Now())
		time.Sleep(time.Until(next))
	}
	s.Reason = s.Get().Status.History[0].Cause
	s.end(kills * unreplicated)
	s.Epochs(s.Before, kills)
}

func TestAMasterThatHangsAgainAndAgainIsReplacedAFewTimesAMinute(t *testing.T) {
	s := begin(
		t, "master hangs for 4 of every 7 s for a minute",
		v1alpha1.RedisHASpec{Failover: v1alpha1.FailoverSpec{DownAfterMilliseconds: 1000}},
	)
	seen := s.watchRefusals()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		current := s.Get().Status.Master.Pod
		s.Signal(current, syscall.SIGSTOP)
		time.Sleep(4 * time.Second)
		// It may have been replaced meanwhile, which ended the hang earlier.
		_ = bed.Sandbox.Signal(s.Key.Namespace, current, resources.RedisContainer, syscall.SIGCONT)
		time.Sleep(3 * time.Second)
	}
	s.Reason = strings.Join(seen(), ", ")
	s.end(3 * unreplicated)
	was, is := s.Before.Status.Failover.Epoch, s.Get().Status.Failover.Epoch
	if is-was < decide.SoftLimit || is-was > decide.SoftLimit+1 { // the minute may begin with the first of them
		t.Errorf("%d failovers in a minute, of which %d may begin on silence: %s", is-was, decide.SoftLimit, s.History())
	}
	if !slices.Contains(seen(), string(failover.ReasonCooldown)) {
		t.Errorf("refusals %v, want %s among them", seen(), failover.ReasonCooldown)
	}
}

// watchRefusals notes every reason that the condition Blocked shows from now on. The function that it returns lists
// them.
func (s *scene) watchRefusals() func() []string {
	var mu sync.Mutex
	seen := map[string]bool{}
	ctx, cancel := context.WithCancel(s.Ctx)
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			if rha, err := bed.Get(ctx, s.Key); err == nil {
				if c := meta.FindStatusCondition(
					rha.Status.Conditions, v1alpha1.ConditionBlocked,
				); c != nil &&
					c.Status == metav1.ConditionTrue {
					mu.Lock()
					seen[c.Reason] = true
					mu.Unlock()
				}
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	s.t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Sorted(maps.Keys(seen))
	}
}
