// SPDX-License-Identifier: Apache-2.0

package scenes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
)

// DeadProcess are the causes that a master's dead process may have, depending on whose word comes first: its
// connection's, that of the process that took its place, or the kubelet's.
var DeadProcess = []string{
	string(failover.DiagnosisMasterProcessDead),
	string(failover.DiagnosisMasterRestarted),
	string(failover.DiagnosisMasterExited),
}

// often is how often what is waited for is looked at.
const often = 50 * time.Millisecond

// Eventually waits for the RedisHA to be so, and returns it.
func (s *Scene) Eventually(what string, holds func(*v1alpha1.RedisHA) bool) *v1alpha1.RedisHA {
	s.T.Helper()
	rha := &v1alpha1.RedisHA{}
	s.wait(what, func(ctx context.Context) bool { return s.Client.Get(ctx, s.Key, rha) == nil && holds(rha) })
	return rha
}

func (s *Scene) wait(what string, holds func(context.Context) bool) {
	s.T.Helper()
	if err := wait.PollUntilContextTimeout(
		s.Ctx, often, s.Patience, true, func(ctx context.Context) (bool, error) { return holds(ctx), nil },
	); err != nil {
		s.T.Fatalf("waiting for %s: %v; history: %s", what, err, s.History())
	}
}

// Promoted waits until a pod was promoted since all was well, for whatever cause.
func (s *Scene) Promoted() v1alpha1.HistoryEntry {
	s.T.Helper()
	var entry v1alpha1.HistoryEntry
	since := s.Before.Status.Failover.Epoch
	s.Eventually(fmt.Sprintf("a promotion after epoch %d", since), func(rha *v1alpha1.RedisHA) bool {
		i := slices.IndexFunc(rha.Status.History, func(h v1alpha1.HistoryEntry) bool {
			return h.Epoch > since && h.Outcome == v1alpha1.OutcomeSucceeded
		})
		if i >= 0 {
			entry = rha.Status.History[i]
		}
		return i >= 0
	})
	s.Reason = entry.Cause
	return entry
}

// Promotion waits for a promotion since all was well, and checks what the history says of it. Causes are those that are
// right; which of them it is depends on whose word comes first.
func (s *Scene) Promotion(kind v1alpha1.HistoryKind, causes ...string) v1alpha1.HistoryEntry {
	s.T.Helper()
	entry := s.Promoted()
	if entry.Kind != kind || !slices.Contains(causes, entry.Cause) {
		s.T.Errorf(
			"%s because of %s, want %s because of %s: %s", entry.Kind, entry.Cause, kind, strings.Join(causes, " or "),
			entry.Message,
		)
	}
	return entry
}

// MovedFrom checks that another pod than old is master now, by that promotion, and no other was promoted afterwards.
func (s *Scene) MovedFrom(old string, entry v1alpha1.HistoryEntry) {
	s.T.Helper()
	now := s.Get()
	if entry.From != old || entry.To == old {
		s.T.Errorf("from %s to %s, want away from %s", entry.From, entry.To, old)
	}
	if now.Status.Master.Pod != entry.To || now.Status.Failover.Epoch != entry.Epoch {
		s.T.Errorf(
			"%s is master by epoch %d, want %s by %d; history: %s", now.Status.Master.Pod, now.Status.Failover.Epoch, entry.To,
			entry.Epoch, s.History(),
		)
	}
}

// Unmoved checks that no pod was promoted, nor was to be, since all was well.
func (s *Scene) Unmoved() {
	s.T.Helper()
	s.Epochs(s.Before, 0)
}

// Epochs checks how many promotions were begun since then.
func (s *Scene) Epochs(since *v1alpha1.RedisHA, want int64) {
	s.T.Helper()
	if got := s.Get().Status.Failover.Epoch - since.Status.Failover.Epoch; got != want {
		s.T.Errorf("%d promotions were begun, want %d; history: %s", got, want, s.History())
	}
}

// History tells all that the status has of promotions.
func (s *Scene) History() string {
	rha := &v1alpha1.RedisHA{}
	if err := s.Client.Get(s.Ctx, s.Key, rha); err != nil {
		return err.Error()
	}
	var parts []string
	for _, h := range rha.Status.History {
		parts = append(
			parts, fmt.Sprintf("%d %s %s from %s to %s %s (%s)", h.Epoch, h.Kind, h.Cause, h.From, h.To, h.Outcome, h.Message),
		)
	}
	return strings.Join(parts, "; ")
}

// Refusal waits until the condition Blocked says so for the reason, and returns its message.
func (s *Scene) Refusal(reason string) string {
	s.T.Helper()
	message := s.Condition(v1alpha1.ConditionBlocked, metav1.ConditionTrue, reason)
	s.Reason = reason
	return message
}

// Condition waits until a condition is so, for that reason, and returns its message.
func (s *Scene) Condition(kind string, status metav1.ConditionStatus, reason string) string {
	s.T.Helper()
	rha := s.Eventually(
		fmt.Sprintf("the condition %s to be %s (%s)", kind, status, reason),
		func(rha *v1alpha1.RedisHA) bool {
			c := meta.FindStatusCondition(rha.Status.Conditions, kind)
			return c != nil && c.Status == status && c.Reason == reason
		},
	)
	return meta.FindStatusCondition(rha.Status.Conditions, kind).Message
}

// Announced waits for an Event of the reason.
func (s *Scene) Announced(reason string) {
	s.T.Helper()
	s.wait("an Event "+reason, func(ctx context.Context) bool {
		events := &corev1.EventList{}
		err := s.Client.List(ctx, events, client.InNamespace(s.Key.Namespace))
		return err == nil && slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
			return e.InvolvedObject.Name == s.Key.Name && e.Reason == reason
		})
	})
}

// OneMaster checks that one pod is published and labelled as master, the one that the status names, and that no other
// was at any instant.
func (s *Scene) OneMaster() {
	s.T.Helper()
	master := s.Get().Status.Master
	pods := &corev1.PodList{}
	s.must(s.Client.List(
		s.Ctx, pods, client.InNamespace(s.Key.Namespace), client.MatchingLabels{v1alpha1.LabelRole: v1alpha1.RoleMaster},
	))
	if len(pods.Items) != 1 || pods.Items[0].Name != master.Pod {
		s.T.Errorf("%d pods are labelled as master, want %s alone", len(pods.Items), master.Pod)
	}
	slice := &discoveryv1.EndpointSlice{}
	s.must(s.Client.Get(
		s.Ctx, client.ObjectKey{Namespace: s.Key.Namespace, Name: resources.MasterServiceName(s.Key.Name)}, slice,
	))
	if len(slice.Endpoints) != 1 || !slices.Equal(slice.Endpoints[0].Addresses, []string{master.IP}) {
		s.T.Errorf("the master's Service leads to %v, want %s alone", slice.Endpoints, master.IP)
	}
	for _, wrong := range s.wrong() {
		s.T.Errorf("%s", wrong)
	}
}
