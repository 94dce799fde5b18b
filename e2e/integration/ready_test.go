// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

// kstatus reads a RedisHA again and again and returns when it is called as wanted. At each instant at which it is
// called finished, all of its pods have to be ready, its own, of the present spec, and none may be leaving.
func kstatus(t *testing.T, u *unstructured.Unstructured, want status.Status, within time.Duration) {
	t.Helper()
	last := ""
	for began := time.Now(); time.Since(began) < within; time.Sleep(2 * time.Millisecond) {
		if err := bed.Client.Get(t.Context(), client.ObjectKeyFromObject(u), u); err != nil {
			t.Fatal(err)
		}
		result, err := status.Compute(u)
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprintf("generation %d: %s: %s", u.GetGeneration(), result.Status, result.Message); text != last {
			last = text
			t.Log(text)
		}
		if result.Status == status.CurrentStatus {
			finished(t, u)
		}
		if result.Status == want {
			return
		}
	}
	t.Fatalf("not %s within %s: %s", want, within, last)
}

func finished(t *testing.T, u *unstructured.Unstructured) {
	t.Helper()
	rha := &v1alpha1.RedisHA{}
	if err := bed.Client.Get(t.Context(), client.ObjectKeyFromObject(u), rha); err != nil {
		t.Fatal(err)
	}
	pods := &corev1.PodList{}
	if err := bed.Client.List(
		t.Context(), pods, client.InNamespace(u.GetNamespace()),
		client.MatchingLabels(resources.SelectorLabels(u.GetName())),
	); err != nil {
		t.Fatal(err)
	}
	if want := int(resources.Replicas(rha)); len(pods.Items) != want {
		t.Errorf("called finished with %d pods of %d", len(pods.Items), want)
	}
	for _, pod := range pods.Items {
		ready := false
		for _, c := range pod.Status.Conditions {
			ready = ready || c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}
		present := pod.Annotations[v1alpha1.AnnotationSpecHash] == resources.SpecHash(rha) &&
			pod.Annotations[v1alpha1.AnnotationSettings] == resources.RecordOf(rha).String()
		if !ready || !present || pod.DeletionTimestamp != nil {
			t.Errorf(
				"called finished while %s is ready: %t, of the present spec: %t, leaving: %t", pod.Name, ready, present,
				pod.DeletionTimestamp != nil,
			)
		}
	}
}

// unfinished has nothing come of it for a while.
func unfinished(t *testing.T, u *unstructured.Unstructured, during time.Duration) {
	t.Helper()
	for began := time.Now(); time.Since(began) < during; time.Sleep(5 * time.Millisecond) {
		if err := bed.Client.Get(t.Context(), client.ObjectKeyFromObject(u), u); err != nil {
			t.Fatal(err)
		}
		if result, err := status.Compute(u); err != nil || result.Status != status.InProgressStatus {
			t.Fatalf("it is called %v: %v", result, err)
		}
	}
}

func patchSpec(t *testing.T, u *unstructured.Unstructured, patch string) {
	t.Helper()
	if err := bed.Client.Patch(
		t.Context(),
		u,
		client.RawPatch("application/merge-patch+json", []byte(`{"spec":`+patch+`}`)),
	); err != nil {
		t.Fatal(err)
	}
}

// TestNoInstantOfALifeIsCalledFinishedThatIsNot goes through a life as kstatus sees it.
func TestNoInstantOfALifeIsCalledFinishedThatIsNot(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	created := func() *unstructured.Unstructured {
		u := object(t, ns, "cache", "replicas: 2")
		if err := bed.Client.Create(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		// What the API server answers is the object before any controller has seen it.
		if result, err := status.Compute(u); err != nil || result.Status != status.InProgressStatus {
			t.Errorf("an object that was only just created is called %v: %v", result, err)
		}
		return u
	}
	u := created()
	kstatus(t, u, status.CurrentStatus, time.Minute)

	t.Log("a setting that only a start can change: every pod is replaced")
	patchSpec(t, u, `{"config":{"databases":"32"}}`)
	kstatus(t, u, status.CurrentStatus, time.Minute)

	t.Log("another setting: every process is told")
	patchSpec(t, u, `{"config":{"maxmemory":"64mb"}}`)
	if result, err := status.Compute(u); err != nil || result.Status != status.InProgressStatus {
		t.Errorf("a spec that was only just changed is called %v: %v", result, err)
	}
	kstatus(t, u, status.CurrentStatus, time.Minute)

	t.Log("a change that concerns no pod")
	patchSpec(t, u, `{"failover":{"downAfterMilliseconds":4000}}`)
	kstatus(t, u, status.CurrentStatus, time.Minute)

	t.Log("an image that is not there")
	patchSpec(t, u, `{"image":"redis:nonexistent"}`)
	unfinished(t, u, 8*time.Second)
	patchSpec(t, u, `{"image":"redis"}`)
	kstatus(t, u, status.CurrentStatus, time.Minute)

	t.Log("a password that is refused")
	patchSpec(t, u, `{"auth":{"passwordSecretRef":{"name":"nosuch"}}}`)
	unfinished(t, u, 3*time.Second)
	patchSpec(t, u, `{"auth":null}`)
	kstatus(t, u, status.CurrentStatus, time.Minute)

	t.Log("replace --force: the next one finds the pods of the one before it")
	for _, policy := range []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground} {
		if err := bed.Client.Delete(t.Context(), u, client.PropagationPolicy(policy)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the end of it", time.Minute, func(ctx context.Context) (bool, error) {
			err := bed.Client.Get(ctx, client.ObjectKeyFromObject(u), u)
			if err == nil {
				if result, err := status.Compute(u); err != nil || result.Status != status.TerminatingStatus {
					t.Errorf("while it is being deleted it is called %v: %v", result, err)
				}
			}
			return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
		})
		u = created()
		kstatus(t, u, status.CurrentStatus, 2*time.Minute)
	}
}
