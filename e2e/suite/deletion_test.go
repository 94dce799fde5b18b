// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/redisha/redisha/api/v1alpha1"
)

var _ = Describe("When the master's pod", Label("core"), func() {
	repeated(
		"is deleted, it switches over first and no acknowledged write is lost",
		Label("delete"),
		func(ctx SpecContext) {
			begin(ctx, deletion.name, v1alpha1.RedisHASpec{}).MasterPodIsDeleted()
		},
	)

	repeated(
		"is deleted by force, a replica takes over and nothing that a replica confirmed is lost",
		Label("force-delete"),
		func(ctx SpecContext) {
			begin(ctx, "master's pod deleted by force", v1alpha1.RedisHASpec{}).MasterPodIsDeletedByForce()
		},
	)
})

var _ = Describe("When the master's node", Label("core"), func() {
	repeated(
		"is drained, the master switches over first and no acknowledged write is lost",
		Label("drain"),
		func(ctx SpecContext) {
			s := begin(ctx, "master's node drained", v1alpha1.RedisHASpec{})
			drained := s.MasterPod().Spec.NodeName
			DeferCleanup(func(ctx SpecContext) { env.kubectl(ctx, nil, "uncordon", drained) }, NodeTimeout(perScenario))
			s.MasterNodeIsLeft(func(node string) error {
				env.kubectl(ctx, nil, "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=180s")
				return nil
			})
			for _, pod := range s.Pods() {
				Expect(pod.Spec.NodeName).NotTo(Equal(drained), fmt.Sprintf("pod %s", pod.Name))
			}
			env.operatorReady(ctx) // it may have been on that node as well
		},
	)
})
