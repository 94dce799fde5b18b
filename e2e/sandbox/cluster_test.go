// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/redisha/redisha/e2e/sandbox"
)

func TestVolumeFollowsItsClaim(t *testing.T) {
	namespace := newNamespace(t)
	apply(t, namespace, `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: disk}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
`+strings.Replace(redisPod("user"), "emptyDir: {}", "persistentVolumeClaim: {claimName: disk}", 1))
	claims := client.CoreV1().PersistentVolumeClaims(namespace)
	var claim *corev1.PersistentVolumeClaim
	capacity := func(want string) {
		t.Helper()
		check(t, sandbox.WaitFor(within(t), "the claim to be bound with "+want, func(ctx context.Context) (bool, error) {
			var err error
			claim, err = claims.Get(ctx, "disk", metav1.GetOptions{})
			return err == nil && claim.Status.Phase == corev1.ClaimBound && claim.Status.Capacity.Storage().String() == want, err
		}))
	}
	capacity("1Mi")
	_, err := claims.Patch(
		within(t),
		"disk",
		types.MergePatchType,
		[]byte(`{"spec":{"resources":{"requests":{"storage":"2Mi"}}}}`),
		metav1.PatchOptions{},
	)
	check(t, err)
	capacity("2Mi")
	check(t, claims.Delete(within(t), "disk", metav1.DeleteOptions{}))
	check(t, client.CoreV1().Pods(namespace).Delete(within(t), "user", metav1.DeleteOptions{}))
	check(t, sandbox.WaitFor(within(t), "the volume to be gone", func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	}))
}

func TestNoPodGoesToACordonedNode(t *testing.T) {
	namespace := newNamespace(t)
	cordon := func(value string) {
		t.Helper()
		_, err := client.CoreV1().
			Nodes().
			Patch(context.Background(), sandbox.NodeName(2), types.MergePatchType, []byte(`{"spec":{"unschedulable":`+value+`}}`), metav1.PatchOptions{})
		check(t, err)
	}
	cordon("true")
	t.Cleanup(func() { cordon("false") })
	apply(
		t,
		namespace,
		strings.Replace(
			redisPod("bound"), "spec:", "spec:\n  nodeSelector: {kubernetes.io/hostname: "+sandbox.NodeName(2)+"}", 1,
		)+redisPod(
			"free",
		),
	)
	waitPod(t, namespace, "bound", "unschedulable", func(pod *corev1.Pod) bool {
		return pod.Spec.NodeName == "" && len(pod.Status.Conditions) > 0 &&
			pod.Status.Conditions[0].Reason == corev1.PodReasonUnschedulable
	})
	if pod := ready(t, namespace, "free"); pod.Spec.NodeName == sandbox.NodeName(2) {
		t.Error("a pod went to the cordoned node")
	}
	cordon("false")
	ready(t, namespace, "bound")
}

// As it is for a pod in a new namespace: the default ServiceAccount, without which no pod is admitted, comes a moment
// later.
func TestAPodCanBeAppliedBeforeItsServiceAccountIsThere(t *testing.T) {
	namespace := newNamespace(t)
	late := time.AfterFunc(time.Second, func() {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "late"}}
		if _, err := client.CoreV1().
			ServiceAccounts(namespace).
			Create(context.Background(), account, metav1.CreateOptions{}); err != nil {
			t.Error(err)
		}
	})
	apply(t, namespace, strings.Replace(redisPod("one"), "spec:", "spec:\n  serviceAccountName: late", 1))
	if late.Stop() {
		t.Error("the pod was admitted without its ServiceAccount")
	}
	ready(t, namespace, "one")
}
