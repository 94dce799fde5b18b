// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
)

var _ = Describe("When the master's process", Label("core"), func() {
	killed := func(ctx context.Context, title string, spec v1alpha1.RedisHASpec) {
		GinkgoHelper()
		begin(ctx, title, spec).suffer(ctx, kill)
	}

	repeated(
		"is killed, a replica takes over and nothing that a replica confirmed is lost",
		Label("kill"),
		func(ctx SpecContext) {
			killed(ctx, kill.name, v1alpha1.RedisHASpec{})
		},
	)

	repeated(
		"hangs for longer than down-after, a replica takes over and the hung pod is replaced",
		Label("stop"),
		func(ctx SpecContext) {
			victim := begin(ctx, hang.name, v1alpha1.RedisHASpec{}).suffer(ctx, hang)
			pod := &corev1.Pod{}
			Expect(env.client.Get(ctx, client.ObjectKeyFromObject(victim), pod)).To(Succeed())
			Expect(pod.UID).NotTo(Equal(victim.UID), "the hung pod is replaced")
		},
	)

	Context("of another Redis", Label("images"), func() {
		for _, other := range env.others() {
			It(
				"is killed, a replica takes over and nothing that a replica confirmed is lost: "+other.Name,
				SpecTimeout(perScenario),
				func(ctx SpecContext) {
					killed(ctx, "master killed, "+other.Name, v1alpha1.RedisHASpec{Image: other.Image})
				},
			)
		}
	})
})
