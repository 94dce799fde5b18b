// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/redisha/redisha/api/v1alpha1"
)

var _ = Describe("When what pods are made from changes", Label("chaos", "rollout"), func() {
	It(
		"each is replaced, the master after a switchover, and nothing that was acknowledged is lost",
		SpecTimeout(2*perScenario),
		func(ctx SpecContext) {
			s := begin(ctx, "every pod replaced", v1alpha1.RedisHASpec{})
			before, pods := s.Before.Status.Failover.Epoch, s.podUIDs(ctx)
			s.fault()
			s.Change(func(rha *v1alpha1.RedisHA) {
				rha.Spec.PodTemplate = &v1alpha1.PodTemplateSpec{Env: []corev1.EnvVar{{Name: "CHANGED", Value: "yes"}}}
			})
			Eventually(func() bool {
				return !slices.ContainsFunc(s.podUIDs(ctx), func(uid types.UID) bool { return slices.Contains(pods, uid) })
			}).WithContext(ctx).WithTimeout(perScenario).Should(BeTrue(), "every pod is another one")
			s.Settle()
			Expect(s.Before.Status.Failover.Epoch).To(Equal(before+1), "one switchover")
			s.end(ctx, 0)
		},
	)
})
