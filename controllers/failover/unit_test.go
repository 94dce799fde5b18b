// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
)

// emptyFields names the fields of a struct that hold their zero value.
func emptyFields(v any) []string {
	var names []string
	value := reflect.ValueOf(v)
	for i := range value.NumField() {
		if value.Field(i).IsZero() {
			names = append(names, value.Type().Field(i).Name)
		}
	}
	return names
}

func TestMastersOfManyOwnersSuspectedAtOnceMakeTheObserverSuspect(t *testing.T) {
	now := time.Now()
	var s observerHealth
	for _, key := range []string{"a/1", "a/2", "b/1", "c/1", "d/1", "e/1", "f/1"} {
		s.note(key, failover.DiagnosisHealthy, now)
	}
	s.note("b/1", failover.DiagnosisMasterDown, now)
	s.note("c/1", failover.DiagnosisMasterUnreachableNoWitness, now)
	if s.suspect("a/1", now) {
		t.Error("two of seven make the observer suspect")
	}
	s.note("a/1", failover.DiagnosisMasterUnreachableButReplicating, now.Add(time.Second))
	if !s.suspect("a/1", now.Add(time.Second)) {
		t.Error("three owners' masters within a second do not make the observer suspect")
	}
	if s.suspect("a/1", now.Add(time.Minute)) {
		t.Error("the doubt never ends")
	}
	s.note("b/1", failover.DiagnosisHealthy, now)
	if s.suspect("a/1", now.Add(time.Second)) {
		t.Error("a master that answers again still counts")
	}
}

func TestTheSilenceOfOneOwnersMastersHoldsNoOtherOwnersFailoverBack(t *testing.T) {
	now := time.Now()
	var s observerHealth
	for _, key := range []string{"noisy/1", "noisy/2", "noisy/3", "noisy/4", "noisy/5", "victim/1", "quiet/1"} {
		s.note(key, failover.DiagnosisMasterDown, now)
	}
	s.note("quiet/1", failover.DiagnosisHealthy, now)
	if s.suspect("victim/1", now) {
		t.Error("five silent masters of one owner hold another owner's failover back")
	}
	if s.suspect("noisy/1", now) {
		t.Error("one owner's masters are in trouble and another owner's is healthy: the observer is not to blame")
	}
}

func TestAnObserverThatLosesSightOfItsOnlyOwnersMastersIsSuspect(t *testing.T) {
	now := time.Now()
	var s observerHealth
	for _, key := range []string{"a/1", "a/2", "a/3"} {
		s.note(key, failover.DiagnosisMasterUnreachableNoWitness, now)
	}
	if !s.suspect("a/1", now) {
		t.Error("every master out of sight at once, and the observer is not suspect")
	}
}

func TestAPodThatIsToBeScaledAwayIsAwaitedForAsLongAsTheStatefulSetHasAPlaceForIt(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "shop"}}
	rha.Spec.Replicas, rha.Spec.Storage = ptr.To[int32](1), &v1alpha1.StorageSpec{}
	rha.Status.Failover = &v1alpha1.FailoverStatus{Internal: v1alpha1.FailoverInternal{Initialized: true}}
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: resources.ClaimName("shop", 1)},
	}
	objects := fake.NewClientBuilder().WithScheme(scheme).WithObjects(claim).Build()
	g := &observer{
		client:  objects,
		effects: &kubeEffects{reader: objects},
		clock:   clocktesting.NewFakeClock(time.Now()),
		seen:    &sight{},
	}
	for name, tc := range map[string]struct {
		sts  *appsv1.StatefulSet
		want []failover.AbsentNode
	}{
		"it has a place for two": {&appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: ptr.To[int32](2)}},
			[]failover.AbsentNode{{Name: resources.PodName("shop", 1), MayHoldData: true}}},
		"it has been scaled down": {&appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{Replicas: ptr.To[int32](1)}}, nil},
		"there is none":           {&appsv1.StatefulSet{}, nil},
	} {
		got, err := g.absent(t.Context(), rha, tc.sts, map[int]bool{0: true})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A load balancer with externalTrafficPolicy Local sends to the Kubernetes node that the endpoint names.
func TestWhatIsPublishedNamesTheMachineUnderThePod(t *testing.T) {
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "r", UID: "r"}}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "r-0", UID: "u"},
		Spec:       corev1.PodSpec{NodeName: "worker"},
	}
	w := controllertest.New(t, rha, pod)
	c := &kubeEffects{client: w.Client, reader: w.Client}
	for uid, want := range map[string]string{"u": "worker", "of another pod": ""} {
		ref := failover.NodeRef{Pod: "r-0", UID: uid, IP: "10.0.0.1"}
		if err := c.Publish(t.Context(), "ns/r", failover.Publish{Node: ref, Epoch: 1}); err != nil {
			t.Fatal(err)
		}
		slice, _, err := c.masterSlice(t.Context(), client.ObjectKey{Namespace: "ns", Name: "r"})
		if err != nil || len(slice.Endpoints) != 1 || ptr.Deref(slice.Endpoints[0].NodeName, "") != want {
			t.Errorf("%s: %+v, %v", uid, slice, err)
		}
	}
}

func TestAnEditedSliceIsNotTakenForPublished(t *testing.T) {
	key := client.ObjectKey{Namespace: "n", Name: "r"}
	ports := resources.MasterPorts(encryption.State{})
	good := newSlice(key, 3, []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}}, ports)
	if p := publishedIn(good, ports); p.IP != "10.0.0.1" || p.Epoch != 3 {
		t.Fatalf("%+v", p)
	}
	for name, spoil := range map[string]func(*discoveryv1.EndpointSlice){
		"another service": func(s *discoveryv1.EndpointSlice) { s.Labels[discoveryv1.LabelServiceName] = "x" },
		"another port":    func(s *discoveryv1.EndpointSlice) { *s.Ports[0].Port = 1 },
		"two addresses":   func(s *discoveryv1.EndpointSlice) { s.Endpoints = append(s.Endpoints, s.Endpoints[0]) },
		"no epoch":        func(s *discoveryv1.EndpointSlice) { s.Annotations = nil },
	} {
		s := good.DeepCopy()
		spoil(s)
		if p := publishedIn(s, ports); p.IP != "" {
			t.Errorf("%s: still taken for published: %+v", name, p)
		}
	}
}

func TestConditionsSayWhatIsRefusedAndWhatIsOnlyWaitedFor(t *testing.T) {
	rha := &v1alpha1.RedisHA{}
	served := failover.Progress{
		Initialized: true,
		State:       failover.StateStable,
		Master:      &failover.Master{NodeRef: failover.NodeRef{Pod: "r-0", UID: "u"}},
	}
	blocked := served
	blocked.State = failover.StateBlocked
	contact := func(c failover.Contact) failover.Observation {
		return failover.Observation{
			Nodes: []failover.Node{{Name: "r-0", UID: "u", RedisFacts: failover.RedisFacts{Contact: c}}},
		}
	}
	silent := contact(failover.ContactSilent)
	answering := func(r failover.Replication) failover.Observation {
		return failover.Observation{
			Nodes: []failover.Node{
				{
					Name:       "r-0",
					UID:        "u",
					RedisFacts: failover.RedisFacts{Contact: failover.ContactAnswering, Sampled: true, Replication: r},
				},
			},
		}
	}
	for name, tc := range map[string]struct {
		decision  failover.Decision
		obs       failover.Observation
		kind      string
		status    metav1.ConditionStatus
		reason    string
		mentioned string
	}{
		"coming up": {failover.Decision{Reason: failover.ReasonWaitingForPods, Message: "waiting for r-0"}, failover.Observation{},
			v1alpha1.ConditionBlocked, metav1.ConditionFalse, v1alpha1.ReasonNotBlocked, ""},
		"coming up, in words": {failover.Decision{Reason: failover.ReasonWaitingForPods, Message: "waiting for r-0"}, failover.Observation{},
			v1alpha1.ConditionInitialized, metav1.ConditionFalse, v1alpha1.ReasonWaitingForPods, "waiting for r-0"},
		"two masters and no status": {failover.Decision{Reason: failover.ReasonSplitBrain, Message: "2 nodes are master"}, failover.Observation{},
			v1alpha1.ConditionBlocked, metav1.ConditionTrue, string(failover.ReasonSplitBrain), "2 nodes are master"},
		"no witness": {failover.Decision{Next: served, Reason: failover.ReasonMasterUnreachableNoWitness}, silent,
			v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonMasterUnreachable, "r-0"},
		"no replica is left": {failover.Decision{Next: served}, answering(failover.Replication{Role: failover.RoleMaster, MinReplicas: 1}),
			v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonTooFewReplicas, "refuses writes"},
		"its volume is full": {failover.Decision{Next: served}, answering(failover.Replication{Role: failover.RoleMaster, AOFFailed: true}),
			v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonMasterCannotPersist, "MISCONF"},
		"a snapshot failed that no setting asks for": {failover.Decision{Next: served}, answering(failover.Replication{Role: failover.RoleMaster, SaveFailed: true}),
			v1alpha1.ConditionAvailable, metav1.ConditionTrue, v1alpha1.ReasonMasterServing, ""},
		"its memory is full": {failover.Decision{Next: served}, answering(failover.Replication{Role: failover.RoleMaster, OutOfMemory: true}),
			v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonMasterOutOfMemory, "maxmemory"},
		"it turns clients away": {failover.Decision{Next: served}, answering(failover.Replication{Role: failover.RoleMaster, TurnsAway: true}),
			v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonMasterTurnsClientsAway, "maxclients"},
		"it turns us away": {failover.Decision{Next: served, Reason: failover.ReasonMasterUnreachableButReplicating}, contact(failover.ContactFull),
			v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonMasterTurnsClientsAway, "maxclients"},
		"it runs a script": {failover.Decision{Next: served}, contact(failover.ContactBusy),
			v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonMasterBusy, "SCRIPT KILL"},
		"it answers with another error": {failover.Decision{Next: served}, contact(failover.ContactErring),
			v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonMasterUnreachable, "r-0"},
		"a replica may be with it": {failover.Decision{Next: served, Reason: failover.ReasonMasterUnreachableWithReplicas, Message: "so is r-1"}, silent,
			v1alpha1.ConditionAvailable, metav1.ConditionUnknown, v1alpha1.ReasonMasterUnreachable, "so is r-1"},
		"a replica may be with it again": {failover.Decision{Next: blocked, Reason: failover.ReasonMasterUnreachableWithReplicas, Message: "r-1 is unreachable again"}, silent,
			v1alpha1.ConditionAvailable, metav1.ConditionUnknown, v1alpha1.ReasonMasterUnreachable, "r-1 is unreachable again"},
		"no node may be promoted": {failover.Decision{Next: blocked, Reason: failover.ReasonNoCandidate, Message: "no node may be promoted"}, silent,
			v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonNoMaster, "no node may be promoted"},
		"a replica can tell": {failover.Decision{Next: served, Reason: failover.ReasonMasterUnreachableButReplicating, Message: "r-1 still replicates"}, silent,
			v1alpha1.ConditionAvailable, metav1.ConditionUnknown, v1alpha1.ReasonMasterUnreachable, "r-1 still replicates"},
	} {
		t.Run(name, func(t *testing.T) {
			c := meta.FindStatusCondition(
				conditionsOf(
					rha, tc.decision, sighting{Observation: tc.obs}, metav1.Condition{Type: v1alpha1.ConditionFailoverPossible},
				),
				tc.kind,
			)
			if c.Status != tc.status || c.Reason != tc.reason || !strings.Contains(c.Message, tc.mentioned) {
				t.Errorf("%s is %s because of %s: %s", c.Type, c.Status, c.Reason, c.Message)
			}
		})
	}
}

func TestAFailoverThatMayBeAboutToBeginDoesNotPayForConditions(t *testing.T) {
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "r"}}
	w := controllertest.New(t, rha)
	reconciler := &Reconciler{Client: w.Client, Recorder: w.Events, Clock: clocktesting.NewFakeClock(time.Now())}
	next := failover.Progress{
		Initialized: true,
		State:       failover.StateStable,
		Master:      &failover.Master{NodeRef: failover.NodeRef{Pod: "r-0", UID: "u"}},
	}
	writeProgress(&rha.Status, next)
	refused := sighting{
		Observation: failover.Observation{
			Nodes: []failover.Node{{Name: "r-0", UID: "u", RedisFacts: failover.RedisFacts{Contact: failover.ContactRefused}}},
		},
	}
	for _, settling := range []bool{true, false} {
		before := len(w.Writes)
		stored, moved, err := reconciler.persist(
			t.Context(), rha, failover.Decision{Next: next, Diagnosis: failover.DiagnosisHealthy, Settling: settling}, refused,
		)
		if err != nil || moved {
			t.Fatalf("moved %t: %v", moved, err)
		}
		written := meta.FindStatusCondition(stored.Status.Conditions, v1alpha1.ConditionAvailable) != nil
		if written == settling || (len(w.Writes) > before) == settling {
			t.Errorf("settling %t: Available written %t by %v", settling, written, w.Writes[before:])
		}
	}
}

func TestAPodThatHasEndedIsNotDialledAndNotSentThePassword(t *testing.T) {
	for phase, want := range map[corev1.PodPhase]string{corev1.PodRunning: "10.0.0.1", corev1.PodPending: "10.0.0.1", corev1.PodFailed: "", corev1.PodSucceeded: ""} {
		pod := corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "r-0"},
			Status:     corev1.PodStatus{Phase: phase, PodIP: "10.0.0.1"},
		}
		if got := targets(client.ObjectKey{}, []corev1.Pod{pod}, encryption.State{})[0].IP; got != want {
			t.Errorf("a pod in phase %s is dialled at %q, want %q", phase, got, want)
		}
	}
}

func TestAfterAnOutageOfTheAPIServerAFailoverGoesOnWithinASecond(t *testing.T) {
	limiter, request := retries(), reconcile.Request{}
	for range 100 {
		if wait := limiter.When(request); wait > time.Second {
			t.Fatalf("the next attempt is %s away", wait)
		}
	}
	if limiter.Forget(request); limiter.When(request) > 10*time.Millisecond {
		t.Error("what worked meanwhile is not forgotten")
	}
}
