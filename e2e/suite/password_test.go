// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/scenes"
)

var _ = Describe("When the password", Label("chaos", "password"), func() {
	It(
		"is changed and the master killed, clients with the former one go on, and nothing that a replica confirmed is lost",
		SpecTimeout(perScenario),
		func(ctx SpecContext) {
			s := begin(ctx, "password changed, master killed", v1alpha1.RedisHASpec{})
			pods := s.podUIDs(ctx)
			Expect(env.client.Create(ctx, &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: s.key.Namespace, Name: "mine"},
				StringData: map[string]string{v1alpha1.DefaultAuthKey: "another password"},
			})).To(Succeed())
			s.Change(func(rha *v1alpha1.RedisHA) {
				rha.Spec.Auth = &v1alpha1.AuthSpec{PasswordSecretRef: v1alpha1.SecretKeyReference{Name: "mine"}}
			})
			Eventually(func() string {
				secret := &corev1.Secret{}
				name := client.ObjectKey{Namespace: s.key.Namespace, Name: resources.MountSecretName(s.key.Name)}
				Expect(env.client.Get(ctx, name, secret)).To(Succeed())
				return string(secret.Data[resources.PasswordKey])
			}).WithContext(ctx).WithTimeout(2 * time.Minute).Should(Equal("another password"))
			s.Signal(s.Master(), syscall.SIGKILL)
			s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
			s.end(ctx, unreplicated)
			Expect(s.podUIDs(ctx)).To(ConsistOf(pods), "no pod is replaced for a password")
		},
	)
})
