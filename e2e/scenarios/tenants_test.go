// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/sandbox"
)

const (
	victimKills  = 10
	deafSets     = 40 // RedisHA whose Redis says yes to every order and carries none out
	garbagePods  = 100
	garbageSize  = 5 // pods of a RedisHA
	memoryLimit  = 512 << 20
	noiseGrace   = 500 * time.Millisecond // two processors are shared by all: medians beside differ by 100 ms from run to run, and a busy machine adds to it
	hostilePause = time.Minute
	oldEnough    = 6 * time.Second // a Redis that dies in its first five seconds takes its container along, and that is another fault
)

// The other tenants' pods are never scheduled: their status says that they run, at an address where a program of the
// test listens. A tenant cannot write that, but can have an image that answers the same.
func TestATenantIsReplacedAsFastBesideOthersThatNeverObeyAndAnswerGarbage(t *testing.T) {
	s := begin(t, "victim beside hostile tenants", v1alpha1.RedisHASpec{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	s.Ctx = ctx
	alone := s.kills(victimKills)
	hostile(ctx, t, deafSets, 3, deafProgram)
	hostile(ctx, t, garbagePods/garbageSize, garbageSize, garbageProgram)
	time.Sleep(hostilePause)
	beside := s.kills(victimKills)
	t.Logf("without a write, alone: %v", alone)
	t.Logf(
		"without a write, beside %d RedisHA that never obey and %d pods that answer garbage: %v", deafSets, garbagePods,
		beside,
	)
	if was, is := median(alone), median(beside); is > was*3/2+noiseGrace {
		t.Errorf("without a write for %v, and %v alone (medians)", is, was)
	}
	for _, o := range bed.Operators() {
		peak, err := o.PeakMemory()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: peak memory %d MiB", o.Name, peak>>20)
		if peak > memoryLimit {
			t.Errorf("%s took %d MiB, more than its limit in the manifests", o.Name, peak>>20)
		}
	}
	s.end(2 * victimKills * unreplicated)
}

// kills ends the master so often, and returns for how long there was no write each time.
func (s *scene) kills(times int) []time.Duration {
	s.t.Helper()
	var gaps []time.Duration
	for i := range times {
		s.Settle()
		time.Sleep(oldEnough)
		current, at := s.Master(), time.Now()
		s.Signal(current, syscall.SIGKILL)
		s.Eventually(fmt.Sprintf("kill %d of %s to be survived", i+1, current), func(rha *v1alpha1.RedisHA) bool {
			return rha.Status.Master.Pod != current
		})
		now := s.acknowledged(time.Now())
		gaps = append(gaps, s.writers.Gap(at, now).Length().Round(time.Millisecond))
	}
	return gaps
}

func median(of []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

// hostile makes RedisHA in a namespace of their own, whose pods answer as a program of hostile_test.go.
func hostile(ctx context.Context, t *testing.T, sets, replicas int32, program string) {
	t.Helper()
	addr := startHostile(ctx, t, program)
	namespace := newNamespace(ctx, t)
	for i := range sets {
		rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("hostile-%d", i)}}
		rha.Spec.Replicas = ptr.To(replicas)
		rha.Spec.PodTemplate = &v1alpha1.PodTemplateSpec{NodeSelector: map[string]v1alpha1.LabelValue{"nowhere": "yes"}}
		if err := bed.Client.Create(ctx, rha); err != nil {
			t.Fatal(err)
		}
	}
	pretend(ctx, t, namespace, int(sets*replicas), addr)
}

// pretend says of each pod that it runs at an address.
func pretend(ctx context.Context, t *testing.T, namespace string, pods int, addr netip.Addr) {
	t.Helper()
	done := map[types.UID]bool{}
	err := sandbox.WaitFor(ctx, "the pods of the hostile tenants", func(ctx context.Context) (bool, error) {
		list := &corev1.PodList{}
		if err := bed.Client.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return false, err
		}
		for i := range list.Items {
			pod := &list.Items[i]
			if done[pod.UID] {
				continue
			}
			patch := fmt.Sprintf(`{"status":{"phase":"Running","podIP":%q,"podIPs":[{"ip":%q}]}}`, addr, addr)
			if err := bed.Client.Status().Patch(ctx, pod, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
				return false, err
			}
			done[pod.UID] = true
		}
		return len(done) >= pods, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
