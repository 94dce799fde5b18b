// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/accounts"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/checks"
	"github.com/redisha/redisha/redisclient"
)

// redisCLI asks a pod's Redis from within its container.
func redisCLI(t *testing.T, key client.ObjectKey, pod, command string) string {
	t.Helper()
	out, err := bed.Sandbox.Exec(t.Context(), key.Namespace, pod, resources.RedisContainer, "sh", "-c",
		`REDISCLI_AUTH="$(cat /etc/redisha-auth/password)" redis-cli `+command)
	if err != nil {
		t.Fatalf("redis-cli %s: %v %s", command, err, out)
	}
	return strings.TrimSpace(out)
}

// asOperator asks as the operator does, who may do what an application may not.
func asOperator(t *testing.T, key client.ObjectKey, pod, command string) (string, error) {
	t.Helper()
	mounted := &corev1.Secret{}
	name := client.ObjectKey{Namespace: key.Namespace, Name: resources.MountSecretName(key.Name)}
	if err := bed.Client.Get(t.Context(), name, mounted); err != nil {
		return "", err
	}
	return runAs(t, key, pod, accounts.In(mounted.Data, resources.PasswordKey).Shown()[0], command)
}

// runAs asks a pod's Redis as a user, from within its container, whatever ports it takes.
func runAs(
	t *testing.T,
	key client.ObjectKey,
	pod string,
	who redisclient.Credentials,
	command string,
) (string, error) {
	t.Helper()
	out, err := bed.Sandbox.Exec(
		t.Context(), key.Namespace, pod, resources.RedisContainer, "sh", "-c", fmt.Sprintf(
			"redis-cli --no-auth-warning -s /tmp/redisha.sock --user %s -a '%s' %s 2>&1", who.User, who.Password, command,
		))
	return strings.TrimSpace(out), err
}

func mustAsOperator(t *testing.T, key client.ObjectKey, pod, command string) string {
	t.Helper()
	out, err := asOperator(t, key, pod, command)
	if err != nil {
		t.Fatalf("%s: %v %s", command, err, out)
	}
	return out
}

func TestPersistenceThatIsChangedKeepsTheDataOfAnOnlyPod(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), v1alpha1.RedisHASpec{
		Replicas: ptr.To[int32](1), Storage: &v1alpha1.StorageSpec{},
		Config: map[string]v1alpha1.ConfigValue{"appendonly": "no", "save": "60 1"},
	})
	pod := resources.PodName(key.Name, 0)
	for step, config := range []map[string]v1alpha1.ConfigValue{
		{"appendonly": "yes", "save": "60 1"},
		{"appendonly": "yes", "save": `""`, "appenddirname": "aof", "appendfilename": "shop.aof"},
		{"appendonly": "no", "save": "60 1", "dbfilename": "shop.rdb"},
		{"appendonly": "yes", "save": `""`, "dbfilename": "shop.rdb"},
	} {
		want := fmt.Sprint("v", step) // written after the last snapshot
		redisCLI(t, key, pod, "set k "+want)
		change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Config = config })
		eventually(t, "the pod runs with the new settings", time.Minute, func(ctx context.Context) (bool, error) {
			rha, err := bed.Get(ctx, key)
			return err == nil && checks.UpToDate(rha), err
		})
		settled(t, key)
		if got := redisCLI(t, key, pod, "get k"); got != want {
			t.Errorf("with %v k is %q", config, got)
		}
	}
}

// A person restores a claim by its name, with labels of their own, and its pod is long in coming: the place of ordinal
// 0 is taken by a pod that finds no node.
func TestARestoredClaimIsWaitedForAndItsDataIsServed(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	key := create(t, ns, v1alpha1.RedisHASpec{Replicas: ptr.To[int32](1), Storage: &v1alpha1.StorageSpec{}})
	first := resources.PodName(key.Name, 0)
	redisCLI(t, key, first, "set k v")
	rha, err := bed.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := bed.Client.Delete(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod is gone", time.Minute, func(ctx context.Context) (bool, error) {
		pods := &corev1.PodList{}
		err := bed.Client.List(ctx, pods, client.InNamespace(ns))
		return len(pods.Items) == 0, err
	})
	claim := &corev1.PersistentVolumeClaim{}
	if err := bed.Client.Get(
		t.Context(), client.ObjectKey{Namespace: ns, Name: resources.ClaimName(key.Name, 0)}, claim,
	); err != nil {
		t.Fatal(err)
	}
	before := claim.DeepCopy()
	claim.Labels = map[string]string{"restored": "yes"}
	delete(claim.Annotations, v1alpha1.AnnotationMadeFor)
	if err := bed.Client.Patch(t.Context(), claim, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	squatter := placeholder(ns, first)
	if err := bed.Client.Create(t.Context(), squatter); err != nil {
		t.Fatal(err)
	}
	again := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: key.Name}, Spec: v1alpha1.RedisHASpec{
		Replicas: ptr.To[int32](2), Storage: &v1alpha1.StorageSpec{},
	}}
	if err := bed.Client.Create(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it says that it waits for the data", 30*time.Second, func(ctx context.Context) (bool, error) {
		return conditionOf(t, key, v1alpha1.ConditionInitialized).Reason == v1alpha1.ReasonWaitingForData, ctx.Err()
	})
	time.Sleep(12 * time.Second)
	if rha, err = bed.Get(t.Context(), key); err != nil || rha.Status.Master != nil {
		t.Fatalf("%v, master %+v: an empty pod became master before the one with the data was there", err, rha.Status.Master)
	}
	if err := bed.Client.Delete(t.Context(), squatter, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	if rha := settled(t, key); rha.Status.Master.Pod != first {
		t.Errorf("%s is master", rha.Status.Master.Pod)
	}
	for _, pod := range []string{first, resources.PodName(key.Name, 1)} {
		if got := redisCLI(t, key, pod, "get k"); got != "v" {
			t.Errorf("%s: k is %q", pod, got)
		}
	}
}

// placeholder is a pod that no node takes.
func placeholder(ns, name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: corev1.PodSpec{
		NodeSelector:                  map[string]string{"no": "such"},
		TerminationGracePeriodSeconds: ptr.To[int64](0),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{Name: "c", Image: "none", SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}}},
	}}
}
