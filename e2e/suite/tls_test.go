// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"fmt"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/scenes"
)

// Turning TLS on takes three updates of a mounted Secret, for which a kubelet that is not woken needs a minute each.
const perStage = 4 * time.Minute

var _ = Describe("When TLS", Label("chaos", "tls"), func() {
	It(
		"is turned on, the master killed, and TLS turned off, no pod is replaced and nothing that a replica confirmed is lost",
		SpecTimeout(2*perScenario),
		func(ctx SpecContext) {
			s := begin(ctx, "TLS on, master killed, TLS off", v1alpha1.RedisHASpec{})
			pods, began := s.podUIDs(ctx), time.Now()
			s.Change(func(rha *v1alpha1.RedisHA) { rha.Spec.TLS = &v1alpha1.TLSSpec{Plaintext: v1alpha1.PlaintextAllowed} })
			s.atTLS(v1alpha1.TLSStageUsed)
			on := time.Since(began)
			for _, name := range s.Replicas() {
				info, err := env.info(ctx, s.Pod(name))
				Expect(err).NotTo(HaveOccurred())
				Expect(info.MasterPort).To(BeEquivalentTo(resources.RedisTLSPort), "replication of "+name)
			}
			Expect(s.Before.Status.Failover.Epoch).To(BeEquivalentTo(1), "TLS is turned on without a failover")

			s.Signal(s.Master(), syscall.SIGKILL)
			s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
			s.Settle()
			began = time.Now()
			s.Change(func(rha *v1alpha1.RedisHA) { rha.Spec.TLS = nil })
			s.atTLS("")
			AddReportEntry("TLS", fmt.Sprintf("turned on in %s, off in %s",
				on.Round(time.Second), time.Since(began).Round(time.Second)))
			s.end(ctx, unreplicated)
			Expect(s.podUIDs(ctx)).To(ConsistOf(pods), "no pod is replaced for TLS")
		},
	)

	It(
		"has its certificate renewed, no pod is replaced and nothing that was acknowledged is lost",
		SpecTimeout(2*perScenario),
		func(ctx SpecContext) {
			s := begin(ctx, "certificate renewed", v1alpha1.RedisHASpec{})
			pods, names := s.podUIDs(ctx), resources.NeededNames(s.Get())
			data, err := encryption.Renewed(nil, names, names, time.Now())
			Expect(err).NotTo(HaveOccurred())
			secret := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: s.key.Namespace, Name: "certificate"},
				Type:       corev1.SecretTypeTLS, Data: data,
			}
			Expect(env.client.Create(ctx, secret)).To(Succeed())
			s.Change(func(rha *v1alpha1.RedisHA) {
				rha.Spec.TLS = &v1alpha1.TLSSpec{
					SecretRef: &v1alpha1.TLSSecretReference{Name: secret.Name}, Plaintext: v1alpha1.PlaintextAllowed,
				}
			})
			s.atTLS(v1alpha1.TLSStageUsed)
			s.fault()
			began, former := time.Now(), s.Get().Status.TLS.NotAfter.Time
			before := secret.DeepCopy()
			secret.Data, err = encryption.Renewed(data, []string{"another.name"}, names, time.Now().Add(time.Hour))
			Expect(err).NotTo(HaveOccurred())
			Expect(env.client.Patch(ctx, secret, client.MergeFrom(before))).To(Succeed())
			Eventually(func() time.Time { return s.Get().Status.TLS.NotAfter.Time }).WithContext(ctx).WithTimeout(perStage).
				Should(BeTemporally(">", former))
			s.atTLS(v1alpha1.TLSStageUsed)
			AddReportEntry("TLS", fmt.Sprintf("renewed in %s", time.Since(began).Round(time.Second)))
			s.end(ctx, 0)
			Expect(s.podUIDs(ctx)).To(ConsistOf(pods), "no pod is replaced for a certificate")
		},
	)
})

// atTLS waits until a set is at a stage, and all is well with it.
func (s *scene) atTLS(stage v1alpha1.TLSStage) {
	GinkgoHelper()
	Eventually(func() v1alpha1.TLSStage {
		if tls := s.Get().Status.TLS; tls != nil {
			return tls.Stage
		}
		return ""
	}).WithContext(s.Ctx).WithTimeout(perStage).WithPolling(time.Second).Should(Equal(stage))
	s.Settle()
}
