package suite

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/redisha/redisha/api/v1alpha1"
)

var _ = Describe("When the operator", Label("chaos", "upgrade"), func() {
	repeated("is rolled out anew under load, nobody is promoted and no acknowledged write is lost", func(ctx SpecContext) {
		s := begin(ctx, "operator rolled out anew", v1alpha1.RedisHASpec{})
		was := *s.before.Status.Master
		former, err := play.leader(ctx)
		Expect(err).NotTo(HaveOccurred())
		s.fault()
		play.restartOperator(ctx)
		play.operatorReady(ctx)
		leader, err := play.leader(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(leader.UID).NotTo(Equal(former.UID))
		s.row.Reason = "none"
		s.end(ctx, 0)
		Expect(s.before.Status.Master.NodeRef).To(Equal(was.NodeRef))
		Expect(s.before.Status.Failover.Epoch).To(Equal(was.Epoch))
	})
})
