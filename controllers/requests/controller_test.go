// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/conditions"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
)

// desk is a RedisHA shop, whose master is shop-0, with requests to it, and the controller that tells them.
type desk struct {
	*controllertest.API

	clock  *clocktesting.FakeClock
	inbox  Inbox
	woken  int
	tested *Reconciler
}

func newDesk(t *testing.T, requests ...*v1alpha1.RedisHARequest) *desk {
	t.Helper()
	shop := controllertest.Shop(func(rha *v1alpha1.RedisHA) {
		rha.Spec.Replicas = ptr.To(int32(2))
		rha.Status.Master = &v1alpha1.MasterStatus{NodeRef: v1alpha1.NodeRef{Pod: "shop-0"}}
		rha.Status.Failover = &v1alpha1.FailoverStatus{State: v1alpha1.StateStable, Message: "shop-0 is master"}
	})
	objects := []client.Object{shop}
	for _, r := range requests {
		objects = append(objects, r)
	}
	d := &desk{
		API:   controllertest.New(t, objects...),
		clock: clocktesting.NewFakeClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
	}
	d.inbox.Open(d.Client)
	d.tested = &Reconciler{
		Client:    d.Client,
		APIReader: d.Client,
		Clock:     d.clock,
		Inbox:     &d.inbox,
		Wake:      func(client.ObjectKey) { d.woken++ },
	}
	return d
}

// asking is a request that was made so many seconds after the clock began.
func asking(name string, after time.Duration, spec v1alpha1.RedisHARequestSpec) *v1alpha1.RedisHARequest {
	if spec.RedisHA == "" {
		spec.RedisHA = "shop"
	}
	if spec.DeadlineSeconds == 0 {
		spec.DeadlineSeconds = 300
	}
	return &v1alpha1.RedisHARequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:         "store",
			Name:              name,
			UID:               types.UID(name + "-uid"),
			CreationTimestamp: metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(after)),
		},
		Spec: spec,
	}
}

// look has the controller look at a request, and returns the request.
func (d *desk) look(name string) *v1alpha1.RedisHARequest {
	d.T.Helper()
	if _, err := d.tested.Reconcile(d.T.Context(), ctrl.Request{NamespacedName: controllertest.Key(name)}); err != nil {
		d.T.Fatal(err)
	}
	request := &v1alpha1.RedisHARequest{}
	d.Get(name, request)
	return request
}

// next is what the failover controller is given.
func (d *desk) next() *failover.Request {
	d.T.Helper()
	request, err := d.inbox.Next(d.T.Context(), d.shop(), d.clock.Now())
	if err != nil {
		d.T.Fatal(err)
	}
	return request
}

func (d *desk) shop() *v1alpha1.RedisHA {
	d.T.Helper()
	rha := &v1alpha1.RedisHA{}
	d.Get("shop", rha)
	return rha
}

// writes has the failover controller write down what became of a request.
func (d *desk) writes(change func(*v1alpha1.RedisHAStatus)) {
	d.T.Helper()
	rha := d.shop()
	change(&rha.Status)
	if err := d.Client.Status().Update(d.T.Context(), rha); err != nil {
		d.T.Fatal(err)
	}
}

func (d *desk) expect(request *v1alpha1.RedisHARequest, state v1alpha1.RequestState, reason, message string) {
	d.T.Helper()
	s := request.Status
	if s.State != state || s.Reason != reason || !strings.Contains(s.Message, message) {
		d.T.Errorf("%s is %s (%s): %q, want %s (%s): %q", request.Name, s.State, s.Reason, s.Message, state, reason, message)
	}
	complete := meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionComplete)
	failed := meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionFailed)
	if complete != (state == v1alpha1.RequestSucceeded) || failed != (state == v1alpha1.RequestFailed) ||
		(s.FinishedAt != nil) != state.IsOver() {
		d.T.Errorf("%s: Complete %v, Failed %v, finished at %v", request.Name, complete, failed, s.FinishedAt)
	}
}

func TestARequestIsToldWhatBecomesOfIt(t *testing.T) {
	for _, ends := range []v1alpha1.RequestStatus{
		{State: v1alpha1.RequestSucceeded, Message: "shop-1 is master by epoch 2"},
		{State: v1alpha1.RequestFailed, Reason: string(failover.ReasonNoCandidate), Message: "shop-1 lags"},
	} {
		t.Run(string(ends.State), func(t *testing.T) {
			d := newDesk(t, asking("move", 0, v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover, Pod: "shop-1"}))
			d.expect(
				d.look("move"), v1alpha1.RequestPending, "",
				"waiting for its turn; the failover state is Stable: shop-0 is master",
			)
			if d.woken == 0 {
				t.Error("the failover controller was not woken")
			}
			asked := d.next()
			if asked == nil || asked.Verb != failover.VerbSwitchover || asked.Target != "shop-1" || !IsObject(asked.ID) {
				t.Fatalf("the failover controller is given %+v", asked)
			}
			d.writes(func(s *v1alpha1.RedisHAStatus) {
				s.Requests = []v1alpha1.RequestStatus{{ID: asked.ID, State: v1alpha1.RequestRunning}}
			})
			d.clock.Step(time.Hour) // it was begun in time
			begun := d.look("move")
			d.expect(begun, v1alpha1.RequestRunning, "", "")
			if begun.Status.StartedAt == nil || d.next() == nil {
				t.Errorf("begun at %v, carried on: %+v", begun.Status.StartedAt, d.next())
			}
			ends.ID = asked.ID
			d.writes(func(s *v1alpha1.RedisHAStatus) { s.Requests[0] = ends })
			if again := d.next(); again != nil {
				t.Errorf("it is over, and is given again: %+v", again)
			}
			d.expect(d.look("move"), ends.State, ends.Reason, ends.Message)
			writes := len(d.Writes)
			d.writes(func(s *v1alpha1.RedisHAStatus) { s.Requests = nil }) // forgotten
			d.look("move")
			if d.next() != nil || len(d.Writes) != writes {
				t.Errorf("a request that is over is looked at again: %v", d.Writes[writes:])
			}
		})
	}
}

func TestRequestsAreCarriedOutOneAfterTheOtherTheOldestFirst(t *testing.T) {
	d := newDesk(
		t,
		asking(
			"b", time.Second, v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionDiscard, Pod: "shop-1", AcceptDataLoss: true},
		),
		asking(
			"a", 2*time.Second,
			v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionForceFailover, Pod: "shop-1", AcceptDataLoss: true},
		),
		asking("elsewhere", 0, v1alpha1.RedisHARequestSpec{RedisHA: "bank", Action: v1alpha1.ActionSwitchover}),
	)
	first := d.next()
	if first == nil || first.Verb != failover.VerbDiscard {
		t.Fatalf("the first is %+v", first)
	}
	d.writes(func(s *v1alpha1.RedisHAStatus) {
		s.Requests = []v1alpha1.RequestStatus{{ID: first.ID, State: v1alpha1.RequestSucceeded}}
	})
	if early := d.next(); early != nil {
		t.Errorf("%+v is given before the one before it was told its outcome", early)
	}
	d.look("b")
	if second := d.next(); second == nil || second.Verb != failover.VerbForce {
		t.Errorf("the second is %+v", second)
	}
}

func TestARequestThatCannotBeBegunFailsAtItsDeadline(t *testing.T) {
	tests := map[string]struct {
		spec   v1alpha1.RedisHARequestSpec
		change func(*v1alpha1.RedisHA)
		says   string
	}{
		"no RedisHA": {
			spec: v1alpha1.RedisHARequestSpec{RedisHA: "bank"},
			says: "there is no RedisHA bank in namespace store",
		},
		"paused": {
			change: func(rha *v1alpha1.RedisHA) { rha.Spec.Failover.Mode = v1alpha1.ModePaused },
			says:   "spec.failover.mode of the RedisHA is Paused",
		},
		"paused, restart": {
			spec:   v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionRestart},
			change: func(rha *v1alpha1.RedisHA) { rha.Spec.Failover.Mode = v1alpha1.ModePaused },
			says:   "spec.failover.mode of the RedisHA is Paused",
		},
		"not taken up": {says: "waiting for its turn"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if tc.spec.Action == "" {
				tc.spec.Action = v1alpha1.ActionSwitchover
			}
			tc.spec.DeadlineSeconds = 60
			d := newDesk(t, asking("move", 0, tc.spec))
			if tc.change != nil {
				rha := d.shop()
				tc.change(rha)
				if err := d.Client.Update(t.Context(), rha); err != nil {
					t.Fatal(err)
				}
			}
			if tc.spec.Action == v1alpha1.ActionRestart {
				d.statefulSet()
			}
			d.expect(d.look("move"), v1alpha1.RequestPending, "", tc.says)
			d.clock.Step(61 * time.Second)
			if late := d.next(); late != nil {
				t.Errorf("begun after its deadline: %+v", late)
			}
			d.expect(d.look("move"), v1alpha1.RequestPending, "", tc.says) // it may have been begun at the last moment
			d.clock.Step(overdue)
			d.expect(d.look("move"), v1alpha1.RequestFailed, v1alpha1.ReasonDeadlineExceeded, "not begun within 60 s: "+tc.says)
		})
	}
}

func TestARequestFailsWhereAnotherPodIsMasterThanItNames(t *testing.T) {
	d := newDesk(t,
		asking("wrong", 0, v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover, IfMaster: "shop-1"}),
		asking("right", time.Second, v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover, IfMaster: "shop-0"}),
	)
	if got := d.next(); got == nil || !strings.Contains(got.ID, "right") {
		t.Errorf("given %+v", got)
	}
	d.expect(
		d.look("wrong"), v1alpha1.RequestFailed, v1alpha1.ReasonPreconditionFailed,
		"spec.ifMaster is shop-1, and the master is shop-0",
	)
	d.expect(d.look("right"), v1alpha1.RequestPending, "", "")
}

func TestARequestThatIsOverIsDeletedAfterItsTime(t *testing.T) {
	kept := asking("kept", 0, v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover, IfMaster: "shop-9"})
	brief := asking(
		"brief",
		0,
		v1alpha1.RedisHARequestSpec{
			Action:                  v1alpha1.ActionSwitchover,
			IfMaster:                "shop-9",
			TTLSecondsAfterFinished: ptr.To(int32(60)),
		},
	)
	d := newDesk(t, kept, brief)
	for _, name := range []string{"kept", "brief"} {
		d.expect(d.look(name), v1alpha1.RequestFailed, v1alpha1.ReasonPreconditionFailed, "")
	}
	d.clock.Step(59 * time.Second)
	d.look("brief")
	d.clock.Step(time.Second)
	if _, err := d.tested.Reconcile(t.Context(), ctrl.Request{NamespacedName: controllertest.Key("brief")}); err != nil {
		t.Fatal(err)
	}
	if err := d.Client.Get(
		t.Context(), controllertest.Key("brief"), &v1alpha1.RedisHARequest{},
	); !apierrors.IsNotFound(
		err,
	) {
		t.Errorf("it is still there: %v", err)
	}
	d.clock.Step(time.Hour)
	d.look("kept")
}

// statefulSet makes the one of the shop.
func (d *desk) statefulSet() {
	d.T.Helper()
	sts := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "store", Name: resources.StatefulSetName("shop")}}
	if err := d.Client.Create(d.T.Context(), sts); err != nil {
		d.T.Fatal(err)
	}
}

// runs makes a pod of the shop that is ready, from a template with the annotations.
func (d *desk) runs(name string, annotations map[string]string) {
	d.T.Helper()
	pod := controllertest.RunningPod(name, "")
	pod.Namespace, pod.Labels, pod.Annotations = "store", resources.SelectorLabels("shop"), annotations
	_ = d.Client.Delete(d.T.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "store", Name: name}})
	if err := d.Client.Create(d.T.Context(), &pod); err != nil {
		d.T.Fatal(err)
	}
}

func TestARestartOnRequestIsARolloutRestart(t *testing.T) {
	d := newDesk(
		t, asking("again", 0, v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionRestart}),
		asking("once-more", time.Minute, v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionRestart}),
	)
	ready := conditions.New(v1alpha1.ConditionReady, true, v1alpha1.ReasonAllNodesReady, "")
	d.writes(func(s *v1alpha1.RedisHAStatus) {
		s.Conditions = []metav1.Condition{
			ready,
			conditions.New(v1alpha1.ConditionProgressing, true, v1alpha1.ReasonRollingOut, "replacing shop-1, 2 outdated"),
		}
	})
	d.statefulSet()
	d.runs("shop-0", nil)
	d.runs("shop-1", map[string]string{restartedAt: "2025-12-31T23:59:59Z"}) // of an earlier restart
	if got := d.next(); got != nil {
		t.Errorf("the failover controller is given a restart: %+v", got)
	}
	d.expect(d.look("again"), v1alpha1.RequestRunning, "", "0 of 2 pods have been restarted; replacing shop-1, 2 outdated")
	sts := &appsv1.StatefulSet{}
	d.Get(resources.StatefulSetName("shop"), sts)
	asked := sts.Spec.Template.Annotations
	if asked[restartedAt] != "2026-01-01T00:00:00Z" {
		t.Errorf("the template is annotated with %v", asked)
	}
	d.runs("shop-1", asked)
	writes := len(d.Writes)
	d.expect(d.look("again"), v1alpha1.RequestRunning, "", "1 of 2 pods")
	if len(d.Writes) != writes+1 {
		t.Errorf("beside the status it writes %v", d.Writes[writes:])
	}
	d.runs("shop-0", map[string]string{restartedAt: "2026-01-01T01:00:01+01:00"}) // kubectl writes local time
	d.expect(d.look("again"), v1alpha1.RequestSucceeded, "", "2 of 2 pods have been restarted")
	d.expect(d.look("once-more"), v1alpha1.RequestRunning, "", "0 of 2 pods have been restarted")
}

// A message that the schema refuses must not keep a request from being told what became of it.
func TestALongMessageIsCut(t *testing.T) {
	d := newDesk(t, asking("move", 0, v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover}))
	d.writes(func(s *v1alpha1.RedisHAStatus) { s.Failover.Message = strings.Repeat("x", conditions.MaxMessage) })
	if got := len(d.look("move").Status.Message); got != conditions.MaxMessage {
		t.Errorf("the message has %d bytes", got)
	}
}
