// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/failover"
)

// The causes that a master's dead process may have, depending on whose word comes first: its connection's, that of the
// process that took its place, or the kubelet's.
var deadProcess = []string{
	string(
		failover.DiagnosisMasterProcessDead,
	),
	string(failover.DiagnosisMasterRestarted),
	string(failover.DiagnosisMasterExited),
}

// unreplicated bounds what a master that dies takes with it: writes that were acknowledged, and not yet handed to the
// kernel for the replicas. Redis writes both in the same turn of its loop, so it is next to nothing; the four streams
// write 800 a second.
const unreplicated = 100

// promotion waits for a promotion after what was before, and checks what the history says of it.
func (s *scene) promotion(ctx context.Context, kind v1alpha1.HistoryKind, causes ...string) v1alpha1.HistoryEntry {
	GinkgoHelper()
	entry := s.promoted(ctx)
	Expect(entry.Kind).To(Equal(kind), entry.Message)
	Expect(causes).To(ContainElement(entry.Cause), entry.Message)
	return entry
}

// promoted waits until a pod was promoted, for whatever cause.
func (s *scene) promoted(ctx context.Context) v1alpha1.HistoryEntry {
	GinkgoHelper()
	var entry v1alpha1.HistoryEntry
	since := s.before.Status.Failover.Epoch
	Eventually(func() bool {
		for _, h := range s.get(ctx).Status.History {
			if h.Epoch > since && h.Outcome == v1alpha1.OutcomeSucceeded {
				entry = h
				return true
			}
		}
		return false
	}).WithContext(ctx).Should(BeTrue(), func() string {
		return fmt.Sprintf("a promotion after epoch %d; history: %s", since, s.history(ctx))
	})
	s.row.Reason = entry.Cause
	return entry
}

func (s *scene) history(ctx context.Context) string {
	var parts []string
	for _, h := range s.get(ctx).Status.History {
		parts = append(
			parts, fmt.Sprintf("%d %s %s from %s to %s %s (%s)", h.Epoch, h.Kind, h.Cause, h.From, h.To, h.Outcome, h.Message),
		)
	}
	return strings.Join(parts, "; ")
}

// end waits until all is well again and everybody writes, ends the client, and judges what became of its writes: those
// that WAIT had confirmed are all there, and of the plain ones at most so many are lost.
func (s *scene) end(ctx context.Context, mayLose int64) chaos.Result {
	GinkgoHelper()
	rha := s.settle(ctx)
	s.acknowledged(ctx)
	result := s.stop(ctx)
	s.row.fill(result, s.at)
	if s.row.Scenario != "" {
		AddReportEntry("clients", s.row.String())
	}
	for _, stream := range result.Streams {
		Expect(stream.Unverified).To(BeEmpty(), stream.Name)
		Expect(stream.Acked).To(BeNumerically(">", 0), stream.Name)
		bound := mayLose
		if stream.Wait > 0 {
			bound = 0
		}
		Expect(stream.Lost).To(BeNumerically("<=", bound), "lost of %s: %v", stream.Name, stream.Examples)
	}
	s.oneMaster(ctx, rha)
	Expect(s.wrong()).To(BeEmpty())
	return result
}

// oneMaster checks that one pod is published and labelled as master, the one that the status names.
func (s *scene) oneMaster(ctx context.Context, rha *v1alpha1.RedisHA) {
	GinkgoHelper()
	pods := &corev1.PodList{}
	Expect(
		env.client.List(
			ctx, pods, client.InNamespace(s.key.Namespace), client.MatchingLabels{v1alpha1.LabelRole: v1alpha1.RoleMaster},
		),
	).To(Succeed())
	Expect(pods.Items).To(HaveLen(1), "labelled as master")
	Expect(pods.Items[0].Name).To(Equal(rha.Status.Master.Pod))
	slices := &discoveryv1.EndpointSliceList{}
	Expect(env.client.List(ctx, slices, client.InNamespace(s.key.Namespace),
		client.MatchingLabels{discoveryv1.LabelServiceName: resources.MasterServiceName(s.key.Name)})).To(Succeed())
	Expect(slices.Items).To(HaveLen(1))
	Expect(slices.Items[0].Endpoints).To(HaveLen(1))
	Expect(slices.Items[0].Endpoints[0].Addresses).To(ConsistOf(rha.Status.Master.IP))
}

// movedFrom checks that another incarnation is master now, by one promotion.
func (s *scene) movedFrom(was *corev1.Pod, entry v1alpha1.HistoryEntry) {
	GinkgoHelper()
	Expect(entry.From).To(Equal(was.Name))
	Expect(entry.To).NotTo(Equal(was.Name))
	Expect(s.before.Status.Master.Pod).To(Equal(entry.To), "no other was promoted afterwards")
	Expect(s.before.Status.Failover.Epoch).To(Equal(entry.Epoch))
}

// fill takes over what the clients noticed.
func (r *row) fill(result chaos.Result, at time.Time) {
	r.Gaps = map[string]float64{}
	r.Errors = map[string]map[string]int64{}
	for _, stream := range result.Streams {
		r.Gaps[stream.Name] = float64(stream.GapSince(at).Microseconds()) / 1000
		r.Errors[stream.Name] = stream.Errors
		r.Acked += stream.Acked
		if stream.Wait > 0 {
			r.LostWait += stream.Lost
		} else {
			r.LostPlain += stream.Lost
		}
		if r.Availability == 0 || stream.Availability < r.Availability {
			r.Availability = stream.Availability
		}
	}
}
