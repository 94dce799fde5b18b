// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/scenes"
)

var _ = Describe("When the master needs more memory than it may have", Label("chaos", "memory"), func() {
	// What a script holds is its server's alone until it ends: a dataset that is too large would be so on the replicas as
	// well.
	const glutton = `local held = {} for i = 1, 1e8 do held[i] = i end return #held`
	repeated(
		"the kernel kills it, a replica takes over and nothing that a replica confirmed is lost",
		func(ctx SpecContext) {
			s := begin(ctx, "master killed for its memory (OOM)", v1alpha1.RedisHASpec{Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("32Mi")},
				Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("128Mi")},
			}})
			victim := s.MasterPod()
			s.fault()
			answer, err := env.redis(ctx, victim, "eval", glutton, "0")
			Expect(err).To(HaveOccurred(), "there was enough for a hundred million numbers: %s", answer)
			entry := s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
			s.end(ctx, unreplicated)
			s.MovedFrom(victim.Name, entry)
			pods := &corev1.PodList{}
			Expect(
				env.client.List(
					ctx, pods, client.InNamespace(s.key.Namespace), client.MatchingLabels(resources.SelectorLabels(s.key.Name)),
				),
			).To(Succeed())
			for _, pod := range pods.Items {
				status := pod.Status.ContainerStatuses[0]
				if pod.Name != victim.Name {
					Expect(status.RestartCount).To(BeZero(), "%s was not killed", pod.Name)
					continue
				}
				if status.RestartCount == 0 {
					// Control groups of version 1 lose one process, Redis, and what supervises it starts another.
					Eventually(
						func() int32 { return s.restarts(ctx, victim) },
					).WithContext(ctx).
						Should(BeEquivalentTo(1), "it is told in the status")
					continue
				}
				Expect(status.LastTerminationState.Terminated).NotTo(BeNil())
				Expect(status.LastTerminationState.Terminated.Reason).To(Equal("OOMKilled"))
			}
		},
	)
})

// restarts is how often the status says that a Redis process was started anew in the pod.
func (s *scene) restarts(ctx context.Context, pod *corev1.Pod) int32 {
	for _, n := range s.Get().Status.Nodes {
		if n.PodUID == string(pod.UID) {
			return n.ProcessRestarts
		}
	}
	return -1
}

var _ = Describe("When the master's disk is full", Label("chaos", "disk"), func() {
	const watched = 10 * time.Second // more than three times down-after
	repeated(
		"it stays master and takes no writes, a person switches over, and no acknowledged write is lost",
		func(ctx SpecContext) {
			s := create(ctx, "master's disk full, switched over by hand", stored(v1alpha1.RetentionDelete))
			s.Settle()
			former := s.Before.Status.Master.Pod
			full := s.smallDisk(ctx, s.replica(ctx))
			s.switchOver(ctx, full.pod)
			s.Settle()
			s.write(ctx, s.MasterPod())
			epoch := s.Before.Status.Failover.Epoch
			victim := s.MasterPod()
			s.fault()
			full.fill(ctx)
			Eventually(func() (string, error) { return env.redis(ctx, victim, "set", "one", "more") }).WithContext(ctx).
				Should(ContainSubstring("MISCONF"))
			Eventually(func() string {
				return meta.FindStatusCondition(s.Get().Status.Conditions, v1alpha1.ConditionAvailable).Reason
			}).WithContext(ctx).Should(Equal(v1alpha1.ReasonMasterCannotPersist))
			Consistently(func(g Gomega) {
				status := s.Get().Status
				g.Expect(status.Failover.State).To(Equal(v1alpha1.StateStable))
				g.Expect(status.Failover.Epoch).To(Equal(epoch))
			}).WithContext(ctx).WithTimeout(watched).WithPolling(500*time.Millisecond).Should(Succeed(), "a master that answers is not replaced")
			s.switchOver(ctx, former)
			s.acknowledged(ctx)
			full.empty(ctx)
			s.Reason = "none, then Requested"
			result := s.end(ctx, 0)
			for _, stream := range result.Streams {
				Expect(stream.Errors).To(HaveKey("misconf"), stream.Name)
			}
			Expect(s.Before.Status.Master.Pod).To(Equal(former))
			Expect(s.Before.Status.Failover.Epoch).To(Equal(epoch+1), "by one promotion")
		},
	)
})

// replica is one of the pods that are not master.
func (s *scene) replica(ctx context.Context) *corev1.Pod {
	GinkgoHelper()
	pods := &corev1.PodList{}
	Expect(
		env.client.List(
			ctx, pods, client.InNamespace(s.key.Namespace), client.MatchingLabels(resources.SelectorLabels(s.key.Name)),
		),
	).To(Succeed())
	for i := range pods.Items {
		if pods.Items[i].Name != s.Before.Status.Master.Pod {
			return &pods.Items[i]
		}
	}
	Fail("there is no replica")
	return nil
}

// smallDisk is the volume of a pod that a small file system was mounted over, on its node.
type smallDisk struct{ pod, node, path string }

// smallDisk gives the pod a small disk, and returns when it is back on it: a container that runs has its volume
// already. Its volume is a folder on the node.
func (s *scene) smallDisk(ctx context.Context, pod *corev1.Pod) smallDisk {
	GinkgoHelper()
	ordinal, _ := resources.Ordinal(s.key.Name, pod.Name)
	claim := &corev1.PersistentVolumeClaim{}
	Expect(
		env.client.Get(
			ctx, client.ObjectKey{Namespace: pod.Namespace, Name: resources.ClaimName(s.key.Name, ordinal)}, claim,
		),
	).To(Succeed())
	volume := &corev1.PersistentVolume{}
	Expect(env.client.Get(ctx, client.ObjectKey{Name: claim.Spec.VolumeName}, volume)).To(Succeed())
	disk := smallDisk{pod: pod.Name, node: pod.Spec.NodeName}
	switch source := volume.Spec.PersistentVolumeSource; {
	case source.Local != nil:
		disk.path = source.Local.Path
	case source.HostPath != nil:
		disk.path = source.HostPath.Path
	}
	Expect(disk.path).NotTo(BeEmpty(), "the volume is a folder on its node")
	DeferCleanup(func() { disk.run(context.WithoutCancel(ctx), `umount -l "$1"`) })
	disk.run(ctx, `mount -t tmpfs -o size=32m,mode=0777 small "$1"`)
	Expect(env.client.Delete(ctx, pod)).To(Succeed())
	Eventually(func(g Gomega) {
		now := &corev1.Pod{}
		g.Expect(env.client.Get(ctx, client.ObjectKeyFromObject(pod), now)).To(Succeed())
		g.Expect(now.UID).NotTo(Equal(pod.UID))
	}).WithContext(ctx).Should(Succeed())
	s.Settle()
	disk.run(ctx, `test -e "$1/appendonlydir" -o -e "$1/appendonly.aof"`) // it is this one that Redis writes to
	return disk
}

func (d smallDisk) run(ctx context.Context, script string) {
	GinkgoHelper()
	_, err := onNode(ctx, d.node, script, d.path)
	Expect(err).NotTo(HaveOccurred())
}

// fill leaves not a byte; dd fails when it has come so far.
func (d smallDisk) fill(ctx context.Context) {
	GinkgoHelper()
	d.run(ctx, `! dd if=/dev/zero of="$1/filler" bs=4096 2>/dev/null`)
}

func (d smallDisk) empty(ctx context.Context) {
	GinkgoHelper()
	d.run(ctx, `rm "$1/filler"`)
}
