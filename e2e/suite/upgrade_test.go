// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"bytes"
	"context"
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/testbed"
)

// nextVersion is an operator that is the same but for its name, and nextImage its image.
const (
	nextVersion = "e2e-next"
	nextImage   = "localhost/redisha/operator:" + nextVersion
)

var _ = Describe("When the operator", Label("chaos", "upgrade"), func() {
	repeated(
		"is upgraded under load, and back, no replica is promoted and no acknowledged write is lost",
		func(ctx SpecContext) {
			Expect(env.LoadBinary(ctx, GinkgoWriter, nextImage, "./cmd/manager", "main.version="+nextVersion)).To(Succeed())
			installer, err := os.ReadFile(fromRoot(envInstaller, "dist/e2e-install.yaml"))
			Expect(err).NotTo(HaveOccurred())
			next := bytes.ReplaceAll(installer, []byte(env.Images.Operator), []byte(nextImage))
			Expect(next).NotTo(Equal(installer))
			s := begin(ctx, "operator upgraded, and back", v1alpha1.RedisHASpec{})
			was, pods := *s.Before.Status.Master, s.podUIDs(ctx)
			DeferCleanup(func(ctx SpecContext) { env.apply(ctx, installer) }, NodeTimeout(perScenario))
			s.fault()
			env.apply(ctx, next)
			env.operatorReady(ctx)
			leader, err := env.leader(ctx)
			Expect(err).NotTo(HaveOccurred())
			log, err := env.kube.CoreV1().Pods(testbed.Namespace).GetLogs(leader.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(string(log)).To(ContainSubstring(nextVersion), "what the leader calls itself")
			env.apply(ctx, installer)
			env.operatorReady(ctx)
			back, err := env.leader(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(back.Spec.Containers[0].Image).To(Equal(env.Images.Operator))
			s.Reason = "none"
			s.end(ctx, 0)
			Expect(s.Before.Status.Master.NodeRef).To(Equal(was.NodeRef))
			Expect(s.Before.Status.Failover.Epoch).To(Equal(was.Epoch))
			Expect(s.podUIDs(ctx)).To(ConsistOf(pods), "no Redis pod is replaced by an upgrade")
		},
	)
})

func (s *scene) podUIDs(ctx context.Context) []types.UID {
	GinkgoHelper()
	pods := &corev1.PodList{}
	Expect(
		env.client.List(
			ctx, pods, client.InNamespace(s.key.Namespace), client.MatchingLabels(resources.SelectorLabels(s.key.Name)),
		),
	).To(Succeed())
	var uids []types.UID
	for _, pod := range pods.Items {
		uids = append(uids, pod.UID)
	}
	return uids
}
