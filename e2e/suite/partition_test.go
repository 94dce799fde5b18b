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
	"github.com/redisha/redisha/failover"
)

var _ = Describe("When the master is partitioned away together with a client", Label("chaos", "partition"), func() {
	// The master stops by itself when it has heard of no replica for min-replicas-max-lag, 3 s and the second that it
	// takes to notice, so what its client can lose is bounded; what it had a replica confirm it cannot lose at all.
	const cutFor = 20 * time.Second
	const mayLose = 8 * 2 * 100 // what two writers with a write every 10 ms each have acknowledged in 8 s
	repeated("a replica takes over for all others, and the master stops by itself", func(ctx SpecContext) {
		s := beginWith(ctx, "master and a client partitioned away for 20 s", false)
		victim := s.MasterPod()
		inside := s.writeFrom(ctx, "inside", victim.Spec.NodeName, "--streams=pods/plain,pods/wait")
		heal := partition(ctx, victim.Spec.NodeName)
		s.fault()
		since := time.Now()
		entry := s.Promotion(v1alpha1.HistoryFailover, string(failover.DiagnosisMasterDown))
		s.acknowledged(ctx)
		time.Sleep(time.Until(since.Add(cutFor)))
		heal()
		s.end(ctx, unreplicated)
		s.MovedFrom(victim.Name, entry)
		for _, stream := range inside.stop(ctx).Streams {
			AddReportEntry("the client inside", fmt.Sprintf("%s: %d acknowledged, %d lost, no write for %s, errors %v",
				stream.Name, stream.Acked, stream.Lost, stream.GapSince(s.at).Round(time.Millisecond), stream.Errors))
			Expect(stream.Unverified).To(BeEmpty(), stream.Name)
			bound := int64(mayLose)
			if stream.Wait > 0 {
				bound = 0
			}
			Expect(stream.Lost).To(BeNumerically("<=", bound), stream.Name)
		}
	})
})

// partition parts the pods of a node from everybody who is not on it, but for the node itself, and returns what heals
// it.
func partition(ctx context.Context, name string) (heal func()) {
	GinkgoHelper()
	node := &corev1.Node{}
	Expect(env.client.Get(ctx, client.ObjectKey{Name: name}, node)).To(Succeed())
	pods := node.Spec.PodCIDR
	Expect(pods).NotTo(BeEmpty())
	return drop(ctx, name, "-s "+pods+" ! -d "+pods, "! -s "+pods+" -d "+pods)
}

var _ = Describe("When the operator alone does not reach the master", Label("chaos", "veto"), func() {
	repeated("it does nothing, and says why", func(ctx SpecContext) {
		begin(ctx, "operator cut off from the master only", v1alpha1.RedisHASpec{}).OperatorsAreParted()
	})
})
