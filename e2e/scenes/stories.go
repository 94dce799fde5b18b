// SPDX-License-Identifier: Apache-2.0

package scenes

import (
	"slices"
	"sync"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/failover"
)

// MasterIsKilled plays that the process of the master gets SIGKILL. A replica takes over at once.
func (s *Scene) MasterIsKilled() (gap time.Duration) {
	s.T.Helper()
	gap = s.MasterIsKilledAnd(func() {})
	for _, event := range []string{
		v1alpha1.EventFailoverStarted, v1alpha1.EventMasterPublished, v1alpha1.EventFailoverFinished,
	} {
		s.Announced(event)
	}
	return gap
}

// MasterIsKilledAnd has more happen in the failover after it. There is one failover all the same.
func (s *Scene) MasterIsKilledAnd(more func()) (gap time.Duration) {
	s.T.Helper()
	was := s.Before
	s.Signal(was.Status.Master.Pod, syscall.SIGKILL)
	more()
	return s.replaced(was, DeadProcess...)
}

// MasterHangs plays that the process of the master gets SIGSTOP. A replica takes over when it was silent for
// down-after, and the pod of the process that hangs is replaced.
func (s *Scene) MasterHangs() (gap time.Duration) {
	s.T.Helper()
	gap = s.MasterHangsAnd(func() {})
	s.Announced(v1alpha1.EventMasterSuspected)
	return gap
}

// MasterHangsAnd has more happen in the failover after it. There is one failover all the same.
func (s *Scene) MasterHangsAnd(more func()) (gap time.Duration) {
	s.T.Helper()
	was := s.Before
	s.Signal(was.Status.Master.Pod, syscall.SIGSTOP)
	more()
	s.Promotion(v1alpha1.HistoryFailover, string(failover.DiagnosisMasterDown))
	s.Eventually("the hung pod to be replaced", func(rha *v1alpha1.RedisHA) bool {
		return slices.ContainsFunc(rha.Status.Nodes, func(n v1alpha1.NodeStatus) bool {
			return n.Pod == was.Status.Master.Pod && n.PodUID != "" && n.PodUID != was.Status.Master.PodUID
		})
	})
	return s.replaced(was, string(failover.DiagnosisMasterDown))
}

// replaced is what has to come of a master that died or hangs.
func (s *Scene) replaced(was *v1alpha1.RedisHA, causes ...string) (gap time.Duration) {
	s.T.Helper()
	entry := s.Promotion(v1alpha1.HistoryFailover, causes...)
	for _, name := range []string{
		failover.StepEvidence, failover.StepIntent, failover.StepDetached, failover.StepPromoted, failover.StepPublished,
	} {
		if !slices.ContainsFunc(entry.Steps, func(s v1alpha1.StepStatus) bool { return s.Name == name && !s.At.IsZero() }) {
			s.T.Errorf("the history does not tell when the step %q was taken: %+v", name, entry.Steps)
		}
	}
	gap = s.Stage.End(s.Unreplicated)
	s.MovedFrom(was.Status.Master.Pod, entry)
	s.Epochs(was, 1)
	return gap
}

// MasterPodIsDeleted plays a deletion that leaves the pod its grace period. The master switches over first, and no
// acknowledged write is lost.
func (s *Scene) MasterPodIsDeleted() (gap time.Duration) {
	s.T.Helper()
	victim := s.MasterPod()
	return s.switchedOver(
		func() error { return s.Client.Delete(s.Ctx, victim) },
		string(failover.DiagnosisMasterTerminating),
	)
}

// MasterNodeIsLeft plays that the node of the master takes no pods any more, or is drained, which cordon does. The
// master switches over first, and no acknowledged write is lost.
func (s *Scene) MasterNodeIsLeft(cordon func(node string) error) (gap time.Duration) {
	s.T.Helper()
	node := s.MasterPod().Spec.NodeName
	return s.switchedOver(
		func() error { return cordon(node) }, string(failover.DiagnosisMasterNodeDraining),
		string(failover.DiagnosisMasterTerminating),
	)
}

func (s *Scene) switchedOver(fault func() error, causes ...string) (gap time.Duration) {
	s.T.Helper()
	was := s.Before
	s.Stage.Happen(fault)
	entry := s.Promotion(v1alpha1.HistorySwitchover, causes...)
	gap = s.Stage.End(0)
	s.MovedFrom(was.Status.Master.Pod, entry)
	s.Epochs(was, 1)
	return gap
}

// MasterPodIsDeletedByForce plays a deletion without a grace period. A replica takes over. For a moment the pod may be
// seen on its way out: a switchover may be begun then, and become a failover, or even end as one.
func (s *Scene) MasterPodIsDeletedByForce() (gap time.Duration) {
	s.T.Helper()
	was, victim := s.Before, s.MasterPod()
	s.Stage.Happen(func() error { return s.Client.Delete(s.Ctx, victim, client.GracePeriodSeconds(0)) })
	entry, mayLose := s.Promoted(), int64(0)
	if entry.Kind == v1alpha1.HistorySwitchover {
		s.Promotion(v1alpha1.HistorySwitchover, string(failover.DiagnosisMasterTerminating))
	} else {
		mayLose = s.Unreplicated
		entry = s.Promotion(v1alpha1.HistoryFailover, append(DeadProcess, string(failover.DiagnosisMasterPodGone))...)
	}
	gap = s.Stage.End(mayLose)
	s.MovedFrom(was.Status.Master.Pod, entry)
	if begun := entry.Epoch - was.Status.Failover.Epoch; begun > 2 {
		s.T.Errorf("%d promotions were begun: %s", begun, s.History())
	}
	return gap
}

// OperatorsAreParted plays that the operators alone do not reach the master, for several times down-after. They do
// nothing, and say why.
func (s *Scene) OperatorsAreParted() (gap time.Duration) {
	s.T.Helper()
	was := s.Before.Status.Master.NodeRef
	heal := s.Stage.PartOperators(s.MasterPod())
	s.Refusal(string(failover.ReasonMasterUnreachableButReplicating))
	s.Condition(v1alpha1.ConditionAvailable, metav1.ConditionUnknown, v1alpha1.ReasonMasterUnreachable)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		s.Refusal(string(failover.ReasonMasterUnreachableButReplicating))
		s.Unmoved()
	}
	epoch := s.Before
	heal()
	gap = s.Stage.End(0)
	s.Epochs(epoch, 0)
	if now := s.Get().Status.Master.NodeRef; now != was {
		s.T.Errorf("the master was %s (%s) and is %s (%s)", was.Pod, was.PodUID, now.Pod, now.PodUID)
	}
	return gap
}

// MasterAndLeaderAreKilled plays that both die at the same instant. The other operator acts at once.
func (s *Scene) MasterAndLeaderAreKilled() (gap time.Duration) {
	s.T.Helper()
	was := s.Before
	kill, strike := s.Stage.Arm(s.MasterPod(), syscall.SIGKILL), s.Stage.ArmLeader()
	s.Stage.Happen(func() error {
		var master error
		var both sync.WaitGroup
		both.Go(func() { master = kill() })
		err := strike()
		both.Wait()
		if err == nil {
			err = master
		}
		return err
	})
	return s.replaced(was, DeadProcess...)
}

// APIServerIsAway plays that the API server ends, or hangs, when stop is called, until what that returns is called, and
// that the master dies meanwhile. No replica is promoted before the API server is back, and then one is. Look is called
// shortly before that.
func (s *Scene) APIServerIsAway(stop func() (back func()), look func()) {
	s.T.Helper()
	const away = 25 * time.Second
	was := s.Before
	kill := s.Stage.Arm(s.MasterPod(), syscall.SIGKILL)
	back := stop()
	since := time.Now()
	time.Sleep(8 * time.Second) // longer than a leader acts without its lease
	s.Stage.Happen(kill)
	time.Sleep(time.Until(since.Add(away)))
	look()
	resumed := time.Now()
	back()
	entry := s.Promotion(v1alpha1.HistoryFailover, DeadProcess...)
	if entry.FinishedAt.Time.Before(resumed) {
		s.T.Errorf("promoted at %v, and the API server was back at %s", entry.FinishedAt, resumed)
	}
	s.replaced(was, DeadProcess...)
}
