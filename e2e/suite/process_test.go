package suite

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/failover"
)

var _ = Describe("When the master's process", Label("core"), func() {
	killed := func(ctx context.Context, title string, spec v1alpha1.RedisHASpec) {
		GinkgoHelper()
		s := begin(ctx, title, spec)
		victim := s.master(ctx)
		s.fault()
		signal(ctx, victim, redisProcess, "KILL")
		entry := s.promotion(ctx, v1alpha1.HistoryFailover, deadProcess...)
		s.end(ctx, unreplicated)
		s.movedFrom(victim, entry)
	}

	repeated("is killed, a replica takes over and nothing that a replica confirmed is lost", Label("kill"), func(ctx SpecContext) {
		killed(ctx, "master killed (kill -9)", v1alpha1.RedisHASpec{})
	})

	repeated("hangs for longer than down-after, a replica takes over and the hung pod is replaced", Label("stop"), func(ctx SpecContext) {
		s := begin(ctx, "master hangs (SIGSTOP)", v1alpha1.RedisHASpec{})
		victim := s.master(ctx)
		s.fault()
		signal(ctx, victim, redisProcess, "STOP")
		entry := s.promotion(ctx, v1alpha1.HistoryFailover, string(failover.DiagnosisDown))
		Eventually(func(g Gomega) types.UID {
			pod := &corev1.Pod{}
			g.Expect(play.client.Get(ctx, client.ObjectKeyFromObject(victim), pod)).To(Succeed())
			return pod.UID
		}).WithContext(ctx).ShouldNot(Equal(victim.UID), "the hung pod is replaced")
		s.end(ctx, unreplicated)
		s.movedFrom(victim, entry)
	})

	Context("of another Redis", Label("images"), func() {
		for _, other := range play.others() {
			It("is killed, a replica takes over and nothing that a replica confirmed is lost: "+other.Name, SpecTimeout(perScenario), func(ctx SpecContext) {
				killed(ctx, "master killed, "+other.Name, v1alpha1.RedisHASpec{Image: other.Image})
			})
		}
	})
})
