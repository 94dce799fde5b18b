// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"fmt"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/e2e/scenes"
	"github.com/redisha/redisha/failover"
)

// What a set survives with one failure left to it: the times are compared with generous bounds, and the table has them.
const (
	downAfter = 3 * time.Second // the default
	slack     = 3 * time.Second // of bounds, on two cores that carry four nodes
	briefly   = 20 * time.Second
)

// plainStreams are the chaos client's without WAIT: what no replica can confirm is no refused write.
const plainStreams = "--streams=service/plain,pods/plain"

var _ = Describe("When one failure takes more than the master", Label("chaos", "survival"), func() {
	repeated(
		"a worker with master and replica is frozen, the third pod takes over",
		Label("stacked"),
		func(ctx SpecContext) {
			s := stacked(ctx, "worker of master and a replica frozen for 30 s")
			victim := s.MasterPod()
			thaw := freeze(ctx, victim.Spec.NodeName)
			s.fault()
			since := time.Now()
			entry := s.Promotion(v1alpha1.HistoryFailover, string(failover.DiagnosisMasterDown))
			s.acknowledged(ctx)
			time.Sleep(time.Until(since.Add(30 * time.Second)))
			thaw(ctx)
			env.nodeReady(ctx, victim.Spec.NodeName)
			s.noWriteFor(s.end(ctx, unreplicated), downAfter+slack)
			s.MovedFrom(victim.Name, entry)
		},
	)

	repeated("the replica of a pair hangs, the master goes on", Label("pair"), func(ctx SpecContext) {
		s, replica := pair(ctx, "replica of a pair hangs for 20 s")
		stop, goOn := signalled("STOP")(ctx, replica), signalled("CONT")(ctx, replica)
		s.fault()
		Expect(stop()).To(Succeed())
		time.Sleep(briefly)
		_ = goOn()
		s.noWriteFor(s.end(ctx, 0), slack)
		Expect(s.Before.Status.Failover.Epoch).To(BeEquivalentTo(1), "no replica was promoted")
	})

	repeated("the worker of a pair's replica is frozen, the master goes on", Label("pair"), func(ctx SpecContext) {
		s, replica := pair(ctx, "worker of a pair's replica frozen for 20 s")
		thaw := freeze(ctx, replica.Spec.NodeName)
		s.fault()
		time.Sleep(briefly)
		thaw(ctx)
		env.nodeReady(ctx, replica.Spec.NodeName)
		s.noWriteFor(s.end(ctx, 0), slack)
		Expect(s.Before.Status.Failover.Epoch).To(BeEquivalentTo(1), "no replica was promoted")
	})

	repeated("one master after the other hangs, each is replaced", Label("hangs"), func(ctx SpecContext) {
		s := begin(ctx, "three masters hang, 35 s apart", v1alpha1.RedisHASpec{})
		for range 3 {
			next := time.Now().Add(35 * time.Second)
			s.Signal(s.Master(), syscall.SIGSTOP)
			s.Promotion(v1alpha1.HistoryFailover, string(failover.DiagnosisMasterDown))
			s.Settle()
			time.Sleep(time.Until(next))
		}
		s.noWriteFor(s.end(ctx, 3*unreplicated), downAfter+slack)
	})

	repeated(
		"master and leading operator die at the same instant, the other operator acts at once",
		Label("both"),
		func(ctx SpecContext) {
			s := begin(ctx, "master and leading operator killed together", v1alpha1.RedisHASpec{})
			Expect(s.MasterAndLeaderAreKilled()).To(BeNumerically("<", 2*slack))
			env.operatorReady(ctx)
		},
	)

	repeated(
		"masters are killed ten times in ten minutes, no pod waits in CrashLoopBackOff",
		Label("often"),
		func(ctx SpecContext) {
			s := begin(ctx, "ten masters killed one after the other", v1alpha1.RedisHASpec{})
			waiting := s.watchBackOffs(ctx)
			for range 10 {
				s.Signal(s.Master(), syscall.SIGKILL)
				s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
				s.Settle()
			}
			s.noWriteFor(s.end(ctx, 10*unreplicated), slack)
			Expect(waiting()).To(BeEmpty())
		},
	)
})

// noWriteFor checks that every plain stream had a write acknowledged at least that often since the fault.
func (s *scene) noWriteFor(result chaos.Result, most time.Duration) {
	GinkgoHelper()
	for _, stream := range result.Streams {
		if stream.Wait == 0 {
			Expect(stream.GapSince(s.at)).To(BeNumerically("<", most), "the longest time without a write of %s", stream.Name)
		}
	}
}

// stacked is a RedisHA whose master shares a worker with a replica, without the leading operator, as one worker takes
// no pods.
func stacked(ctx context.Context, title string) *scene {
	GinkgoHelper()
	unused := env.Workers[len(env.Workers)-1]
	env.kubectl(ctx, nil, "cordon", unused)
	DeferCleanup(func(ctx SpecContext) { env.kubectl(ctx, nil, "uncordon", unused) }, NodeTimeout(time.Minute))
	s := create(ctx, title, v1alpha1.RedisHASpec{})
	s.Settle()
	byNode := map[string][]string{}
	for _, pod := range s.Pods() {
		byNode[pod.Spec.NodeName] = append(byNode[pod.Spec.NodeName], pod.Name)
	}
	Expect(byNode).To(HaveLen(2))
	for node, pods := range byNode {
		if len(pods) == 2 {
			if s.MasterPod().Spec.NodeName != node {
				s.switchOver(ctx, pods[0])
				s.Settle()
			}
			leadFromElsewhere(ctx, node)
		}
	}
	s.write(ctx, s.MasterPod(), plainStreams)
	return s
}

// pair is a RedisHA of two, its client on the third worker, and its replica, which has no leading operator beside it.
func pair(ctx context.Context, title string) (*scene, *corev1.Pod) {
	GinkgoHelper()
	s := create(ctx, title, v1alpha1.RedisHASpec{Replicas: ptr.To[int32](2)})
	s.Settle()
	master := s.MasterPod()
	var replica *corev1.Pod
	for _, pod := range s.Pods() {
		if pod.Name != master.Name {
			replica = &pod
		}
	}
	leadFromElsewhere(ctx, replica.Spec.NodeName)
	s.clients = s.writeFrom(ctx, chaosPod, env.otherWorker(ctx, replica.Spec.NodeName), plainStreams)
	time.Sleep(time.Second)
	return s, replica
}

// leadFromElsewhere sees to it that the leading operator is not on that node: that is another scenario.
func leadFromElsewhere(ctx context.Context, node string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		leader, err := env.leader(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		if leader.Spec.NodeName == node {
			g.Expect(env.client.Delete(ctx, leader)).To(Succeed())
		}
		g.Expect(leader.Spec.NodeName).NotTo(Equal(node))
	}).WithContext(ctx).WithPolling(3 * time.Second).Should(Succeed())
	env.operatorReady(ctx)
}

// freeze lets no process on a node run, and returns what ends that. It ends with the scenario at the latest.
func freeze(ctx context.Context, node string) (thaw func(context.Context)) {
	GinkgoHelper()
	DeferCleanup(func(ctx SpecContext) {
		_, _ = docker(ctx, nil, "unpause", node) // it refuses if it is done already
		env.nodeReady(ctx, node)
		env.operatorReady(ctx)
	}, NodeTimeout(5*time.Minute))
	_, err := docker(ctx, nil, "pause", node)
	Expect(err).NotTo(HaveOccurred())
	return func(ctx context.Context) {
		GinkgoHelper()
		_, err := docker(ctx, nil, "unpause", node)
		Expect(err).NotTo(HaveOccurred())
	}
}

// watchBackOffs notes which of the Redis containers ever wait to be started again. It returns what ends that and says
// which.
func (s *scene) watchBackOffs(ctx context.Context) (waited func() []string) {
	GinkgoHelper()
	watching, err := env.client.Watch(
		ctx, &corev1.PodList{}, client.InNamespace(s.key.Namespace),
		client.MatchingLabels(resources.SelectorLabels(s.key.Name)),
	)
	Expect(err).NotTo(HaveOccurred())
	var found []string
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for event := range watching.ResultChan() {
			pod, ok := event.Object.(*corev1.Pod)
			if !ok {
				continue
			}
			for _, c := range pod.Status.ContainerStatuses {
				if c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff" {
					found = append(found, fmt.Sprintf("%s after %d restarts", pod.Name, c.RestartCount))
				}
			}
		}
	}()
	return func() []string {
		watching.Stop()
		<-ended
		return found
	}
}
