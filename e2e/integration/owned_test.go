// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/sandbox"
)

// inventory lists what belongs to a RedisHA by its label, as kubectl get -l does.
func inventory(ctx context.Context, t *testing.T, key client.ObjectKey) map[string]client.Object {
	t.Helper()
	found := map[string]client.Object{}
	for _, list := range []client.ObjectList{
		&appsv1.StatefulSetList{}, &corev1.ServiceList{}, &corev1.ConfigMapList{}, &corev1.SecretList{},
		&policyv1.PodDisruptionBudgetList{}, &corev1.PersistentVolumeClaimList{},
	} {
		err := bed.Client.List(
			ctx, list, client.InNamespace(key.Namespace), client.MatchingLabels{v1alpha1.LabelName: key.Name},
		)
		if err != nil {
			t.Fatal(err)
		}
		err = meta.EachListItem(list, func(item runtime.Object) error {
			object, ok := item.(client.Object)
			if !ok {
				return fmt.Errorf("%T is not an object", item)
			}
			found[strings.TrimPrefix(fmt.Sprintf("%T", item), "*v1.")+" "+object.GetName()] = object
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// owned are the names that inventory finds for the RedisHA "cache" without storage.
var owned = []string{
	"StatefulSet cache", "Service cache-headless", "Service cache-master", "Service cache-replicas",
	"ConfigMap cache-config", "Secret cache-generated-auth", "Secret cache-generated-users", "Secret cache-conf-auth",
	"PodDisruptionBudget cache",
}

func TestEverythingOwnedIsListedByLabelAndComesBackWhenDeleted(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), v1alpha1.RedisHASpec{Replicas: ptr.To[int32](2)})
	ctx := within(t, 2*time.Minute)
	before := inventory(ctx, t, key)
	for _, name := range owned {
		if before[name] == nil {
			t.Errorf("%s is not listed", name)
			continue
		}
		if metav1.GetControllerOf(before[name]) == nil {
			t.Errorf("%s has no owner", name)
		}
	}
	if len(before) != len(owned) {
		t.Errorf("%d objects are listed, want %d: %v", len(before), len(owned), before)
	}
	password, err := bed.Password(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range owned {
		if name == "StatefulSet cache" {
			continue // its pods would go too; it is deleted as an orphan below
		}
		deleteAndAwait(t, key, before[name], name)
	}
	orphan := client.PropagationPolicy(metav1.DeletePropagationOrphan)
	deleteAndAwait(t, key, before["StatefulSet cache"], "StatefulSet cache", orphan)
	deleteAndAwait(t, key, masterSlice(t, key), "")
	if again, err := bed.Password(ctx, key); err != nil || again != password {
		t.Errorf("the password did not survive (%v)", err)
	}
	settled(t, key)
}

// masterSlice is the EndpointSlice behind the master's Service.
func masterSlice(t *testing.T, key client.ObjectKey) *discoveryv1.EndpointSlice {
	t.Helper()
	slice := &discoveryv1.EndpointSlice{}
	name := client.ObjectKey{Namespace: key.Namespace, Name: resources.MasterServiceName(key.Name)}
	if err := bed.Client.Get(t.Context(), name, slice); err != nil {
		t.Fatal(err)
	}
	return slice
}

func deleteAndAwait(
	t *testing.T, key client.ObjectKey, object client.Object, listed string, options ...client.DeleteOption,
) {
	t.Helper()
	gone := object.GetUID()
	if err := bed.Client.Delete(t.Context(), object, options...); err != nil {
		t.Fatal(err)
	}
	eventually(
		t,
		fmt.Sprintf("%T %s is there again", object, object.GetName()),
		30*time.Second,
		func(ctx context.Context) (bool, error) {
			err := bed.Client.Get(ctx, client.ObjectKeyFromObject(object), object)
			back := err == nil && object.GetUID() != gone && object.GetDeletionTimestamp().IsZero()
			return back && (listed == "" || inventory(ctx, t, key)[listed] != nil), client.IgnoreNotFound(err)
		},
	)
}

func TestEveryEditOfAnOwnedObjectIsRepaired(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), v1alpha1.RedisHASpec{Replicas: ptr.To[int32](2)})
	edits := map[string]struct {
		object string
		patch  string
	}{
		"the master's Service gets a selector": {"Service cache-master", `{"spec":{"selector":{"redisha.io/name":"cache"}}}`},
		"the replicas' Service leads to all":   {"Service cache-replicas", `{"spec":{"selector":{"redisha.io/role":null}}}`},
		"another port": {
			"Service cache-replicas",
			`{"spec":{"ports":[{"name":"redis","port":7000}]}}`,
		},
		"redis.conf":             {"ConfigMap cache-config", `{"data":{"redis.conf":"replicaof no one"}}`},
		"a file added":           {"ConfigMap cache-config", `{"data":{"x":"y"}}`},
		"the password":           {"Secret cache-generated-auth", `{"stringData":{"password":"x"}}`},
		"the mounted password":   {"Secret cache-conf-auth", `{"stringData":{"password":"x"}}`},
		"the budget":             {"PodDisruptionBudget cache", `{"spec":{"maxUnavailable":2}}`},
		"scaled behind our back": {"StatefulSet cache", `{"spec":{"replicas":3}}`},
		"the update strategy":    {"StatefulSet cache", `{"spec":{"updateStrategy":{"type":"RollingUpdate"}}}`},
		"labels": {
			"StatefulSet cache",
			`{"metadata":{"labels":{"app.kubernetes.io/name":"x","redisha.io/name":null}}}`,
		},
		"the owner": {"ConfigMap cache-config", `{"metadata":{"ownerReferences":[]}}`},
	}
	before := inventory(t.Context(), t, key)
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			want := asText(before[edit.object])
			object, _ := before[edit.object].DeepCopyObject().(client.Object)
			if err := bed.Client.Patch(
				t.Context(), object, client.RawPatch("application/merge-patch+json", []byte(edit.patch)),
			); err != nil {
				t.Fatal(err)
			}
			if asText(object) == want {
				t.Fatal("the edit changed nothing, so this tests nothing")
			}
			eventually(t, edit.object+" is as before", 20*time.Second, func(ctx context.Context) (bool, error) {
				now := inventory(ctx, t, key)[edit.object]
				return now != nil && asText(now) == want, nil
			})
		})
	}
	settled(t, key)
}

// asText is what matters of an owned object, as text.
func asText(object client.Object) string {
	var content any
	switch object := object.(type) {
	case *appsv1.StatefulSet:
		content = object.Spec
	case *corev1.Service:
		content = object.Spec
	case *corev1.ConfigMap:
		content = object.Data
	case *corev1.Secret:
		content = object.Data
	case *policyv1.PodDisruptionBudget:
		content = object.Spec
	}
	owners := make([]string, 0, 1)
	for _, owner := range object.GetOwnerReferences() {
		owners = append(owners, string(owner.UID))
	}
	text, err := json.Marshal([]any{content, object.GetLabels(), owners})
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func TestDeletingARedisHALeavesWhatRetentionSays(t *testing.T) {
	t.Parallel()
	for policy, left := range map[v1alpha1.RetentionPolicy]int{v1alpha1.RetentionRetain: 2, v1alpha1.RetentionDelete: 0} {
		t.Run(string(policy), func(t *testing.T) {
			key := create(t, namespace(t), v1alpha1.RedisHASpec{
				Replicas: ptr.To[int32](2),
				Storage: &v1alpha1.StorageSpec{
					Size:      resource.MustParse("1Gi"),
					Retention: v1alpha1.StorageRetention{WhenDeleted: policy},
				},
			})
			if got := len(inventory(t.Context(), t, key)); got != len(owned)+2 {
				t.Errorf("%d objects are listed, want the claims too", got)
			}
			rha, err := bed.Get(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if err := bed.Client.Delete(t.Context(), rha); err != nil {
				t.Fatal(err)
			}
			eventually(
				t,
				fmt.Sprintf("nothing but %d claims is left", left),
				time.Minute,
				func(ctx context.Context) (bool, error) {
					pods := &corev1.PodList{}
					err := bed.Client.List(ctx, pods, client.InNamespace(key.Namespace))
					endpoints := &discoveryv1.EndpointSliceList{}
					if err == nil {
						err = bed.Client.List(ctx, endpoints, client.InNamespace(key.Namespace))
					}
					return len(inventory(ctx, t, key)) == left && len(pods.Items) == 0 && len(endpoints.Items) == 0, err
				},
			)
		})
	}
}

// A tool that deploys an application named like the RedisHA deletes what has this label and no owner.
func TestRetainedClaimsDoNotLookLikeAnApps(t *testing.T) {
	t.Parallel()
	const label = "app.kubernetes.io/instance"
	ns := namespace(t)
	rha := &v1alpha1.RedisHA{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "cache"},
		Spec: v1alpha1.RedisHASpec{
			Replicas: ptr.To[int32](2),
			Storage:  &v1alpha1.StorageSpec{Size: resource.MustParse("1Gi")},
		},
	}
	sts := resources.StatefulSet(rha, 2) // as an earlier version made it: its template cannot be changed
	sts.Spec.VolumeClaimTemplates[0].Labels[label] = rha.Name
	if err := bed.Client.Create(t.Context(), sts); err != nil {
		t.Fatal(err)
	}
	key := client.ObjectKeyFromObject(rha)
	labelled := func(ctx context.Context) (claims, like int) {
		for _, object := range inventory(ctx, t, key) {
			if claim, is := object.(*corev1.PersistentVolumeClaim); is {
				claims++
				if claim.Labels[label] != "" {
					like++
				}
			}
		}
		return claims, like
	}
	eventually(
		t,
		"claims are there, as an earlier version labelled them",
		time.Minute,
		func(ctx context.Context) (bool, error) {
			claims, like := labelled(ctx)
			return claims == 2 && like == 2, nil
		},
	)
	if err := bed.Client.Create(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	settled(t, key)
	if c := conditionOf(t, key, v1alpha1.ConditionReconciled); c.Status != metav1.ConditionTrue {
		t.Errorf("%s: %s", c.Reason, c.Message)
	}
	if claims, like := labelled(t.Context()); claims != 2 || like != 0 {
		t.Errorf("%d of %d claims look like an app's", like, claims)
	}
}

func TestDeletingARedisHADoesNotWaitForASuccessorThatWillNeverBe(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), v1alpha1.RedisHASpec{})
	rha, err := bed.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := bed.Client.Delete(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	var leaving time.Time // the garbage collector comes when it comes
	eventually(t, "no pod is left", 2*time.Minute, func(ctx context.Context) (bool, error) {
		pods := &corev1.PodList{}
		err := bed.Client.List(ctx, pods, client.InNamespace(key.Namespace))
		for _, pod := range pods.Items {
			if pod.DeletionTimestamp != nil && leaving.IsZero() {
				leaving = time.Now()
			}
		}
		return len(pods.Items) == 0, err
	})
	// The master's preStop hook would hold it for 20 s, had it not been told that it is not master any more.
	if took := time.Since(leaving); !leaving.IsZero() && took > 15*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestAnOrphaningDeletionLeavesTheMasterServing(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), v1alpha1.RedisHASpec{})
	rha, err := bed.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	master := rha.Status.Master.Pod
	orphan := metav1.DeletePropagationOrphan
	if err := bed.Client.Delete(t.Context(), rha, &client.DeleteOptions{PropagationPolicy: &orphan}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the RedisHA is gone", time.Minute, func(ctx context.Context) (bool, error) {
		err := bed.Client.Get(ctx, key, &v1alpha1.RedisHA{})
		return client.IgnoreNotFound(err) == nil && err != nil, client.IgnoreNotFound(err)
	})
	time.Sleep(3 * time.Second) // whatever the operator would do to it, it would have done
	role, err := bed.Sandbox.Exec(t.Context(), key.Namespace, master, resources.RedisContainer, "sh", "-c",
		`REDISCLI_AUTH="$(cat /etc/redisha-auth/password)" redis-cli role`)
	if err != nil || !strings.HasPrefix(role, "master") {
		t.Errorf("the role of %s is %q, %v", master, role, err)
	}
	if left := len(inventory(t.Context(), t, key)); left != len(owned) {
		t.Errorf("%d objects are left of %d", left, len(owned))
	}
}

// What the API server fills in, and what a client of it does not tell, must not be taken for a difference.
func TestAPassThatFindsNothingToChangeWritesNothing(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	key := create(t, ns, v1alpha1.RedisHASpec{
		Replicas: ptr.To[int32](2),
		Storage:  &v1alpha1.StorageSpec{Size: resource.MustParse("0.0625Gi")}, // not as the API server writes it
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{
				corev1.ResourceCPU:    resource.MustParse("0.05"),
				corev1.ResourceMemory: resource.MustParse("0.03125Gi"),
			},
		},
		Config: map[string]v1alpha1.ConfigValue{"maxmemory": "16mb"},
		PodTemplate: &v1alpha1.PodTemplateSpec{
			Labels: map[string]v1alpha1.LabelValue{"team": "shop"},
			Tolerations: []corev1.Toleration{
				{Key: "spot", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute},
			},
			ExtraVolumes: []corev1.Volume{
				{Name: "more", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
			},
		},
		PodDisruptionBudget: v1alpha1.PodDisruptionBudgetSpec{
			Mode:           v1alpha1.BudgetEnabled,
			MaxUnavailable: ptr.To(intstr.FromInt32(1)),
		},
	})
	time.Sleep(3 * time.Second) // well is not yet at rest
	before := len(operatorWrites(t, ns))
	if before == 0 {
		t.Fatal("the audit log has no write of the operator, which has created a RedisHA's objects: it proves nothing")
	}
	for i := range 3 { // each is a pass of both controllers
		change(t, key, func(rha *v1alpha1.RedisHA) { rha.Annotations = map[string]string{"touched": strconv.Itoa(i)} })
		time.Sleep(time.Second)
	}
	for _, w := range operatorWrites(t, ns)[before:] {
		t.Errorf("a write though nothing differs: %s", w)
	}
}

func operatorWrites(t *testing.T, ns string) []sandbox.AuditWrite {
	t.Helper()
	all, err := bed.Sandbox.AuditWrites(sandbox.OperatorUser)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(w sandbox.AuditWrite) bool { return w.Namespace != ns })
}
