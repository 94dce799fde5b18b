// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/requests"
	"github.com/redisha/redisha/failover"
)

// A request is carried by an annotation, and may be kept in Git with the rest of the object.
func TestARequestThatIsPutBackDoesNotRunAgain(t *testing.T) {
	events := record.NewFakeRecorder(10)
	r := &Reconciler{Recorder: events}
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "r"}}
	ask := func(value string) *failover.Request {
		rha.Annotations = map[string]string{v1alpha1.AnnotationRequest: value}
		return r.annotated(rha)
	}
	carriedOut := func(value string) {
		taken := failover.Decision{Next: failover.Progress{State: failover.StateStable, Request: value}}
		applyDecision(rha, taken)
		if got := ask(value); got == nil {
			t.Errorf("%s was taken up, and its acknowledgement cannot be sent any more", value)
		}
		ask("")
		applyDecision(rha, failover.Decision{Next: failover.Progress{State: failover.StateStable}})
	}
	if ask("switchover") == nil {
		t.Fatal("the first request is not carried out")
	}
	carriedOut("switchover")
	for range 6 {
		if got := ask("switchover"); got != nil {
			t.Fatalf("put back, it runs again: %+v", got)
		}
	}
	if requests.IsRequested(rha) {
		t.Error("what does not run holds up what waits for requests")
	}
	if len(events.Events) != 1 {
		t.Fatalf("%d Events for one request that was put back six times", len(events.Events))
	}
	if got := <-events.Events; !strings.Contains(got, v1alpha1.EventRequestRepeated) ||
		!strings.Contains(got, "switchover#2") {
		t.Errorf("the Event does not say how to ask again: %s", got)
	}
	if ask("switchover#2") == nil || !requests.IsRequested(rha) {
		t.Error("with another ID it does not run")
	}
	carriedOut("switchover#2")
	if ask("switchover") != nil {
		t.Error("after another request, the one before the last runs again")
	}
	for i := range 100 {
		carriedOut(fmt.Sprintf("switchover#%d", i+3))
	}
	if len(rha.Status.Requests) > maxRequests || rha.Status.Requests[0].ID != "switchover#102" {
		t.Errorf("%d requests are remembered, the latest %q", len(rha.Status.Requests), rha.Status.Requests[0].ID)
	}
}

func TestTheStatusTellsWhatBecameOfEachRequest(t *testing.T) {
	rha := &v1alpha1.RedisHA{}
	expect := func(want ...v1alpha1.RequestStatus) {
		t.Helper()
		if diff := cmp.Diff(want, rha.Status.Requests); diff != "" {
			t.Error(diff)
		}
	}
	running := func(id string) failover.Decision {
		return failover.Decision{Next: failover.Progress{State: failover.StateSwitchingOver, Request: id}}
	}
	over := func(h failover.Handled) failover.Decision {
		return failover.Decision{Next: failover.Progress{State: failover.StateStable, Request: h.ID}, Handled: &h}
	}
	applyDecision(rha, running("a"))
	expect(v1alpha1.RequestStatus{ID: "a", State: v1alpha1.RequestRunning})
	applyDecision(rha, over(failover.Handled{ID: "a", Succeeded: true, Message: "r-1 is master by epoch 2"}))
	first := v1alpha1.RequestStatus{ID: "a", State: v1alpha1.RequestSucceeded, Message: "r-1 is master by epoch 2"}
	expect(first)
	applyDecision(rha, over(failover.Handled{ID: "a", Succeeded: true, Message: "r-1 is master"}))
	expect(first) // it is over, and is not told anew
	applyDecision(rha, over(failover.Handled{ID: "b", Reason: failover.ReasonNoCandidate, Message: "r-2 lags"}))
	second := v1alpha1.RequestStatus{
		ID:      "b",
		State:   v1alpha1.RequestFailed,
		Reason:  string(failover.ReasonNoCandidate),
		Message: "r-2 lags",
	}
	expect(second, first)
	applyDecision(rha, running("c"))
	applyDecision(rha, over(failover.Handled{ID: "c", Message: "r-1 did not catch up"}))
	third := v1alpha1.RequestStatus{
		ID:      "c",
		State:   v1alpha1.RequestFailed,
		Reason:  v1alpha1.ReasonGivenUp,
		Message: "r-1 did not catch up",
	}
	expect(third, second, first)
	applyDecision(rha, running("d"))
	applyDecision(rha, running("e"))
	if got := rha.Status.Requests[1]; got.ID != "d" || got.State != v1alpha1.RequestFailed ||
		got.Reason != v1alpha1.ReasonReplaced {
		t.Errorf("a request in whose place another was taken up is %+v", got)
	}
	applyDecision(rha, failover.Decision{Next: failover.Progress{State: failover.StateStable}})
	if got := rha.Status.Requests[0]; got.State != v1alpha1.RequestFailed {
		t.Errorf("a request that the progress does not name any more is %+v", got)
	}
}
