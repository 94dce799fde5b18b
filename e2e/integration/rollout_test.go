// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/checks"
)

// anotherEnvironment is a change that pods have to be replaced for.
func anotherEnvironment(rha *v1alpha1.RedisHA) {
	rha.Spec.PodTemplate = &v1alpha1.PodTemplateSpec{Env: []corev1.EnvVar{{Name: "TZ", Value: "UTC"}}}
}

func TestAChangedTemplateReplacesEveryPodAndSwitchesTheMasterOver(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), v1alpha1.RedisHASpec{})
	before, err := bed.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	old := podUIDs(t, key)
	change(t, key, anotherEnvironment)
	eventually(t, "no old pod is left", 2*time.Minute, func(context.Context) (bool, error) {
		for uid := range podUIDs(t, key) {
			if old[uid] {
				return false, nil
			}
		}
		return true, nil
	})
	after := settled(t, key)
	if after.Status.Master.Epoch != before.Status.Master.Epoch+1 {
		t.Errorf("epoch %d became %d, want one switchover", before.Status.Master.Epoch, after.Status.Master.Epoch)
	}
	for _, entry := range after.Status.History {
		if entry.Kind == v1alpha1.HistoryFailover {
			t.Errorf("a rollout needed a failover: %+v", entry)
		}
	}
}

func TestASupervisedChangeLeavesTheMasterUntilASwitchoverIsRequested(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	key := create(t, ns, v1alpha1.RedisHASpec{
		UpdateStrategy: v1alpha1.UpdateStrategySpec{Type: v1alpha1.UpdateSupervised},
	})
	before, old := settled(t, key), pods(t, key)
	master := before.Status.Master.Pod
	change(t, key, anotherEnvironment)
	waitsFor(t, key, v1alpha1.ReasonWaitingForApproval)
	time.Sleep(15 * time.Second) // longer than a pod has to be well before the next
	now := pods(t, key)
	for name, uid := range now {
		if replaced := uid != old[name]; replaced == (name == master) {
			t.Errorf("%s was replaced: %t; the master is %s", name, replaced, master)
		}
	}
	if rha, err := bed.Get(t.Context(), key); err != nil || rha.Status.Master.Epoch != before.Status.Master.Epoch {
		t.Errorf("a pod was promoted, or: %v", err)
	}
	request := ask(t, ns, "approve", v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover})
	answered(t, request, v1alpha1.RequestSucceeded, "", "is master by epoch")
	after := settled(t, key)
	if after.Status.Master.Epoch != before.Status.Master.Epoch+1 || pods(t, key)[master] == now[master] {
		t.Errorf(
			"epoch %d after %d, %s is %s",
			after.Status.Master.Epoch,
			before.Status.Master.Epoch,
			master,
			pods(t, key)[master],
		)
	}
}

// waitsFor waits until the condition Progressing says that a person is waited for, for that reason.
func waitsFor(t *testing.T, key client.ObjectKey, reason string) {
	t.Helper()
	eventually(t, "Progressing to be "+reason, 2*time.Minute, func(ctx context.Context) (bool, error) {
		rha, err := bed.Get(ctx, key)
		if err != nil {
			return false, err
		}
		c := meta.FindStatusCondition(rha.Status.Conditions, v1alpha1.ConditionProgressing)
		return c.Reason == reason && c.Status == metav1.ConditionFalse && c.ObservedGeneration == rha.Generation, nil
	})
}

func TestAChangeOnDeletionReplacesNoPodUntilARestartIsRequested(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	key := create(t, ns, v1alpha1.RedisHASpec{UpdateStrategy: v1alpha1.UpdateStrategySpec{Type: v1alpha1.UpdateOnDelete}})
	old := pods(t, key)
	change(t, key, anotherEnvironment)
	waitsFor(t, key, v1alpha1.ReasonWaitingForDeletion)
	if rha, err := bed.WaitSettled(within(t, time.Minute), key, nil); err != nil {
		t.Errorf("what is left to a person keeps %s from being ready: %v", rha.Name, err)
	}
	time.Sleep(15 * time.Second)
	if diff := cmp.Diff(old, pods(t, key)); diff != "" {
		t.Errorf("pods were replaced:\n%s", diff)
	}
	answered(
		t, ask(t, ns, "restart", v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionRestart}), v1alpha1.RequestSucceeded, "",
		"3 of 3 pods have been restarted",
	)
	settled(t, key)
	for name, uid := range pods(t, key) {
		if uid == old[name] {
			t.Errorf("%s was not restarted", name)
		}
	}
}

func podUIDs(t *testing.T, key client.ObjectKey) map[string]bool {
	t.Helper()
	uids := map[string]bool{}
	for _, uid := range pods(t, key) {
		uids[uid] = true
	}
	return uids
}

func TestABadImageStopsAtOnePodAndAGoodOneGoesOn(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), v1alpha1.RedisHASpec{})
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Image = "docker.io/library/redis:nonexistent" })
	eventually(t, "the rollout waits for the first pod", time.Minute, func(ctx context.Context) (bool, error) {
		rha, err := bed.Get(ctx, key)
		return err == nil && rha.Status.ReadyReplicas == 2 && !checks.UpToDate(rha), err
	})
	time.Sleep(5 * time.Second) // it must not go on
	rha, err := bed.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if rha.Status.ReadyReplicas != 2 || rha.Status.Failover.State != v1alpha1.StateStable {
		t.Errorf("%s ready and %s, want the rollout to stop at one pod", rha.Status.Ready, rha.Status.Failover.State)
	}
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Image = "docker.io/library/redis:7.2" })
	settled(t, key)
}

func TestABadFirstImageIsReplacedByAGoodOne(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	rha := &v1alpha1.RedisHA{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "cache"},
		Spec:       v1alpha1.RedisHASpec{Image: "docker.io/library/redis:nonexistent"},
	}
	if err := bed.Client.Create(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	key := client.ObjectKeyFromObject(rha)
	eventually(t, "the pods exist", time.Minute, func(ctx context.Context) (bool, error) {
		got, err := bed.Get(ctx, key)
		return err == nil && got.Status.Replicas == 3, err
	})
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Image = v1alpha1.DefaultImage })
	settled(t, key)
}

func TestScalingDownToOneSwitchesOverFromAMasterThatLeaves(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), v1alpha1.RedisHASpec{Replicas: ptr.To[int32](2)})
	first := &corev1.Pod{}
	if err := bed.Client.Get(
		t.Context(), client.ObjectKey{Namespace: key.Namespace, Name: resources.PodName(key.Name, 0)}, first,
	); err != nil {
		t.Fatal(err)
	}
	if err := bed.Client.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other pod is master", time.Minute, func(ctx context.Context) (bool, error) {
		rha, err := bed.Get(ctx, key)
		return err == nil && rha.Status.Master.Pod == resources.PodName(key.Name, 1), err
	})
	settled(t, key)
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Replicas = ptr.To[int32](1) })
	rha := settled(t, key)
	if rha.Status.Master.Pod != resources.PodName(key.Name, 0) {
		t.Errorf("the master is %s, want the only pod left", rha.Status.Master.Pod)
	}
	for _, entry := range rha.Status.History {
		if entry.Kind == v1alpha1.HistoryFailover {
			t.Errorf("scaling needed a failover: %+v", entry)
		}
	}
}

func TestAMissingSecretIsNamedAndComingLateIsEnough(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	rha := &v1alpha1.RedisHA{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "cache"},
		Spec: v1alpha1.RedisHASpec{
			Replicas: ptr.To[int32](1),
			Auth:     &v1alpha1.AuthSpec{PasswordSecretRef: v1alpha1.SecretKeyReference{Name: "mine"}},
		},
	}
	if err := bed.Client.Create(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	key := client.ObjectKeyFromObject(rha)
	eventually(t, "the condition names the missing Secret", time.Minute, func(ctx context.Context) (bool, error) {
		got, err := bed.Get(ctx, key)
		if err != nil {
			return false, err
		}
		for _, condition := range got.Status.Conditions {
			if condition.Type == v1alpha1.ConditionReconciled && condition.Reason == v1alpha1.ReasonSecretNotFound {
				return true, nil
			}
		}
		return false, nil
	})
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "mine"},
		StringData: map[string]string{"password": "a b\"c"},
	}
	if err := bed.Client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	settled(t, key)
}
