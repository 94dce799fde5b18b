// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
	"github.com/redisha/redisha/failover/prober"
	"github.com/redisha/redisha/redisclient"
)

// deaf is a Redis that says yes to every order and carries none out.
type deaf struct{ link.Redis }

func (deaf) Info(context.Context) (redisclient.Info, error) {
	return redisclient.Info{
		RunID:          "0123456789012345678901234567890123456789",
		Role:           redisclient.RoleReplica,
		MasterHost:     failover.FenceHost,
		MasterPort:     failover.FencePort,
		LinkDownFor:    redisclient.Unknown,
		LastIO:         redisclient.Unknown,
		ReplID:         "a",
		ReplID2:        "0",
		SecondOffset:   -1,
		Priority:       100,
		RDBLastSaveOK:  true,
		AOFLastWriteOK: true,
	}, nil
}
func (deaf) ReplicaOf(context.Context, string, int) error                 { return nil }
func (deaf) Promote(context.Context) error                                { return nil }
func (deaf) PauseWrites(context.Context, time.Duration) error             { return nil }
func (deaf) UnpauseWrites(context.Context) error                          { return nil }
func (deaf) KillClients(context.Context) (int, error)                     { return 0, nil }
func (deaf) KillWriters(context.Context) (int, error)                     { return 0, nil }
func (deaf) KillOperatorConnections(context.Context, string) (int, error) { return 0, nil }
func (deaf) SetMinReplicas(context.Context, int, time.Duration) error     { return nil }
func (deaf) Close()                                                       {}
func (d deaf) PauseAndInfo(ctx context.Context, _ time.Duration) (redisclient.Info, error) {
	return d.Info(ctx)
}

// always is a lease that does not end.
type always struct{}

func (always) Left() time.Duration { return time.Hour }

// newLoop is a failover loop over the fake API, for a RedisHA shop with pods that dial connects to.
func newLoop(t *testing.T, dial link.Dial) (*Reconciler, *controllertest.API) {
	t.Helper()
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: "store", Name: "shop", UID: "shop-uid"}}
	objects := []client.Object{rha}
	for i := range 3 {
		name := resources.PodName("shop", i)
		objects = append(objects, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "store",
				Name:      name,
				UID:       types.UID(name),
				Labels:    resources.Labels("shop"),
				OwnerReferences: []metav1.OwnerReference{
					{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "shop", UID: "sts-uid", Controller: ptr.To(true)},
				},
			},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: fmt.Sprintf("10.0.0.%d", i+1)},
		})
	}
	sts := resources.StatefulSet(rha, 3)
	sts.Namespace, sts.UID = "store", "sts-uid"
	sts.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "RedisHA", Name: "shop", UID: "shop-uid", Controller: ptr.To(true),
	}}
	w := controllertest.New(t, append(objects, sts)...)
	r := &Reconciler{
		Client: w.Client, Reader: w.Client, Recorder: w.Events, Clock: clock.RealClock{}, Lease: always{}, Concurrent: 1,
		Prober: prober.Options{Dial: dial},
	}
	r.prepare(logr.Discard())
	t.Cleanup(r.prober.Close)
	return r, w
}

// A worker is held while there is work, and not while a Redis is waited for.
func TestARedisThatNeverObeysHoldsNoWorker(t *testing.T) {
	r, w := newLoop(t, func(redisclient.Options) link.Redis { return deaf{} })
	const watched = 4 * time.Second
	var mu sync.Mutex
	woken := true
	r.wake = func(reconcile.Request) { mu.Lock(); defer mu.Unlock(); woken = true }
	var held, longest time.Duration
	calls := 0
	for began := time.Now(); time.Since(began) < watched; {
		mu.Lock()
		woken = false
		mu.Unlock()
		began := time.Now()
		result, err := r.Reconcile(
			t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "store", Name: "shop"}},
		)
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		held, longest, calls = held+took, max(longest, took), calls+1
		for rested := time.Now(); result.RequeueAfter == 0 || time.Since(rested) < result.RequeueAfter; time.Sleep(time.Millisecond) {
			mu.Lock()
			again := woken
			mu.Unlock()
			if again || time.Since(began) > watched {
				break
			}
		}
	}
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	t.Logf(
		"held for %s of %s in %d calls, at most %s; %d writes; state %v", held, watched, calls, longest, len(w.Writes),
		rha.Status.Failover,
	)
	if rha.Status.Failover == nil {
		t.Fatal("nothing was tried")
	}
	if longest > time.Second || held > watched/2 {
		t.Errorf("a worker was held for %s at once, and for %s of %s", longest, held, watched)
	}
}
