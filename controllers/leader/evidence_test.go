// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/redisha/redisha/api/v1alpha1"
)

// doubtedLock is a lock on whose renewal's way the process has reason to doubt.
type doubtedLock struct {
	fakeLock
	guard *Guard
}

func (l *doubtedLock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	l.clock.Step(time.Millisecond)
	l.guard.Doubt()
	return l.fakeLock.Update(ctx, record)
}

func TestARenewalThatWasSentBeforeTheDoubtDoesNotEndIt(t *testing.T) {
	clock := clocktesting.NewFakeClock(time.Now())
	lock := &doubtedLock{fakeLock: fakeLock{clock: clock}}
	lock.guard = NewGuard(lock, 6*time.Second, clock)
	mine := resourcelock.LeaderElectionRecord{HolderIdentity: "me"}
	if err := lock.guard.Update(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	if left := lock.guard.Left(); left > 0 {
		t.Errorf("%s left by a renewal from before", left)
	}
	lock.guard.Interface = &lock.fakeLock
	if err := lock.guard.Update(t.Context(), mine); err != nil || lock.guard.Left() <= 0 {
		t.Errorf("%s left by a renewal since: %v", lock.guard.Left(), err)
	}
}

func operatorPod(uid string, phase corev1.PodPhase, states ...corev1.ContainerState) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "operator-0", UID: types.UID(uid)}}
	pod.Status.Phase = phase
	for _, s := range states {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{State: s})
	}
	return pod
}

func TestAnOperatorsPodIsGoneByTheAPIServersWordAlone(t *testing.T) {
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	over := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}
	var before, now *corev1.Pod
	var failing error
	reader := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			if failing != nil {
				return failing
			}
			if now == nil {
				return c.Get(ctx, key, obj, opts...) // not found
			}
			now.DeepCopyInto(obj.(*corev1.Pod))
			return nil
		},
	})
	pods := Pods{Reader: reader, Namespace: "system"}
	if pods.Watch(t.Context(), "a-machine-that-is-no-pod") != nil {
		t.Error("what is no pod may be found gone")
	}
	before = operatorPod("1", corev1.PodRunning, running)
	now = before
	gone := pods.Watch(t.Context(), "operator-0")
	for name, tc := range map[string]struct {
		now     *corev1.Pod
		failing error
		gone    bool
	}{
		"it runs":                                {now: before},
		"its container ended and will be back":   {now: operatorPod("1", corev1.PodRunning, over)},
		"it has failed":                          {now: operatorPod("1", corev1.PodFailed, over), gone: true},
		"it is said to have failed, and it runs": {now: operatorPod("1", corev1.PodFailed, running)},
		"another of its name is there":           {now: operatorPod("2", corev1.PodRunning, running), gone: true},
		"it is not there":                        {gone: true},
		"the API server does not answer":         {now: before, failing: errors.New("no answer")},
	} {
		now, failing = tc.now, tc.failing
		if got := gone(t.Context()); got != tc.gone {
			t.Errorf("%s: gone %t", name, got)
		}
	}
}

func TestOfEachRedisHAOnePodIsAskedFirst(t *testing.T) {
	var pods []corev1.Pod
	add := func(name string, ordinal int, phase corev1.PodPhase, ip string) {
		pods = append(pods, corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "default",
				Name:      fmt.Sprintf("%s-%d", name, ordinal),
				UID:       types.UID(fmt.Sprintf("%s-%d", name, ordinal)),
				Labels:    map[string]string{v1alpha1.LabelName: name},
			},
			Status: corev1.PodStatus{Phase: phase, PodIP: ip},
		})
	}
	add("pending", 0, corev1.PodPending, "")
	add("failed", 0, corev1.PodFailed, "10.0.0.1") // whoever has that address now is not asked
	for i := range 30 {
		for ordinal := range 3 {
			add(fmt.Sprintf("r%d", i), ordinal, corev1.PodRunning, "10.0.0.2")
		}
	}
	chosen := witnesses(pods)
	seen := map[string]int{}
	for _, p := range chosen {
		seen[p.Labels[v1alpha1.LabelName]]++
	}
	if len(chosen) != mostWitnesses || len(seen) != 30 || seen["failed"]+seen["pending"] > 0 {
		t.Errorf("%d pods of %d RedisHA are asked: %v", len(chosen), len(seen), seen)
	}
}
