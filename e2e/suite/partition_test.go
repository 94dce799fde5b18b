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
	// The master stops by itself when it has heard of no replica for min-replicas-max-lag, 3 s and the second that it takes to
	// notice, so what its client can lose is bounded; what it had a replica confirm it cannot lose at all.
	const cutFor = 20 * time.Second
	const mayLose = 8 * 2 * 100 // what two writers with a write every 10 ms each have acknowledged in 8 s
	repeated("a replica takes over for all others, and the master stops by itself", func(ctx SpecContext) {
		s := begin(ctx, "master and a client partitioned away for 20 s", v1alpha1.RedisHASpec{})
		s.moveMaster(ctx, false)
		victim := s.master(ctx)
		inside := s.writeFrom(ctx, "inside", victim.Spec.NodeName, "--streams=pods/plain,pods/wait")
		heal := partition(ctx, victim.Spec.NodeName)
		s.fault()
		since := time.Now()
		entry := s.promotion(ctx, v1alpha1.HistoryFailover, string(failover.DiagnosisDown))
		s.acknowledged(ctx)
		time.Sleep(time.Until(since.Add(cutFor)))
		heal()
		s.end(ctx, unreplicated)
		s.movedFrom(victim, entry)
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

// partition parts the pods of a node from everybody who is not on it, but for the node itself, and returns what heals it.
func partition(ctx context.Context, name string) (heal func()) {
	GinkgoHelper()
	node := &corev1.Node{}
	Expect(play.client.Get(ctx, client.ObjectKey{Name: name}, node)).To(Succeed())
	Expect(node.Spec.PodCIDR).NotTo(BeEmpty())
	const script = `iptables "$1" FORWARD -s "$2" ! -d "$2" -j DROP && iptables "$1" FORWARD ! -s "$2" -d "$2" -j DROP`
	healed := false
	heal = func() {
		if healed {
			return
		}
		_, err := onNode(context.WithoutCancel(ctx), name, script, "-D", node.Spec.PodCIDR)
		Expect(err).NotTo(HaveOccurred())
		healed = true
	}
	DeferCleanup(func() { heal() })
	_, err := onNode(ctx, name, script, "-I", node.Spec.PodCIDR)
	Expect(err).NotTo(HaveOccurred())
	return heal
}
