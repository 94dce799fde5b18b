// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
)

// cause waits until Progressing and Ready of a RedisHA name a cause in these words, and an Event does.
func cause(t *testing.T, key client.ObjectKey, reason string, says ...string) {
	t.Helper()
	var last string
	eventually(t, "the cause "+reason, time.Minute, func(ctx context.Context) (bool, error) {
		rha, err := bed.Get(ctx, key)
		if err != nil {
			return false, err
		}
		progressing := meta.FindStatusCondition(rha.Status.Conditions, v1alpha1.ConditionProgressing)
		ready := meta.FindStatusCondition(rha.Status.Conditions, v1alpha1.ConditionReady)
		if progressing == nil || ready == nil {
			return false, nil
		}
		if text := progressing.Reason + ": " + progressing.Message; text != last {
			last = text
			t.Log(text)
		}
		return progressing.Status == metav1.ConditionTrue && progressing.Reason == reason &&
			ready.Status == metav1.ConditionFalse &&
			ready.Reason == reason &&
			ready.Message == progressing.Message, nil
	})
	for _, part := range says {
		if !strings.Contains(last, part) {
			t.Errorf("it does not say %q: %s", part, last)
		}
	}
	eventually(t, "an Event of it", 20*time.Second, func(ctx context.Context) (bool, error) {
		events := &corev1.EventList{}
		err := bed.Client.List(ctx, events, client.InNamespace(key.Namespace))
		for _, e := range events.Items {
			if e.InvolvedObject.Kind == "RedisHA" && e.Reason == reason && e.Type == corev1.EventTypeWarning {
				return true, nil
			}
		}
		return false, err
	})
}

// born makes a RedisHA of one pod, and waits for nothing.
func born(t *testing.T, ns, name, spec string) client.ObjectKey {
	t.Helper()
	u := object(t, ns, name, "replicas: 1\n"+spec)
	if err := bed.Client.Create(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	return client.ObjectKeyFromObject(u)
}

func TestWhyAPodDoesNotRunIsTold(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	for name, tc := range map[string]struct {
		spec, reason string
		says         []string
	}{
		"setting": {`config: {maxmemory: 4Gi}`, v1alpha1.ReasonContainerFailing, []string{"setting-0", "maxmemory", "argument must be a memory value"}},
		"image":   {`image: redis:nonexistent`, v1alpha1.ReasonImageNotPulled, []string{"image-0", "redis:nonexistent", "not found"}},
		"sidecar": {`podTemplate: {extraContainers: [` + restricted("exporter", "sh", "-c", "echo unknown flag; exit 2") + `]}`,
			v1alpha1.ReasonContainerFailing, []string{"exporter", "exit code 2"}},
		"selector": {`podTemplate: {nodeSelector: {no: such}}`, v1alpha1.ReasonUnschedulable, []string{"selector-0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cause(t, born(t, ns, name, tc.spec), tc.reason, tc.says...)
		})
	}
}

// restricted is a container as the Restricted Pod Security standard wants it.
func restricted(name string, command ...string) string {
	return `{name: ` + name + `, image: redis, command: ["` + strings.Join(command, `", "`) + `"], ` +
		`securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}`
}

func TestWhyThereIsNoPodIsTold(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	for name, tc := range map[string]struct {
		spec string
		says []string
	}{
		"account":  {`podTemplate: {serviceAccountName: nosuch}`, []string{"account-0", `serviceaccount "nosuch" not found`}},
		"priority": {`podTemplate: {priorityClassName: nosuch}`, []string{"priority-0", "no PriorityClass with name nosuch"}},
		"security": {`podTemplate: {securityContext: {runAsNonRoot: false}}`, []string{"security-0", "PodSecurity"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cause(t, born(t, ns, name, tc.spec), v1alpha1.ReasonFailedCreate, tc.says...)
		})
	}
}

func TestAQuotaIsToldAndItsEndIsTheEndOfIt(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "small"},
		Spec: corev1.ResourceQuotaSpec{
			Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")},
		},
	}
	if err := bed.Client.Create(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	quota.Status = corev1.ResourceQuotaStatus{
		Hard: quota.Spec.Hard,
		Used: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")},
	}
	if err := bed.Client.Status().
		Update(t.Context(), quota); err != nil { // as the quota controller does, which the sandbox lacks
		t.Fatal(err)
	}
	key := born(t, ns, "cache", "")
	cause(t, key, v1alpha1.ReasonFailedCreate, "cache-0", "exceeded quota: small")
	if err := bed.Client.Delete(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	settled(t, key)
}
