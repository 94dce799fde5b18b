// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"

	. "github.com/onsi/ginkgo/v2"

	"github.com/redisha/redisha/api/v1alpha1"
)

var _ = Describe("When the master's process", Label("core"), func() {
	killed := func(ctx context.Context, title string, spec v1alpha1.RedisHASpec) {
		GinkgoHelper()
		begin(ctx, title, spec).MasterIsKilled()
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
			begin(ctx, hang.name, v1alpha1.RedisHASpec{}).MasterHangs()
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
