// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"context"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/sandbox"
)

// stage is scenes.Stage in the sandbox.
type stage struct{ *scene }

// Happen lets a fault happen at once.
func (s stage) Happen(fault func() error) {
	s.t.Helper()
	s.fault()
	if err := fault(); err != nil {
		s.t.Fatal(err)
	}
}

// Arm has nothing to prepare: a signal is a system call here.
func (s stage) Arm(pod *corev1.Pod, signal syscall.Signal) func() error {
	return func() error { return bed.Sandbox.Signal(pod.Namespace, pod.Name, resources.RedisContainer, signal) }
}

// ArmLeader waits for an operator that leads and one that can take over.
func (s stage) ArmLeader() func() error {
	s.t.Helper()
	leader := ops.leading(s.Ctx, s.t)
	ops.doom(leader)
	return func() error { return leader.Signal(syscall.SIGKILL) }
}

// PartOperators parts the pod from those that run now.
func (s stage) PartOperators(pod *corev1.Pod) func() {
	s.t.Helper()
	ops.leading(s.Ctx, s.t)
	s.part(s.addr(pod.Name), operatorAddrs()...)
	return s.heal
}

// Settle asks each Redis from where the applications run.
func (s stage) Settle() *v1alpha1.RedisHA {
	s.t.Helper()
	rha, err := bed.WaitSettled(s.Ctx, s.Key, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return rha
}

// End judges the operators as well: none may have ended that was not to.
func (s stage) End(mayLose int64) time.Duration {
	s.t.Helper()
	s.end(mayLose)
	return s.row.gap
}

// end is [stage.End].
func (s *scene) end(mayLose int64) {
	s.t.Helper()
	s.Stage.Settle()
	now := time.Now()
	s.acknowledged(now)
	s.row.gap = s.writers.Gap(s.at, now).Length()
	s.writers.Stop()
	loss, err := s.writers.Verify(s.Ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	s.row.acked, s.row.lost = loss.Acked, loss.Lost
	if loss.Lost > mayLose {
		s.t.Errorf(
			"%d of %d acknowledged writes are lost, at most %d may be: %v", loss.Lost, loss.Acked, mayLose, loss.Examples,
		)
	}
	s.OneMaster()
	for _, surprise := range ops.surprises() {
		s.t.Errorf("an operator ended: %s", surprise)
	}
	s.row.reason = s.Reason
	s.t.Log(s.row)
}

// quick checks that writes stopped for a moment at most.
func (s *scene) quick(gap time.Duration) {
	s.t.Helper()
	if gap > 5*time.Second {
		s.t.Errorf("no write for %s: %s", gap, s.History())
	}
}

// ask makes a RedisHARequest, and waits until it tells that it ended so.
func (s *scene) ask(spec v1alpha1.RedisHARequestSpec, want v1alpha1.RequestState) {
	s.t.Helper()
	spec.RedisHA = s.Key.Name
	request := &v1alpha1.RedisHARequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Key.Namespace, GenerateName: "asked-"},
		Spec:       spec,
	}
	if err := bed.Client.Create(s.Ctx, request); err != nil {
		s.t.Fatal(err)
	}
	err := sandbox.WaitFor(s.Ctx, "the request to be over", func(ctx context.Context) (bool, error) {
		err := bed.Client.Get(ctx, client.ObjectKeyFromObject(request), request)
		return err == nil && request.Status.State.IsOver(), nil
	})
	if err != nil || request.Status.State != want {
		s.t.Errorf(
			"the request is %s (%s: %s), want %s: %v", request.Status.State, request.Status.Reason, request.Status.Message,
			want, err,
		)
	}
}
