// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
	"github.com/redisha/redisha/redisclient"
)

// countingReader counts what is read past the cache.
type countingReader struct {
	client.Reader
	reads int
}

func (r *countingReader) Get(
	ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption,
) error {
	r.reads++
	return r.Reader.Get(ctx, key, obj, opts...)
}

func TestAMasterThatIsHeldIsLookedAtAgainWhenAMaintenanceWindowOpens(t *testing.T) {
	r, w := newLoop(t, func(redisclient.Options) link.Redis { return deaf{} })
	clock := clocktesting.NewFakeClock(time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC))
	r.observer.clock = clock
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	rha.Spec.MaintenanceWindows = []v1alpha1.MaintenanceWindow{{Schedule: "0 13 * * *", DurationMinutes: 60}}
	rha.Status.Master = &v1alpha1.MasterStatus{NodeRef: v1alpha1.NodeRef{Pod: "shop-0"}}
	pod := controllertest.RunningPod("shop-0", "old")
	look := func() sighting {
		t.Helper()
		obs, err := r.observer.with(&sight{}).observe(t.Context(), rha, []corev1.Pod{pod})
		if err != nil {
			t.Fatal(err)
		}
		return obs
	}
	if obs := look(); !obs.Nodes[0].Held || obs.turns != failover.After(time.Hour) {
		t.Errorf("an hour before, held %t, and looked at again %s", obs.Nodes[0].Held, obs.turns)
	}
	clock.Step(time.Hour)
	if obs := look(); obs.Nodes[0].Held || obs.turns != failover.OnEvent() {
		t.Errorf("then, held %t, and looked at again %s", obs.Nodes[0].Held, obs.turns)
	}
	rha.Spec.MaintenanceWindows[0].Schedule = "0 0 31 2 *"
	if obs := look(); !obs.Nodes[0].Held || obs.turns != failover.OnEvent() {
		t.Errorf("of one that never comes, held %t, and looked at again %s", obs.Nodes[0].Held, obs.turns)
	}
}
