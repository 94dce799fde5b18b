// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
)

const (
	frozenFor    = 90 * time.Second // longer than Kubernetes waits before it calls a node NotReady
	buffered     = 50               // writes that wait in the socket of the frozen master
	demotedAfter = 10 * time.Second // a generous bound of what is measured and printed
)

var _ = Describe("When the master's worker", Label("chaos", "frozen"), func() {
	repeated("is frozen for 90 s, a replica takes over, and the thawed master is demoted", func(ctx SpecContext) {
		frozen(ctx, "worker of the master frozen for 90 s", false)
	})
	repeated("is frozen for 90 s together with the operator's leader, the other one acts", func(ctx SpecContext) {
		frozen(ctx, "worker of master and leader frozen for 90 s", true)
	})
})

func frozen(ctx context.Context, title string, withLeader bool) {
	GinkgoHelper()
	s := beginWith(ctx, title, withLeader)
	victim := s.MasterPod()
	node := victim.Spec.NodeName
	_, err := s.ask(ctx, "stay", nil)
	Expect(err).NotTo(HaveOccurred())
	s.fault()
	thaw := freeze(ctx, node)
	since := time.Now()
	_, err = s.ask(ctx, "stay/write", map[string]string{"writes": fmt.Sprint(buffered)})
	Expect(err).NotTo(HaveOccurred())
	entry := s.Promotion(v1alpha1.HistoryFailover, string(failover.DiagnosisMasterDown))
	s.acknowledged(ctx)
	time.Sleep(time.Until(since.Add(frozenFor)))
	thaw(ctx)
	thawed := time.Now()
	Eventually(
		func() bool { return s.writable(ctx, victim) },
	).WithContext(ctx).
		WithTimeout(demotedAfter).
		WithPolling(50*time.Millisecond).
		Should(BeFalse(), "the thawed master is demoted")
	demoted := time.Since(thawed)
	env.nodeReady(ctx, node)
	stayed := s.end(ctx, unreplicated).Stayed
	Expect(stayed).NotTo(BeNil())
	Expect(stayed.Sent).To(Equal(buffered))
	AddReportEntry(
		"the thawed master",
		fmt.Sprintf(
			"demoted %s after it was thawed; of %d writes in its socket it acknowledged %d, %d are lost; answered after %s; errors %v",
			demoted.Round(
				time.Millisecond,
			),
			stayed.Sent,
			stayed.Acked,
			stayed.Lost,
			stayed.Answered.Sub(thawed).Round(time.Millisecond),
			stayed.Errors,
		),
	)
	s.MovedFrom(victim.Name, entry)
}

// writable reports whether the process in that pod says that it is master; one that has gone does not.
func (s *scene) writable(ctx context.Context, pod *corev1.Pod) bool {
	role, err := env.redis(ctx, pod, "role")
	return err == nil && len(role) >= len("master") && role[:len("master")] == "master"
}

// beginWith is begin with a master that shares a node with the operator's leader, or does not. It is where it shall be
// before the client is put on another node: a client on the master's node would be frozen or parted with it.
func beginWith(ctx context.Context, title string, withLeader bool) *scene {
	GinkgoHelper()
	s := create(ctx, title, v1alpha1.RedisHASpec{})
	s.Settle()
	s.moveMaster(ctx, withLeader)
	s.write(ctx, s.MasterPod())
	return s
}

// moveMaster switches over, if need be, so that the master shares a node with the operator's leader, or does not.
func (s *scene) moveMaster(ctx context.Context, withLeader bool) {
	GinkgoHelper()
	leader, err := env.leader(ctx)
	Expect(err).NotTo(HaveOccurred())
	if (s.MasterPod().Spec.NodeName == leader.Spec.NodeName) == withLeader {
		return
	}
	pods := &corev1.PodList{}
	Expect(
		env.client.List(
			ctx, pods, client.InNamespace(s.key.Namespace), client.MatchingLabels(resources.SelectorLabels(s.key.Name)),
		),
	).To(Succeed())
	for _, pod := range pods.Items {
		if pod.Name != s.Before.Status.Master.Pod && (pod.Spec.NodeName == leader.Spec.NodeName) == withLeader {
			s.switchOver(ctx, pod.Name)
			s.Settle()
			return
		}
	}
	Fail("no Redis pod is where the master should be")
}

// nodeReady waits until Kubernetes takes the node for ready, and schedules there.
func (p *environment) nodeReady(ctx context.Context, name string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		node := &corev1.Node{}
		g.Expect(p.client.Get(ctx, client.ObjectKey{Name: name}, node)).To(Succeed())
		g.Expect(node.Status.Conditions).To(ContainElement(And(
			HaveField("Type", corev1.NodeReady), HaveField("Status", corev1.ConditionTrue))))
		g.Expect(node.Spec.Taints).To(BeEmpty())
	}).WithContext(ctx).Should(Succeed())
}
