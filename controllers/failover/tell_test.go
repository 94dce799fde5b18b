// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/tenancy"
	"github.com/redisha/redisha/failover"
)

func TestAFailoverThatLastsTellsWithinTwoSecondsThatThereIsNoMaster(t *testing.T) {
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "r"}}
	w := controllertest.New(t, rha)
	clock := clocktesting.NewFakeClock(time.Now())
	reconciler := &Reconciler{Client: w.Client, Recorder: w.Events, Clock: clock}
	next := failover.Progress{
		Initialized: true,
		State:       failover.StateFencing,
		Master:      &failover.Master{NodeRef: failover.NodeRef{Pod: "r-0", UID: "u"}},
	}
	writeProgress(&rha.Status, next)
	told := time.Duration(-1)
	for since := time.Duration(0); since < 10*time.Second; since += 50 * time.Millisecond {
		d := failover.Decision{
			Next:    next,
			Message: "r-1 is not detached yet: " + strings.Repeat("x", int(since/(50*time.Millisecond))),
		}
		stored, _, err := reconciler.persist(t.Context(), rha, d, sighting{})
		if err != nil {
			t.Fatal(err)
		}
		rha = stored
		writeProgress(&rha.Status, next) // the fake API server was never told of it
		c := meta.FindStatusCondition(rha.Status.Conditions, v1alpha1.ConditionAvailable)
		if c != nil && told < 0 {
			told = since
			if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonFailoverInProgress ||
				!strings.Contains(c.Message, "r-1 is not detached yet") {
				t.Errorf("Available is %s because of %s: %s", c.Status, c.Reason, c.Message)
			}
		}
		clock.Step(50 * time.Millisecond)
	}
	if told < tellAfter || told > 2*time.Second {
		t.Errorf("told after %s", told)
	}
	if n := len(w.Writes); n > 10 {
		t.Errorf("a message that changes all the time took %d writes in 10 s", n)
	}
	events := 0
	for range len(w.Events.Events) {
		if strings.Contains(<-w.Events.Events, v1alpha1.EventFailoverDelayed) {
			events++
		}
	}
	if events != 1 {
		t.Errorf("%d Events about one failover that lasts", events)
	}
}

// gauge is the value of a series, and whether there is one.
func gauge(t *testing.T, name string, labels prometheus.Labels) (float64, bool) {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			found := 0
			for _, l := range m.GetLabel() {
				if labels[l.GetName()] == l.GetValue() {
					found++
				}
			}
			if family.GetName() == name && found == len(labels) {
				return m.GetGauge().GetValue(), true
			}
		}
	}
	return 0, false
}

func TestGaugesAreRightFromTheFirstLookOfANewLeaderOn(t *testing.T) {
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: "gauges", Name: "r"}}
	series := prometheus.Labels{"namespace": "gauges", "name": "r"}
	blocked := prometheus.Labels{
		"namespace": "gauges",
		"name":      "r",
		"reason":    string(failover.ReasonMasterUnreachableNoWitness),
	}
	silent := failover.Decision{
		Next:   failover.Progress{Epoch: 7, Master: &failover.Master{NodeRef: failover.NodeRef{Pod: "r-0"}}},
		Reason: failover.ReasonMasterUnreachableNoWitness,
	}
	for range 2 { // leaders, each of which finds all as it is
		forgetMetrics(client.ObjectKeyFromObject(rha))
		reconciler := &Reconciler{}
		reconciler.measure(rha, silent, failover.Observation{})
		if epoch, _ := gauge(t, "redisha_epoch", series); epoch != 7 {
			t.Errorf("redisha_epoch is %v", epoch)
		}
		if is, _ := gauge(t, "redisha_blocked", blocked); is != 1 {
			t.Errorf("redisha_blocked is %v", is)
		}
		if is, ok := gauge(t, "redisha_available", series); !ok || is != 0 {
			t.Errorf("redisha_available is %v, there %t", is, ok)
		}
		well := silent
		well.Reason = failover.ReasonNone
		reconciler.measure(
			rha,
			well,
			failover.Observation{
				Nodes: []failover.Node{{Name: "r-0", RedisFacts: failover.RedisFacts{Contact: failover.ContactAnswering}}},
			},
		)
		if _, ok := gauge(t, "redisha_blocked", blocked); ok {
			t.Error("redisha_blocked is still there when nothing is refused")
		}
		if is, _ := gauge(t, "redisha_available", series); is != 1 {
			t.Errorf("redisha_available is %v of a master that serves", is)
		}
	}
}

// S6, P8: a master that lives and refuses what applications want is told once when that begins, and once when it is
// over.
func TestRefusedWritesAreToldWhenTheyBeginAndWhenTheyAreOver(t *testing.T) {
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "r"}}
	w := controllertest.New(t, rha)
	reconciler := &Reconciler{Client: w.Client, Recorder: w.Events, Clock: clocktesting.NewFakeClock(time.Now())}
	next := failover.Progress{
		Initialized: true,
		State:       failover.StateStable,
		Master:      &failover.Master{NodeRef: failover.NodeRef{Pod: "r-0", UID: "u"}},
	}
	writeProgress(&rha.Status, next)
	node := failover.Node{
		Name: "r-0",
		UID:  "u",
		RedisFacts: failover.RedisFacts{
			Contact:     failover.ContactAnswering,
			Sampled:     true,
			Replication: failover.Replication{Role: failover.RoleMaster},
		},
	}
	full, busy := node, node
	full.Replication.OutOfMemory = true
	busy.Contact = failover.ContactBusy
	for _, n := range []failover.Node{node, full, full, busy, node, node} {
		stored, err := reconciler.writeConditions(
			t.Context(), rha, failover.Decision{Next: next, Message: "r-0 is master"},
			sighting{Observation: failover.Observation{Nodes: []failover.Node{n}}},
		)
		if err != nil {
			t.Fatal(err)
		}
		rha = stored
	}
	var told []string
	for range len(w.Events.Events) {
		if e := <-w.Events.Events; strings.Contains(e, "Writes") {
			told = append(told, strings.Join(strings.Fields(e)[:3], " "))
		}
	}
	want := []string{
		"Warning WritesRefused MasterOutOfMemory:",
		"Warning WritesRefused MasterBusy:",
		"Normal WritesAccepted master",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// Beside forty that never obey, four in five writes to the Kubernetes API were these.
func TestWordsThatChangeAllTheTimeAreToldSeldom(t *testing.T) {
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "r"}}
	w := controllertest.New(t, rha)
	clock := clocktesting.NewFakeClock(time.Now())
	reconciler := &Reconciler{Client: w.Client, Recorder: w.Events, Clock: clock}
	tell := func(sentence string) {
		t.Helper()
		next := failover.Progress{State: failover.StateBootstrapping}
		writeProgress(&rha.Status, next) // the fake API server was never told of it
		stored, _, err := reconciler.persist(
			t.Context(), rha, failover.Decision{Next: next, Reason: failover.ReasonWaitingForPods, Message: sentence},
			sighting{},
		)
		if err != nil {
			t.Fatal(err)
		}
		rha = stored
	}
	message := func() string {
		return meta.FindStatusCondition(rha.Status.Conditions, v1alpha1.ConditionAvailable).Message
	}
	for range wordsAtOnce {
		for _, sentence := range []string{"waiting for r-0", "waiting for r-1"} {
			if tell(sentence); len(w.Writes) <= wordsAtOnce && message() != sentence {
				t.Errorf("%q is not told at once, but %q", sentence, message())
			}
		}
	}
	before, minutes := len(w.Writes), 10
	for i := range minutes * 60 {
		clock.Step(time.Second)
		tell([]string{"waiting for r-0", "waiting for r-1"}[i%2])
	}
	if n := len(w.Writes) - before; n > minutes*int(time.Minute/wordsPause) || n == 0 {
		t.Errorf("%d writes in %d minutes", n, minutes)
	}
	tell("waiting for r-2")
	for waited := time.Duration(0); message() != "waiting for r-2"; waited += possibleAgain {
		if wait := reconciler.memory.Of(
			client.ObjectKey{Namespace: "ns", Name: "r"},
		).telling.pending(); wait != failover.After(possibleAgain) ||
			waited > 2*wordsPause {
			t.Fatalf("what is held back is looked at again in %s, after %s", wait, waited)
		}
		clock.Step(possibleAgain)
		tell("waiting for r-2")
	}
	if wait := reconciler.memory.Of(
		client.ObjectKey{Namespace: "ns", Name: "r"},
	).telling.pending(); wait != failover.OnEvent() {
		t.Errorf("all is told, and it is looked at again in %s", wait)
	}
}

func TestADecisionDoesNotWaitForWordsThatAreOverBudget(t *testing.T) {
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "r"}}
	w := controllertest.New(t, rha)
	clock := clocktesting.NewFakeClock(time.Now())
	reconciler := &Reconciler{
		Client: tenancy.WithBudget(w.Client, clock), Recorder: w.Events, Clock: clock, Lease: always{},
	}
	key := client.ObjectKeyFromObject(rha)
	ctx := tenancy.WritingFor(t.Context(), key)
	for tenancy.PauseFor(reconciler.Client.Delete(tenancy.Telling(ctx), &corev1.Pod{})) == 0 {
		continue // until the words of this RedisHA are used up
	}
	decision := failover.Decision{Next: failover.Progress{State: failover.StateBootstrapping}, Message: "waiting for r-0"}
	stored, moved, err := reconciler.persist(ctx, rha, decision, sighting{})
	if err != nil || !moved || len(stored.Status.Conditions) > 0 {
		t.Fatalf("moved %t, told %v: %v", moved, stored.Status.Conditions, err)
	}
	for waited := time.Duration(0); len(stored.Status.Conditions) == 0; {
		wait, timed := reconciler.memory.Of(key).telling.pending().Wait()
		if waited += wait; !timed || waited > 2*time.Second {
			t.Fatalf("what waits to be told is looked at again in %s (%t), and waited for %s", wait, timed, waited)
		}
		clock.Step(wait)
		stored, moved, err = reconciler.persist(ctx, stored, decision, sighting{})
		if err != nil || moved {
			t.Fatalf("moved %t: %v", moved, err)
		}
	}
	if again := reconciler.memory.Of(key).telling.pending(); again != failover.OnEvent() {
		t.Errorf("all is told, and it is looked at again in %s", again)
	}
}
