// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/failover"
)

// planned is what a deletion of the master's pod is, if it is announced.
var planned = string(failover.DiagnosisMasterTerminating)

var _ = Describe("When the master's pod", Label("core"), func() {
	repeated(
		"is deleted, it switches over first and no acknowledged write is lost",
		Label("delete"),
		func(ctx SpecContext) {
			begin(ctx, deletion.name, v1alpha1.RedisHASpec{}).suffer(ctx, deletion)
		},
	)

	// It begins as a switchover when the operator sees the kubelet's notice before the pod's end, and may even end as one.
	repeated(
		"is deleted by force, a replica takes over and nothing that a replica confirmed is lost",
		Label("force-delete"),
		func(ctx SpecContext) {
			s := begin(ctx, "master's pod deleted by force", v1alpha1.RedisHASpec{})
			victim := s.master(ctx)
			s.fault()
			Expect(env.client.Delete(ctx, victim, client.GracePeriodSeconds(0))).To(Succeed())
			entry, mayLose := s.promoted(ctx), int64(0)
			if entry.Kind == v1alpha1.HistorySwitchover {
				Expect(entry.Cause).To(Equal(planned), entry.Message)
			} else {
				entry, mayLose = s.promotion(
					ctx,
					v1alpha1.HistoryFailover,
					append(deadProcess, string(failover.DiagnosisMasterPodGone))...), unreplicated
			}
			s.end(ctx, mayLose)
			s.movedFrom(victim, entry)
		},
	)
})

var _ = Describe("When the master's node", Label("core"), func() {
	repeated(
		"is drained, the master switches over first and no acknowledged write is lost",
		Label("drain"),
		func(ctx SpecContext) {
			s := begin(ctx, "master's node drained", v1alpha1.RedisHASpec{})
			victim := s.master(ctx)
			node := victim.Spec.NodeName
			DeferCleanup(func(ctx SpecContext) { env.kubectl(ctx, nil, "uncordon", node) }, NodeTimeout(perScenario))
			s.fault()
			env.kubectl(ctx, nil, "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=180s")
			entry := s.promotion(ctx, v1alpha1.HistorySwitchover, planned, string(failover.DiagnosisMasterNodeDraining))
			s.end(ctx, 0)
			s.movedFrom(victim, entry)
			pods := &corev1.PodList{}
			Expect(env.client.List(ctx, pods, client.InNamespace(s.key.Namespace))).To(Succeed())
			for _, pod := range pods.Items {
				Expect(pod.Spec.NodeName).NotTo(Equal(node), fmt.Sprintf("pod %s", pod.Name))
			}
			env.operatorReady(ctx) // it may have been on that node as well
		},
	)
})
