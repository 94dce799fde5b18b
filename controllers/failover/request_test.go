// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"fmt"
	"strings"
	"testing"

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
		return r.request(rha)
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
	if got := <-events.Events; !strings.Contains(got, v1alpha1.EventRequestRepeated) || !strings.Contains(got, "switchover#2") {
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
	if len(rha.Status.HandledRequests) > maxHandled || rha.Status.HandledRequests[0] != "switchover#102" {
		t.Errorf("%d requests are remembered, the latest %q", len(rha.Status.HandledRequests), rha.Status.HandledRequests[0])
	}
}
