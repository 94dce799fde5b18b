// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

// ofMemory is a limit of memory, and a request that is lower.
func ofMemory(limit string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("32Mi")},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)},
	}
}

// What a cluster can is its own: it resizes a pod that runs, or says why not, and the pod is replaced. What comes of it
// is the same.
var _ = Describe("When the memory of the spec is another", Label("chaos", "resize"), func() {
	It(
		"every container and Redis has it, and nothing that was acknowledged is lost",
		SpecTimeout(3*perScenario),
		func(ctx SpecContext) {
			s := begin(ctx, "memory raised and lowered", v1alpha1.RedisHASpec{Resources: ofMemory("128Mi")})
			s.hasMemory(ctx, "128Mi", "100663296")
			s.fault()
			for _, step := range []struct{ limit, maxmemory string }{{"256Mi", "201326592"}, {"128Mi", "100663296"}} {
				former, began := s.podUIDs(ctx), time.Now()
				s.Change(func(rha *v1alpha1.RedisHA) { rha.Spec.Resources = ofMemory(step.limit) })
				s.Settle()
				s.hasMemory(ctx, step.limit, step.maxmemory)
				kept := 0
				for _, uid := range s.podUIDs(ctx) {
					if slices.Contains(former, uid) {
						kept++
					}
				}
				AddReportEntry("resize", fmt.Sprintf("%d of %d pods were given %s while they ran, the others were replaced; %s; %s",
					kept, len(former), step.limit, time.Since(began).Round(time.Second), s.whyReplaced(ctx)))
			}
			s.end(ctx, 0)
		},
	)
})

// hasMemory expects the limit that each container has by its control group, and the maxmemory of each Redis.
func (s *scene) hasMemory(ctx context.Context, limit, maxmemory string) {
	GinkgoHelper()
	const ofGroup = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
	wanted := resource.MustParse(limit)
	pods := &corev1.PodList{}
	Expect(env.client.List(
		ctx, pods, client.InNamespace(s.key.Namespace), client.MatchingLabels(resources.SelectorLabels(s.key.Name)),
	)).To(Succeed())
	Expect(pods.Items).NotTo(BeEmpty())
	for i := range pods.Items {
		pod := &pods.Items[i]
		has, err := env.exec(ctx, pod, []string{"sh", "-c", ofGroup})
		Expect(err).NotTo(HaveOccurred(), pod.Name)
		Expect(strings.TrimSpace(has)).To(Equal(fmt.Sprint(wanted.Value())), "the limit of %s", pod.Name)
		Eventually(func() (string, error) {
			return env.redis(ctx, pod, "info", "memory")
		}).WithContext(ctx).WithTimeout(time.Minute).Should(ContainSubstring("maxmemory:"+maxmemory+"\r"), "%s is told", pod.Name)
	}
}

// whyReplaced are the words of the cluster about pods that it did not resize.
func (s *scene) whyReplaced(ctx context.Context) string {
	GinkgoHelper()
	events := &corev1.EventList{}
	Expect(env.client.List(ctx, events, client.InNamespace(s.key.Namespace))).To(Succeed())
	for i := range events.Items {
		if events.Items[i].Reason == v1alpha1.EventNotResized {
			return events.Items[i].Message
		}
	}
	return "no pod was refused"
}
