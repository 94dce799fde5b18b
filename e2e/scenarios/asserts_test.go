// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/sandbox"
)

// promotion waits for a promotion after what was before, and checks what the history says of it. Causes are those that
// are right; which of them it is depends on whose word comes first.
func (s *scene) promotion(kind v1alpha1.HistoryKind, causes ...string) v1alpha1.HistoryEntry {
	s.t.Helper()
	entry := s.promoted()
	if entry.Kind != kind || !slices.Contains(causes, entry.Cause) {
		s.t.Errorf(
			"%s because of %s, want %s because of %s: %s", entry.Kind, entry.Cause, kind, strings.Join(causes, " or "),
			entry.Message,
		)
	}
	return entry
}

// promoted waits until a pod was promoted, for whatever cause.
func (s *scene) promoted() v1alpha1.HistoryEntry {
	s.t.Helper()
	var entry *v1alpha1.HistoryEntry
	since := s.before.Status.Failover.Epoch
	s.eventually(fmt.Sprintf("a promotion after epoch %d", since), func(rha *v1alpha1.RedisHA) bool {
		for i := range rha.Status.History {
			if h := &rha.Status.History[i]; h.Epoch > since && h.Outcome == v1alpha1.OutcomeSucceeded {
				entry = h
				return true
			}
		}
		return false
	})
	s.row.reason = entry.Cause
	return *entry
}

// unmoved checks that no pod was promoted, nor was to be, since all was well.
func (s *scene) unmoved() {
	s.t.Helper()
	was, is := s.before.Status.Failover, s.get().Status.Failover
	if is.Epoch != was.Epoch {
		s.t.Errorf("epoch %d became %d (%s: %s), want no promotion", was.Epoch, is.Epoch, is.Cause, is.Message)
	}
}

// epochs checks how many promotions were begun since all was well.
func (s *scene) epochs(want int64) {
	s.t.Helper()
	was, is := s.before.Status.Failover.Epoch, s.get().Status.Failover.Epoch
	if is-was != want {
		s.t.Errorf("%d promotions were begun, want %d; history: %s", is-was, want, s.history())
	}
}

func (s *scene) history() string {
	var parts []string
	for _, h := range s.get().Status.History {
		parts = append(
			parts, fmt.Sprintf("%d %s %s from %s to %s %s (%s)", h.Epoch, h.Kind, h.Cause, h.From, h.To, h.Outcome, h.Message),
		)
	}
	return strings.Join(parts, "; ")
}

// eventually waits for the object to be so.
func (s *scene) eventually(what string, holds func(*v1alpha1.RedisHA) bool) *v1alpha1.RedisHA {
	s.t.Helper()
	var rha *v1alpha1.RedisHA
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	err := sandbox.WaitFor(ctx, what, func(ctx context.Context) (bool, error) {
		var err error
		rha, err = bed.Get(ctx, s.key)
		return err == nil && holds(rha), nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return rha
}

// refusal waits until the condition Blocked says so for the reason, and returns its message.
func (s *scene) refusal(reason string) string {
	s.t.Helper()
	message := ""
	s.eventually("the condition Blocked to say "+reason, func(rha *v1alpha1.RedisHA) bool {
		c := meta.FindStatusCondition(rha.Status.Conditions, v1alpha1.ConditionBlocked)
		if c == nil || c.Status != metav1.ConditionTrue || c.Reason != reason {
			return false
		}
		message = c.Message
		return true
	})
	s.row.reason = reason
	return message
}

// condition waits until a condition is so, for that reason.
func (s *scene) condition(kind string, status metav1.ConditionStatus, reason string) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("the condition %s to be %s (%s)", kind, status, reason), func(rha *v1alpha1.RedisHA) bool {
		c := meta.FindStatusCondition(rha.Status.Conditions, kind)
		return c != nil && c.Status == status && c.Reason == reason
	})
}

// request makes a person's request, and waits until it was taken up.
func (s *scene) request(value string) {
	s.t.Helper()
	value = fmt.Sprintf("%s#%d", value, time.Now().UnixNano()) // the same one does not run again
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationRequest, value)
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: s.key.Namespace, Name: s.key.Name}}
	if err := bed.Client.Patch(s.ctx, rha, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		s.t.Fatal(err)
	}
	s.eventually("the request "+value+" to be taken up", func(rha *v1alpha1.RedisHA) bool {
		return rha.Annotations[v1alpha1.AnnotationRequest] == ""
	})
}

// ask makes a RedisHARequest, and waits until it tells that it ended so.
func (s *scene) ask(spec v1alpha1.RedisHARequestSpec, want v1alpha1.RequestState) {
	s.t.Helper()
	spec.RedisHA = s.key.Name
	request := &v1alpha1.RedisHARequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.key.Namespace, GenerateName: "asked-"},
		Spec:       spec,
	}
	if err := bed.Client.Create(s.ctx, request); err != nil {
		s.t.Fatal(err)
	}
	err := sandbox.WaitFor(s.ctx, "the request to be over", func(ctx context.Context) (bool, error) {
		err := bed.Client.Get(ctx, client.ObjectKeyFromObject(request), request)
		return err == nil && request.Status.State.IsOver(), nil
	})
	if err != nil || request.Status.State != want {
		s.t.Errorf(
			"the request is %s (%s: %s), want %s: %v", request.Status.State, request.Status.Reason, request.Status.Message,
			want, err,
		)
	}
}

// announced checks that an Event of the reason was recorded.
func (s *scene) announced(reason string) {
	s.t.Helper()
	err := sandbox.WaitFor(s.ctx, "an Event "+reason, func(ctx context.Context) (bool, error) {
		events := &corev1.EventList{}
		err := bed.Client.List(ctx, events, client.InNamespace(s.key.Namespace))
		return err == nil && slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
			return e.InvolvedObject.Name == s.key.Name && e.Reason == reason
		}), nil
	})
	if err != nil {
		s.t.Error(err)
	}
}

// end waits until all is well again, then looks up every acknowledged write. At most so many may be lost.
func (s *scene) end(mayLose int64) {
	s.t.Helper()
	rha, err := bed.WaitSettled(s.ctx, s.key, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	now := time.Now()
	s.acknowledged(now)
	s.row.gap = s.writers.Gap(s.at, now).Length()
	s.writers.Stop()
	loss, err := s.writers.Verify(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	s.row.acked, s.row.lost = loss.Acked, loss.Lost
	if loss.Lost > mayLose {
		s.t.Errorf(
			"%d of %d acknowledged writes are lost, at most %d may be: %v", loss.Lost, loss.Acked, mayLose, loss.Examples,
		)
	}
	s.oneMaster(rha)
	for _, wrong := range s.wrong() {
		s.t.Error(wrong)
	}
	for _, surprise := range ops.surprises() {
		s.t.Errorf("an operator ended: %s", surprise)
	}
	s.t.Log(s.row)
}

// oneMaster checks that one pod is labelled as master, the one that the status names.
func (s *scene) oneMaster(rha *v1alpha1.RedisHA) {
	s.t.Helper()
	pods := &corev1.PodList{}
	err := bed.Client.List(
		s.ctx, pods, client.InNamespace(s.key.Namespace), client.MatchingLabels{v1alpha1.LabelRole: v1alpha1.RoleMaster},
	)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(pods.Items) != 1 || pods.Items[0].Name != rha.Status.Master.Pod {
		s.t.Errorf("%d pods are labelled as master, want %s alone", len(pods.Items), rha.Status.Master.Pod)
	}
}
