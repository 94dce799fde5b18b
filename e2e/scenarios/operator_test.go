// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/e2e/scenes"
	"github.com/redisha/redisha/e2e/testbed"
	"github.com/redisha/redisha/failover"
)

// ended waits until the process has killed itself.
func (s *scene) ended(o *testbed.Operator) {
	s.t.Helper()
	select {
	case <-o.Exited():
	case <-time.After(30 * time.Second):
		s.t.Fatalf("%s was to die and lives; its log ends:\n%s", o.Name, o.LogTail())
	}
}

func TestAFailoverOutlivesItsOperator(t *testing.T) {
	for _, state := range []v1alpha1.FailoverState{
		v1alpha1.StatePromoting, v1alpha1.StateReattaching, v1alpha1.StateStable,
	} {
		t.Run(string(state), func(t *testing.T) {
			s := begin(t, fmt.Sprintf("master killed, operator dies in %s", state), v1alpha1.RedisHASpec{})
			operator := ops.crashAt(s.Ctx, t, state)
			s.MasterIsKilledAnd(func() { s.ended(operator) }) // the successor finishes the same failover
		})
	}
}

func TestTheFailoverOfAMasterThatHangsOutlivesItsOperator(t *testing.T) {
	for _, state := range []v1alpha1.FailoverState{v1alpha1.StateSuspected, v1alpha1.StateFencing} {
		t.Run(string(state), func(t *testing.T) {
			s := begin(t, fmt.Sprintf("master hangs, operator dies in %s", state), v1alpha1.RedisHASpec{})
			operator := ops.crashAt(s.Ctx, t, state)
			s.MasterHangsAnd(func() { s.ended(operator) })
		})
	}
}

func TestASwitchoverOutlivesItsOperatorAndLosesNothing(t *testing.T) {
	crashIn := func(state v1alpha1.FailoverState) func(*scene) *testbed.Operator {
		return func(s *scene) *testbed.Operator { return ops.crashAt(s.Ctx, s.t, state) }
	}
	for name, crash := range map[string]func(*scene) *testbed.Operator{
		"SwitchingOver": crashIn(v1alpha1.StateSwitchingOver),
		"published":     (*scene).killOncePublished, // the status is in SwitchingOver then
		"Reattaching":   crashIn(v1alpha1.StateReattaching),
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, fmt.Sprintf("switchover, operator dies in %s", name), v1alpha1.RedisHASpec{})
			target := s.Replicas()[0]
			operator := crash(s)
			s.fault()
			s.ask(
				v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover, Pod: target}, v1alpha1.RequestSucceeded,
			) // the outcome outlives it, too
			s.ended(operator)
			if entry := s.Promotion(v1alpha1.HistorySwitchover, string(failover.CauseRequested)); entry.To != target {
				t.Errorf("switched over to %s, want %s", entry.To, target)
			}
			s.end(0)
			s.Epochs(s.Before, 1)
		})
	}
}

// killOncePublished kills the leader as soon as the master's Service leads to another pod.
func (s *scene) killOncePublished() *testbed.Operator {
	s.t.Helper()
	leader := ops.leading(s.Ctx, s.t)
	ops.doom(leader)
	clients := asking{client.ObjectKeyFromObject(s.Get())}
	before, err := clients.Find(s.Ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	go func() {
		for s.Ctx.Err() == nil {
			if now, err := clients.Find(s.Ctx); err == nil && now != before {
				leader.Kill()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	return leader
}

func TestALeaderThatIsFrozenAmidAFailoverAndWakesChangesNothing(t *testing.T) {
	s := begin(t, "master killed, leader frozen amid the failover", v1alpha1.RedisHASpec{})
	leader := ops.leading(s.Ctx, t)
	s.Signal(s.Master(), syscall.SIGKILL)
	time.Sleep(time.Duration(rand.IntN(15)) * time.Millisecond)
	if err := leader.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = leader.Signal(syscall.SIGCONT) })
	s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
	time.Sleep(8 * time.Second) // longer than the lease, whoever holds it
	master := s.Get().Status.Master.NodeRef
	if err := leader.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.Eventually("the woken leader to find its lease lost", func(*v1alpha1.RedisHA) bool {
		leads, err := leader.Leads(s.Ctx)
		return err == nil && !leads
	})
	s.end(unreplicated)
	s.Epochs(s.Before, 1)
	if now := s.Get().Status.Master.NodeRef; now != master {
		t.Errorf("the master was %s and is %s", master.Pod, now.Pod)
	}
}

func TestAMasterThatDiesWithoutAnyOperatorIsReplacedByTheNextOne(t *testing.T) {
	s := begin(t, "master killed while no operator runs", v1alpha1.RedisHASpec{})
	ops.leading(s.Ctx, t)
	back := ops.strike(t)
	struck := time.Now()
	time.Sleep(3 * time.Second)
	if gap := s.writers.Gap(struck, time.Now()); gap.Length() > time.Second {
		t.Errorf("a healthy master did not serve for %s while no operator ran", gap.Length())
	}
	s.Signal(s.Master(), syscall.SIGKILL)
	time.Sleep(3 * time.Second)
	s.Unmoved()
	back()
	s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
	s.end(unreplicated)
	s.Epochs(s.Before, 1)
}

func TestWithoutAnAPIServerNoReplicaIsPromotedAndAMasterServesOn(t *testing.T) {
	s := create(t, "API server away for 25 s, master dies meanwhile", v1alpha1.RedisHASpec{})
	s.Settle()
	s.writeTo(chaos.Options{Finder: asking{s.Key}, Redial: 50 * time.Millisecond})
	stopped := time.Now()
	s.APIServerIsAway(
		func() (back func()) {
			if err := bed.Sandbox.StopAPIServer(s.Ctx); err != nil {
				t.Fatal(err)
			}
			return func() {
				if err := bed.Sandbox.StartAPIServer(s.Ctx); err != nil {
					t.Fatal(err)
				}
			}
		},
		func() {
			if gap := s.writers.Gap(stopped, s.at); gap.Length() > time.Second {
				t.Errorf("a healthy master did not serve for %s while the API server was away", gap.Length())
			}
			for _, pod := range append(s.Replicas(), s.Master()) {
				if role := s.info(pod, "role"); role != "slave" {
					t.Errorf("%s is %q without a decision", pod, role)
				}
			}
		},
	)
	// Schedulers, kubelets and proxies are back, too, before anything else is measured.
	begin(t, "another one", v1alpha1.RedisHASpec{})
}
