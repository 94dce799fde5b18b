// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
)

// windowed is a settled RedisHA with a window, looked at from rolloutNow on.
func windowed(t *testing.T, schedule string) (*world, *clocktesting.FakeClock) {
	t.Helper()
	w := newWorld(t, controllertest.Shop(func(rha *v1alpha1.RedisHA) {
		rha.Spec.MaintenanceWindows = []v1alpha1.MaintenanceWindow{{Schedule: schedule, DurationMinutes: 60}}
	}))
	clock := clocktesting.NewFakeClock(rolloutNow)
	w.reconciler.Clock = clock
	for range 3 {
		w.reconcile()
	}
	return w, clock
}

func TestAPassBeginsWhenAWindowBeginsAndEndsAndWritesNothingMeanwhile(t *testing.T) {
	w, clock := windowed(t, "10 12 * * *") // in ten minutes
	for _, want := range []time.Duration{10 * time.Minute, time.Hour, 23 * time.Hour} {
		result, err := w.reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: controllertest.Key("shop")})
		if err != nil {
			t.Fatal(err)
		}
		if result.RequeueAfter > want || result.RequeueAfter == 0 {
			t.Errorf("the next pass begins after %s, want %s at most", result.RequeueAfter, want)
		}
		for passed := time.Duration(0); passed < want; passed += time.Minute {
			if writes := w.reconcile(); len(writes) > 0 {
				t.Fatalf("%s later it writes %q", passed, writes)
			}
			clock.Step(time.Minute)
		}
	}
}

func TestAWindowThatCannotBeUsedIsToldAndAllElseGoesOn(t *testing.T) {
	w, _ := windowed(t, "0 0 31 2 *")
	c := w.Condition(v1alpha1.ConditionReconciled)
	if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonMaintenanceWindowInvalid ||
		!strings.HasPrefix(c.Message, `spec.maintenanceWindows[0].schedule: "0 0 31 2 *" never comes: mend it`) {
		t.Errorf("Reconciled is %s because of %s: %s", c.Status, c.Reason, c.Message)
	}
	if event := <-w.Events.Events; !strings.HasPrefix(event, "Warning MaintenanceWindowInvalid ") {
		t.Errorf("the Event is %q", event)
	}
	service := &corev1.Service{}
	w.Get("shop-master", service)
	if err := w.Client.Delete(t.Context(), service); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	w.Get("shop-master", service) // what else the spec wants is seen to
	if writes := w.reconcile(); len(writes) > 0 {
		t.Errorf("told, it goes on to write %q", writes)
	}
}
