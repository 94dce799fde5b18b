// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

// daily is a window that begins at an instant, to the minute, every day.
func daily(begins time.Time, minutes int32) []v1alpha1.MaintenanceWindow {
	return []v1alpha1.MaintenanceWindow{{
		Schedule: fmt.Sprintf("%d %d * * *", begins.UTC().Minute(), begins.UTC().Hour()), DurationMinutes: minutes,
	}}
}

// The replicas are replaced before the window, and the master in it.
func TestAnOutdatedMasterWaitsForAMaintenanceWindow(t *testing.T) {
	t.Parallel()
	opens := time.Now().Add(150 * time.Second).Truncate(time.Minute)
	key := create(t, namespace(t), v1alpha1.RedisHASpec{MaintenanceWindows: daily(opens, 30)})
	before, old := settled(t, key), pods(t, key)
	master := before.Status.Master.Pod
	l := write(t, key, resources.RedisPort, nil, "window")
	change(t, key, anotherEnvironment)
	waitsFor(t, key, v1alpha1.ReasonWaitingForMaintenanceWindow)
	held, err := bed.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	said := meta.FindStatusCondition(held.Status.Conditions, v1alpha1.ConditionProgressing).Message
	if want := opens.UTC().Format("begins at 2006-01-02 15:04 UTC: "); !strings.Contains(said, want) {
		t.Errorf("it says %q, want %q in it", said, want)
	}
	for name, uid := range pods(t, key) {
		if replaced := uid != old[name]; replaced == (name == master) {
			t.Errorf("%s was replaced: %t; the master is %s", name, replaced, master)
		}
	}
	ready := meta.FindStatusCondition(held.Status.Conditions, v1alpha1.ConditionReady)
	if ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonNodesOutdated {
		t.Errorf("Ready is %s because of %s, though the master lacks the change", ready.Status, ready.Reason)
	}
	time.Sleep(time.Until(opens))
	after := settled(t, key)
	short(t, "across the window", l.stop())
	began := after.Status.History[0].StartedAt.Time
	if after.Status.Master.Epoch != before.Status.Master.Epoch+1 || began.Before(opens) ||
		began.After(opens.Add(20*time.Second)) {
		t.Errorf("epoch %d after %d, begun at %s, want %s: %+v", after.Status.Master.Epoch, before.Status.Master.Epoch, began,
			opens, after.Status.History[0])
	}
	if pods(t, key)[master] == old[master] {
		t.Errorf("%s was not replaced", master)
	}
}

// To wait costs no write, and what a person asks for is done at any time.
func TestAClosedMaintenanceWindowCostsNoWriteAndHoldsNoRequest(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	key := create(t, ns, v1alpha1.RedisHASpec{MaintenanceWindows: daily(time.Now().Add(-12*time.Hour), 1)})
	change(t, key, anotherEnvironment)
	waitsFor(t, key, v1alpha1.ReasonWaitingForMaintenanceWindow)
	quiet := time.Now()
	held, err := bed.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a minute without a write", 3*time.Minute, func(ctx context.Context) (bool, error) {
		now, err := bed.Get(ctx, key)
		if err == nil && now.ResourceVersion != held.ResourceVersion {
			held, quiet = now, time.Now()
		}
		return time.Since(quiet) > time.Minute, err
	})
	answered(
		t, ask(t, ns, "now", v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover}), v1alpha1.RequestSucceeded, "",
		"is master by epoch",
	)
	after := settled(t, key)
	if after.Status.Master.Epoch != held.Status.Master.Epoch+1 {
		t.Errorf("epoch %d after %d", after.Status.Master.Epoch, held.Status.Master.Epoch)
	}
}

func TestAMasterThatIsToBeRemovedWaitsForAMaintenanceWindow(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	key := create(t, ns, v1alpha1.RedisHASpec{MaintenanceWindows: daily(time.Now().Add(-12*time.Hour), 1)})
	last := resources.PodName(key.Name, 2)
	answered(
		t, ask(t, ns, "last", v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover, Pod: last}),
		v1alpha1.RequestSucceeded, "", last+" is master by epoch",
	)
	before := settled(t, key)
	l := write(t, key, resources.RedisPort, nil, "fewer")
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Replicas = ptr.To[int32](2) })
	waitsFor(t, key, v1alpha1.ReasonWaitingForMaintenanceWindow)
	time.Sleep(5 * time.Second) // it must not go on
	held, err := bed.Get(t.Context(), key)
	if err != nil || held.Status.Master.Epoch != before.Status.Master.Epoch || held.Status.Replicas != 3 {
		t.Fatalf(
			"epoch %d after %d with %d pods (%v)",
			held.Status.Master.Epoch,
			before.Status.Master.Epoch,
			held.Status.Replicas,
			err,
		)
	}
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.MaintenanceWindows = nil })
	after := settled(t, key)
	short(t, "while a master was removed", l.stop())
	if after.Status.Master.Epoch != before.Status.Master.Epoch+1 || after.Status.Replicas != 2 {
		t.Errorf(
			"epoch %d after %d with %d pods",
			after.Status.Master.Epoch,
			before.Status.Master.Epoch,
			after.Status.Replicas,
		)
	}
}
