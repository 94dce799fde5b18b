// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

// ofMemory is a limit of memory, and a request that is lower.
func ofMemory(limit string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)},
		Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("32Mi")},
	}
}

// sized changes the resources of the spec, and waits until all is well with it.
func sized(t *testing.T, key client.ObjectKey, to corev1.ResourceRequirements) *v1alpha1.RedisHA {
	t.Helper()
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Resources = to })
	return settled(t, key)
}

// lives are the processes of a set, by pod: the UID, the run ID, and how often the container was started anew.
func lives(t *testing.T, key client.ObjectKey) map[string]string {
	t.Helper()
	lives := pods(t, key)
	for name := range lives {
		pod := &corev1.Pod{}
		if err := bed.Client.Get(t.Context(), client.ObjectKey{Namespace: key.Namespace, Name: name}, pod); err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(mustAsOperator(t, key, name, "info server"), "run_id:")
		runID, _, _ := strings.Cut(after, "\r")
		lives[name] += " " + strings.TrimSpace(runID) + " " + pod.Status.ContainerStatuses[0].ContainerID
	}
	return lives
}

// limits expects the limit of memory that every container has, by its status.
func limits(t *testing.T, key client.ObjectKey, want string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(pods(t, key))) {
		pod := &corev1.Pod{}
		if err := bed.Client.Get(t.Context(), client.ObjectKey{Namespace: key.Namespace, Name: name}, pod); err != nil {
			t.Fatal(err)
		}
		if has := pod.Status.ContainerStatuses[0].Resources.Limits.Memory().String(); has != want {
			t.Errorf("%s has %s, want %s", name, has, want)
		}
	}
}

// told waits for an Event about the set with these words.
func told(t *testing.T, key client.ObjectKey, reason, words string) {
	t.Helper()
	eventually(t, "an Event "+reason, 10*time.Second, func(ctx context.Context) (bool, error) {
		events := &corev1.EventList{}
		err := bed.Client.List(ctx, events, client.InNamespace(key.Namespace))
		return slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
			return e.Reason == reason && strings.Contains(e.Message, words)
		}), err
	})
}

const (
	of100Mi = "78643200" // three quarters
	of200Mi = "157286400"
	of400Mi = "314572800"
)

func TestMemoryIsRaisedAndLoweredUnderLoadAndNoProcessIsAnother(t *testing.T) {
	key := create(t, namespace(t), v1alpha1.RedisHASpec{Resources: ofMemory("200Mi")})
	before, epoch := lives(t, key), epochOf(t, key)
	everywhere(t, key, "maxmemory", of200Mi)
	l := write(t, key, resources.RedisPort, nil, "sizes")
	began := time.Now()
	sized(t, key, ofMemory("400Mi"))
	t.Logf("raised in %s", time.Since(began))
	everywhere(t, key, "maxmemory", of400Mi)
	limits(t, key, "400Mi")
	told(
		t,
		key,
		v1alpha1.EventPodResized,
		"Pod cache-0 was given the resources of the spec while it runs: limits.memory=400Mi",
	)
	began = time.Now()
	sized(t, key, ofMemory("100Mi"))
	t.Logf("lowered in %s", time.Since(began))
	everywhere(t, key, "maxmemory", of100Mi)
	limits(t, key, "100Mi")
	more := ofMemory("100Mi")
	more.Requests[corev1.ResourceCPU] = resource.MustParse("50m")
	sized(t, key, more)
	short(t, "while memory was raised and lowered", l.stop())
	if diff := cmp.Diff(before, lives(t, key)); diff != "" || epochOf(t, key) != epoch {
		t.Errorf("epoch %d after %d; processes:\n%s", epochOf(t, key), epoch, diff)
	}
	replaceOperator(t)
	settled(t, key)
	sized(t, key, ofMemory("200Mi")) // a request is removed, which no pod can do
	if now := lives(t, key); slices.ContainsFunc(slices.Collect(maps.Keys(now)), func(pod string) bool {
		return now[pod] == before[pod]
	}) {
		t.Errorf("a pod kept what the spec has no more: %v", now)
	}
	everywhere(t, key, "maxmemory", of200Mi)
}

func TestMemoryIsNotLoweredBelowWhatTheDataTakes(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), v1alpha1.RedisHASpec{Resources: ofMemory("400Mi")})
	before := lives(t, key)
	rha, err := bed.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	master := rha.Status.Master.Pod
	redisCLI(t, key, master, "setrange large 120000000 x")
	settled(t, key)
	l := write(t, key, resources.RedisPort, nil, "sizes")
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Resources = ofMemory("100Mi") })
	eventually(t, "the data to be in the way", 20*time.Second, func(context.Context) (bool, error) {
		c := conditionOf(t, key, v1alpha1.ConditionReconciled)
		return c.Reason == v1alpha1.ReasonDataInTheWay && strings.Contains(c.Message, "a limit of 100Mi"), nil
	})
	time.Sleep(12 * time.Second) // it was tried again
	everywhere(t, key, "maxmemory", of400Mi)
	limits(t, key, "400Mi")
	redisCLI(t, key, master, "del large")
	settled(t, key)
	everywhere(t, key, "maxmemory", of100Mi)
	limits(t, key, "100Mi")
	short(t, "while memory was to be lowered", l.stop())
	if diff := cmp.Diff(before, lives(t, key)); diff != "" {
		t.Errorf("processes:\n%s", diff)
	}
}

// The class of a pod (Guaranteed, Burstable) does not change while it runs.
func TestWhatTheAPIServerDoesNotResizeIsReplacedUnderLoad(t *testing.T) {
	t.Parallel()
	guaranteed := ofMemory("200Mi")
	guaranteed.Limits[corev1.ResourceCPU] = resource.MustParse("1")
	guaranteed.Requests = nil
	key := create(t, namespace(t), v1alpha1.RedisHASpec{Resources: guaranteed})
	former, epoch := podUIDs(t, key), epochOf(t, key)
	l := write(t, key, resources.RedisPort, nil, "sizes")
	burstable := *guaranteed.DeepCopy()
	burstable.Limits[corev1.ResourceMemory] = resource.MustParse("400Mi")
	burstable.Requests = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("32Mi")}
	sized(t, key, burstable)
	short(t, "while pods were replaced for their resources", l.stop())
	if n := left(t, key, former); n != 0 || epochOf(t, key) != epoch+1 {
		t.Errorf("%d pods were not replaced; epoch %d became %d", n, epoch, epochOf(t, key))
	}
	everywhere(t, key, "maxmemory", of400Mi)
	told(t, key, v1alpha1.EventNotResized, "Pod QOS Class may not change as a result of resizing")
}
