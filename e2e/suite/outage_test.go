// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/cluster"
)

var _ = Describe("When all Redis pods", Label("chaos", "outage"), func() {
	repeated("with disks are deleted at once, everything that was acknowledged is there again", func(ctx SpecContext) {
		s := begin(
			ctx, "all pods deleted at once, disks",
			v1alpha1.RedisHASpec{Storage: &v1alpha1.StorageSpec{Size: resource.MustParse("64Mi")}},
		)
		s.deleteAll(ctx)
		s.end(ctx, 0)
	})

	// What is in memory only goes with the last process that holds it. A new pod may be there to take it over before the
	// master's patience ends, or not: then all is lost that was acknowledged before, and an empty master serves.
	repeated("without disks are deleted at once, one of them serves again", func(ctx SpecContext) {
		s := begin(ctx, "all pods deleted at once, no disks", v1alpha1.RedisHASpec{})
		s.deleteAll(ctx)
		s.Settle()
		s.acknowledged(ctx)
		result := s.stop(ctx)
		s.row.fill(result, s.at)
		s.OneMaster()
		for _, stream := range result.Streams {
			Expect(stream.Unverified).To(BeEmpty(), stream.Name)
			Expect(stream.Lost).To(BeNumerically("<", stream.Acked), "of %s", stream.Name)
		}
	})
})

// deleteAll is kubectl delete pods --all, of the RedisHA's. It returns when none of them is left.
func (s *scene) deleteAll(ctx context.Context) {
	GinkgoHelper()
	ours := client.MatchingLabels(resources.SelectorLabels(s.key.Name))
	former := &corev1.PodList{}
	Expect(env.client.List(ctx, former, client.InNamespace(s.key.Namespace), ours)).To(Succeed())
	s.fault()
	Expect(env.client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(s.key.Namespace), ours)).To(Succeed())
	for _, pod := range former.Items {
		Eventually(func(g Gomega) {
			got := &corev1.Pod{}
			err := env.client.Get(ctx, client.ObjectKeyFromObject(&pod), got)
			g.Expect(client.IgnoreNotFound(err)).To(Succeed())
			g.Expect(got.UID).NotTo(Equal(pod.UID))
		}).WithContext(ctx).Should(Succeed())
	}
}

var _ = Describe("When the API server", Label("chaos", "apiserver"), func() {
	repeated(
		"hangs for 25 s while the master dies, no replica is promoted before it is back, and then a replica is",
		func(ctx SpecContext) {
			s := begin(ctx, "API server hangs for 25 s, master killed meanwhile", v1alpha1.RedisHASpec{})
			resume := func() {
				_, err := onNode(context.WithoutCancel(ctx), cluster.ControlPlane, "pkill -CONT -x kube-apiserver")
				Expect(err).NotTo(HaveOccurred())
			}
			DeferCleanup(resume)
			s.APIServerIsAway(func() (back func()) {
				_, err := onNode(ctx, cluster.ControlPlane, "pkill -STOP -x kube-apiserver")
				Expect(err).NotTo(HaveOccurred())
				return resume
			}, func() {})
			env.operatorReady(ctx)
		},
	)
})
