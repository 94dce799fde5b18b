// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
)

var _ = Describe("Users", Label("chaos", "users", "images"), func() {
	for _, server := range env.Images.Servers {
		It(
			"are declared and restricted, and a rule that the server does not know is told in its words: "+server.Name,
			SpecTimeout(perScenario),
			func(ctx SpecContext) { usersOf(ctx, server.Name, server.Image) },
		)
	}
})

func usersOf(ctx SpecContext, name, image string) {
	s := begin(ctx, "users declared, "+name, v1alpha1.RedisHASpec{Image: image})
	Expect(env.client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.key.Namespace, Name: "reports"},
		StringData: map[string]string{v1alpha1.DefaultAuthKey: "of-reports"},
	})).To(Succeed())
	for _, command := range [][]string{
		{"config", "get", "masterauth"}, {"replicaof", "no", "one"}, {"acl", "list"}, {"shutdown", "nosave"},
		{"client", "pause", "100000"}, {"debug", "sleep", "1"},
	} {
		said, _ := env.redis(ctx, s.MasterPod(), command...)
		Expect(said).To(Or(ContainSubstring("NOPERM"), ContainSubstring("not allowed")), "%v", command)
	}
	rules := func(of ...v1alpha1.ACLRule) {
		s.Change(func(rha *v1alpha1.RedisHA) {
			rha.Spec.Auth = &v1alpha1.AuthSpec{Users: []v1alpha1.UserSpec{{
				Name: "reports", PasswordSecretRef: v1alpha1.SecretKeyReference{Name: "reports"}, Rules: of,
			}}}
		})
	}
	asReports := func(command ...string) func() string {
		return func() string {
			words := append([]string{"--user", "reports", "--pass", "of-reports", "--no-auth-warning"}, command...)
			said, _ := env.redis(ctx, s.MasterPod(), words...)
			return said
		}
	}
	rules("~report:*", "+@read", "+ping")
	Eventually(asReports("ping")).WithContext(ctx).WithTimeout(time.Minute).Should(ContainSubstring("PONG"))
	Expect(asReports("get", "other")()).To(ContainSubstring("NOPERM"))
	rules("+nosuchcommand")
	reconciled := func() string {
		c := meta.FindStatusCondition(s.Get().Status.Conditions, v1alpha1.ConditionReconciled)
		return c.Reason + ": " + c.Message
	}
	Eventually(reconciled).WithContext(ctx).WithTimeout(time.Minute).
		Should(And(HavePrefix(v1alpha1.ReasonACLRefused), ContainSubstring("nosuchcommand")))
	Expect(asReports("ping")()).To(ContainSubstring("PONG"), "the last good rules stay")
	rules("~report:*", "+@read", "+ping")
	s.Settle()
	s.MasterPodIsDeleted()
	s.Settle()
	Expect(asReports("ping")()).To(ContainSubstring("PONG"), "the successor knows the user")
}
