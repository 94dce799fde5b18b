// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/scenes"
	"github.com/redisha/redisha/failover/lease"
)

// leaseDuration is the manager's default: how long a leader that is only silent is waited for.
const leaseDuration = 5 * time.Second

// A standby that knows that the leader's process is dead does not wait for its lease.
func TestALeaderAndAMasterThatDieTogetherAreReplacedAtOnce(t *testing.T) {
	s := begin(t, "leader and master killed together", v1alpha1.RedisHASpec{})
	if gap := s.MasterAndLeaderAreKilled(); gap >= leaseDuration-time.Second {
		next := ops.leading(s.Ctx, t)
		t.Errorf(
			"no write for %s: the dead leader's lease was waited for; the log of %s ends:\n%s", gap, next.Name, next.LogTail(),
		)
	}
}

// A leader that is stopped may go on at any instant, with its lease or without.
func TestALeaderThatIsFrozenIsWaitedForAndActsNoMore(t *testing.T) {
	s := begin(t, "master killed, leader frozen before", v1alpha1.RedisHASpec{})
	leader := ops.leading(s.Ctx, t)
	if err := leader.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = leader.Signal(syscall.SIGCONT) })
	s.Signal(s.Master(), syscall.SIGKILL)
	s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
	if took := time.Since(s.at); took < leaseDuration-time.Second { // it had renewed it half a second before at most
		t.Errorf("replaced after %s: silence was taken for death", took)
	}
	if err := leader.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.Eventually("the woken leader to find its lease lost", func(*v1alpha1.RedisHA) bool {
		leads, err := leader.Leads(s.Ctx)
		return err == nil && !leads
	})
	s.Eventually("every Redis to be ordered by one operator, the same", func(rha *v1alpha1.RedisHA) bool {
		var all []string
		for _, n := range rha.Status.Nodes {
			here := s.orderedBy(n.Pod)
			if len(here) != 1 {
				return false
			}
			all = append(all, here...)
		}
		return len(slices.Compact(all)) == 1
	})
	s.end(unreplicated)
	s.Epochs(s.Before, 1)
}

// orderedBy names the operators that are connected to a pod's Redis.
func (s *scene) orderedBy(pod string) []string {
	s.t.Helper()
	text, err := s.redis(pod).ClientList(s.Ctx).Result()
	if err != nil {
		return nil
	}
	var names []string
	for field := range strings.FieldsSeq(text) {
		if name, found := strings.CutPrefix(field, "name="); found && strings.HasPrefix(name, lease.ConnectionPrefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
