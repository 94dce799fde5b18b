// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
)

var _ = Describe("When the operator", Label("core"), func() {
	repeated(
		"is deleted in the middle of a failover, the other one finishes it",
		Label("operator"),
		func(ctx SpecContext) {
			s := begin(ctx, "master killed, operator deleted amid the failover", v1alpha1.RedisHASpec{})
			leader, strike := armedLeader(ctx)
			begun := s.failoverBegins(ctx)
			s.MasterIsKilledAnd(func() {
				state := <-begun
				Expect(strike()).To(Succeed())
				Expect(env.client.Delete(ctx, leader, client.GracePeriodSeconds(0))).To(Succeed())
				AddReportEntry("state that was persisted when the operator was killed", state)
			})
			env.operatorReady(ctx)
			successor, err := env.leader(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(successor.UID).NotTo(Equal(leader.UID))
		},
	)
})

// armedLeader prepares a SIGKILL for the leading operator, and returns its pod and what sends it.
func armedLeader(ctx context.Context) (leader *corev1.Pod, strike func() error) {
	GinkgoHelper()
	leader, err := env.leader(ctx)
	Expect(err).NotTo(HaveOccurred())
	return leader, armed(ctx, leader.Spec.NodeName, "KILL", pids(ctx, leader, operatorProcess))
}

// failoverBegins tells, once, the state that the next failover was first seen in.
func (s *scene) failoverBegins(ctx context.Context) <-chan v1alpha1.FailoverState {
	GinkgoHelper()
	since := s.Before.Status.Failover.Epoch
	watching, err := env.client.Watch(ctx, &v1alpha1.RedisHAList{}, client.InNamespace(s.key.Namespace))
	Expect(err).NotTo(HaveOccurred())
	begun := make(chan v1alpha1.FailoverState, 1)
	go func() {
		defer watching.Stop()
		defer close(begun)
		for event := range watching.ResultChan() {
			rha, ok := event.Object.(*v1alpha1.RedisHA)
			if ok && event.Type == watch.Modified && rha.Status.Failover != nil && rha.Status.Failover.Epoch > since {
				begun <- rha.Status.Failover.State
				return
			}
		}
	}()
	return begun
}
