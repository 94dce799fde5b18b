// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/chaos"
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
			operator := ops.crashAt(s.ctx, t, state)
			s.signal(s.master(), syscall.SIGKILL)
			s.ended(operator)
			s.promotion(v1alpha1.HistoryFailover, deadProcess...)
			s.end(unreplicated)
			s.epochs(1) // the successor finishes the same one
		})
	}
}

func TestTheFailoverOfAMasterThatHangsOutlivesItsOperator(t *testing.T) {
	for _, state := range []v1alpha1.FailoverState{v1alpha1.StateSuspected, v1alpha1.StateFencing} {
		t.Run(string(state), func(t *testing.T) {
			s := begin(t, fmt.Sprintf("master hangs, operator dies in %s", state), v1alpha1.RedisHASpec{})
			operator := ops.crashAt(s.ctx, t, state)
			s.signal(s.master(), syscall.SIGSTOP)
			s.ended(operator)
			s.promotion(v1alpha1.HistoryFailover, string(failover.DiagnosisMasterDown))
			s.end(unreplicated)
			s.epochs(1)
		})
	}
}

func TestASwitchoverOutlivesItsOperatorAndLosesNothing(t *testing.T) {
	for _, state := range []v1alpha1.FailoverState{
		v1alpha1.StateSwitchingOver, v1alpha1.StatePromoting, v1alpha1.StateReattaching,
	} {
		t.Run(string(state), func(t *testing.T) {
			s := begin(t, fmt.Sprintf("switchover, operator dies in %s", state), v1alpha1.RedisHASpec{})
			operator := ops.crashAt(s.ctx, t, state)
			s.fault()
			target := s.replicas()[0]
			s.ask(
				v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover, Pod: target}, v1alpha1.RequestSucceeded,
			) // the outcome outlives it, too
			s.ended(operator)
			if entry := s.promotion(v1alpha1.HistorySwitchover, string(failover.CauseRequested)); entry.To != target {
				t.Errorf("switched over to %s, want %s", entry.To, target)
			}
			s.end(0)
			s.epochs(1)
		})
	}
}

func TestALeaderThatIsFrozenAmidAFailoverAndWakesChangesNothing(t *testing.T) {
	s := begin(t, "master killed, leader frozen amid the failover", v1alpha1.RedisHASpec{})
	leader := ops.leading(s.ctx, t)
	s.signal(s.master(), syscall.SIGKILL)
	time.Sleep(time.Duration(rand.IntN(15)) * time.Millisecond)
	if err := leader.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = leader.Signal(syscall.SIGCONT) })
	s.promotion(v1alpha1.HistoryFailover, deadProcess...)
	time.Sleep(8 * time.Second) // longer than the lease, whoever holds it
	master := s.get().Status.Master.NodeRef
	if err := leader.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.eventually("the woken leader to find its lease lost", func(*v1alpha1.RedisHA) bool {
		leads, err := leader.Leads(s.ctx)
		return err == nil && !leads
	})
	s.end(unreplicated)
	s.epochs(1)
	if now := s.get().Status.Master.NodeRef; now != master {
		t.Errorf("the master was %s and is %s", master.Pod, now.Pod)
	}
}

func TestAMasterThatDiesWithoutAnyOperatorIsReplacedByTheNextOne(t *testing.T) {
	s := begin(t, "master killed while no operator runs", v1alpha1.RedisHASpec{})
	ops.leading(s.ctx, t)
	back := ops.strike(t)
	struck := time.Now()
	time.Sleep(3 * time.Second)
	if gap := s.writers.Gap(struck, time.Now()); gap.Length() > time.Second {
		t.Errorf("a healthy master did not serve for %s while no operator ran", gap.Length())
	}
	s.signal(s.master(), syscall.SIGKILL)
	time.Sleep(3 * time.Second)
	s.unmoved()
	back()
	s.promotion(v1alpha1.HistoryFailover, deadProcess...)
	s.end(unreplicated)
	s.epochs(1)
}

func TestWithoutAnAPIServerNoReplicaIsPromotedAndAMasterServesOn(t *testing.T) {
	s := create(t, "API server away for 20 s, master dies meanwhile", v1alpha1.RedisHASpec{})
	s.settle()
	s.writeTo(chaos.Options{Finder: asking{s.key}, Redial: 50 * time.Millisecond})
	if err := bed.Sandbox.StopAPIServer(s.ctx); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	time.Sleep(3 * time.Second)
	if gap := s.writers.Gap(stopped, time.Now()); gap.Length() > time.Second {
		t.Errorf("a healthy master did not serve for %s while the API server was away", gap.Length())
	}
	s.signal(s.master(), syscall.SIGKILL)
	time.Sleep(time.Until(stopped.Add(20 * time.Second)))
	if role := s.info(s.master(), "role"); role == "master" {
		t.Errorf("%s came back as %s without anybody's decision", s.master(), role)
	}
	for _, replica := range s.replicas() {
		if role := s.info(replica, "role"); role != "slave" {
			t.Errorf("%s is %q, and the API server was away", replica, role)
		}
	}
	if err := bed.Sandbox.StartAPIServer(s.ctx); err != nil {
		t.Fatal(err)
	}
	s.promotion(v1alpha1.HistoryFailover, deadProcess...)
	s.end(unreplicated)
	s.epochs(1)
	begin(
		t, "another one", v1alpha1.RedisHASpec{},
	) // schedulers, kubelets and proxies are back, too, before anything else is measured
}
