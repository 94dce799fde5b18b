// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/resources"
)

// world is a fake API server, and the workload controller on it.
type world struct {
	*controllertest.API

	reconciler *Reconciler
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	a := controllertest.New(t, objects...)
	return &world{API: a, reconciler: &Reconciler{Client: a.Client, APIReader: a.Client, Recorder: a.Events}}
}

// reconcile makes a pass and returns the writes it made.
func (w *world) reconcile() []string {
	w.T.Helper()
	w.Writes = nil
	if _, err := w.reconciler.Reconcile(
		w.T.Context(), ctrl.Request{NamespacedName: controllertest.Key("shop")},
	); err != nil {
		w.T.Fatalf("Reconcile: %v", err)
	}
	return slices.Clone(w.Writes)
}

// owned are all objects of a RedisHA with defaults.
func owned() map[string]client.Object {
	return map[string]client.Object{
		"shop":                &appsv1.StatefulSet{},
		"shop-headless":       &corev1.Service{},
		"shop-master":         &corev1.Service{},
		"shop-replicas":       &corev1.Service{},
		"shop-config":         &corev1.ConfigMap{},
		"shop-generated-auth": &corev1.Secret{},
		"shop-conf-auth":      &corev1.Secret{},
	}
}

func TestEverythingIsCreatedOwnedAndThenNothingIsWritten(t *testing.T) {
	w := newWorld(t, controllertest.Shop(nil))
	w.reconcile()
	objects := owned()
	objects["shop"] = &appsv1.StatefulSet{}
	for name, object := range objects {
		w.Get(name, object)
		if owner := metav1.GetControllerOf(object); owner == nil || owner.UID != "rha-uid" {
			t.Errorf("%T %s is not owned: %v", object, name, owner)
		}
	}
	pdb := &policyv1.PodDisruptionBudget{}
	w.Get("shop", pdb)
	w.reconcile() // sees the StatefulSet and settles the status
	if writes := w.reconcile(); len(writes) > 0 {
		t.Errorf("a settled RedisHA was written to: %q", writes)
	}
	if got := w.Condition(v1alpha1.ConditionReconciled); got.Status != metav1.ConditionTrue {
		t.Errorf("Reconciled is %s: %s", got.Status, got.Message)
	}
}

func TestDeletedObjectsComeBackWithTheSamePassword(t *testing.T) {
	w := newWorld(t, controllertest.Shop(nil))
	w.reconcile()
	before := &corev1.Secret{}
	w.Get("shop-generated-auth", before)
	for name, object := range owned() {
		w.Get(name, object)
		if err := w.Client.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	w.reconcile()
	for name, object := range owned() {
		w.Get(name, object)
	}
	after := &corev1.Secret{}
	w.Get("shop-generated-auth", after)
	if string(before.Data["password"]) != string(after.Data["password"]) {
		t.Error("the password was generated anew, which locks everybody out of the running Redis")
	}
}

func TestDriftIsRepairedAndOthersFieldsAreLeftAlone(t *testing.T) {
	edits := map[string]func(w *world) client.Object{
		"a selector added to the master's Service": func(w *world) client.Object {
			svc := &corev1.Service{}
			w.Get("shop-master", svc)
			svc.Spec.Selector = map[string]string{"app": "x"}
			return svc
		},
		"another port": func(w *world) client.Object {
			svc := &corev1.Service{}
			w.Get("shop-replicas", svc)
			svc.Spec.Ports[0].Port = 7000
			return svc
		},
		"redis.conf edited": func(w *world) client.Object {
			cm := &corev1.ConfigMap{}
			w.Get("shop-config", cm)
			cm.Data["redis.conf"] += "appendonly yes\n"
			return cm
		},
		"the generated password edited": func(w *world) client.Object {
			secret := &corev1.Secret{}
			w.Get("shop-generated-auth", secret)
			secret.Data["password"] = []byte("other")
			return secret
		},
		"the mounted password edited": func(w *world) client.Object {
			secret := &corev1.Secret{}
			w.Get("shop-conf-auth", secret)
			secret.Data["password"] = []byte("other")
			return secret
		},
		"the StatefulSet scaled and another image": func(w *world) client.Object {
			sts := &appsv1.StatefulSet{}
			w.Get("shop", sts)
			sts.Spec.Replicas = ptr.To[int32](7)
			sts.Spec.Template.Spec.Containers[0].Image = "other"
			return sts
		},
		"a container added": func(w *world) client.Object {
			sts := &appsv1.StatefulSet{}
			w.Get("shop", sts)
			sts.Spec.Template.Spec.Containers = append(
				sts.Spec.Template.Spec.Containers, corev1.Container{Name: "x", Image: "x"},
			)
			return sts
		},
		"labels and owner removed": func(w *world) client.Object {
			sts := &appsv1.StatefulSet{}
			w.Get("shop", sts)
			sts.Labels = map[string]string{v1alpha1.LabelName: "shop"}
			sts.OwnerReferences = nil
			return sts
		},
		"the budget's limit raised": func(w *world) client.Object {
			pdb := &policyv1.PodDisruptionBudget{}
			w.Get("shop", pdb)
			pdb.Spec.MaxUnavailable.IntVal = 3
			return pdb
		},
	}
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, controllertest.Shop(nil))
			w.reconcile()
			w.reconcile()
			before := w.clean(edit(w))
			object := edit(w)
			object.SetAnnotations(merged(object.GetAnnotations(), "example.com/note", "kept"))
			if err := w.Client.Update(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			if writes := w.reconcile(); len(writes) == 0 {
				t.Fatal("nothing was repaired")
			}
			after := w.clean(object)
			if after.GetAnnotations()["example.com/note"] != "kept" {
				t.Error("an annotation of another tool was removed")
			}
			before.SetAnnotations(merged(before.GetAnnotations(), "example.com/note", "kept"))
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("not repaired (-before +after):\n%s", diff)
			}
			w.reconcile() // the status sees the repaired StatefulSet
			if writes := w.reconcile(); len(writes) > 0 {
				t.Errorf("written again after the repair: %q", writes)
			}
		})
	}
}

// clean is the object as it is now, without what changes at every write.
func (w *world) clean(object client.Object) client.Object {
	w.T.Helper()
	now, _ := object.DeepCopyObject().(client.Object)
	w.Get(object.GetName(), now)
	now.SetResourceVersion("")
	now.SetManagedFields(nil)
	now.SetGeneration(0)
	return now
}

func merged(m map[string]string, key, value string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

func TestAFieldNoLongerWantedIsRemoved(t *testing.T) {
	w := newWorld(t, controllertest.Shop(func(rha *v1alpha1.RedisHA) {
		rha.Spec.Services.Master.Annotations = map[string]string{"lb": "internal"}
	}))
	w.reconcile()
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	rha.Spec.Services.Master.Annotations = nil
	rha.Spec.PodDisruptionBudget.Mode = v1alpha1.BudgetDisabled
	if err := w.Client.Update(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	svc := &corev1.Service{}
	w.Get("shop-master", svc)
	if _, found := svc.Annotations["lb"]; found {
		t.Errorf("the annotation is still there: %v", svc.Annotations)
	}
	err := w.Client.Get(t.Context(), controllertest.Key("shop"), &policyv1.PodDisruptionBudget{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the disabled budget is still there: %v", err)
	}
}

func TestAForeignObjectIsNotTaken(t *testing.T) {
	foreign := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "shop-config", Namespace: "store"},
		Data:       map[string]string{"a": "b"},
	}
	w := newWorld(t, controllertest.Shop(nil), foreign)
	w.reconcile()
	got := w.Condition(v1alpha1.ConditionReconciled)
	if got.Reason != v1alpha1.ReasonNotOwned || !strings.Contains(got.Message, "shop-config") {
		t.Errorf("Reconciled is %s: %s", got.Reason, got.Message)
	}
	cm := &corev1.ConfigMap{}
	w.Get("shop-config", cm)
	if len(cm.Data) != 1 || len(cm.OwnerReferences) != 0 {
		t.Errorf("a ConfigMap of another owner was changed: %v", cm)
	}
}

func TestAUsersSecretThatCannotBeUsedIsNamedWithTheRemedy(t *testing.T) {
	secret := func(value string) *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "mine", Namespace: "store"},
			Data:       map[string][]byte{"password": []byte(value)},
		}
	}
	tests := map[string]struct {
		secret *corev1.Secret
		reason string
		says   []string
	}{
		"missing": {
			reason: v1alpha1.ReasonSecretNotFound,
			says:   []string{"spec.auth.passwordSecretRef.name", `"mine"`, "create it"},
		},
		"no value": {
			secret: secret(""),
			reason: v1alpha1.ReasonSecretKeyMissing,
			says:   []string{"spec.auth.passwordSecretRef.key", `"password"`},
		},
		"a line break": {
			secret: secret("s3cret\n"), reason: v1alpha1.ReasonPasswordInvalid, says: []string{"spec.auth", "printf"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			objects := []client.Object{controllertest.Shop(func(rha *v1alpha1.RedisHA) {
				rha.Spec.Auth = &v1alpha1.AuthSpec{PasswordSecretRef: v1alpha1.SecretKeyReference{Name: "mine"}}
			})}
			if tc.secret != nil {
				objects = append(objects, tc.secret)
			}
			w := newWorld(t, objects...)
			w.reconcile()
			got := w.Condition(v1alpha1.ConditionReconciled)
			if got.Reason != tc.reason {
				t.Errorf("reason %s, want %s", got.Reason, tc.reason)
			}
			for _, part := range tc.says {
				if !strings.Contains(got.Message, part) {
					t.Errorf("the message %q does not say %q", got.Message, part)
				}
			}
			if strings.Contains(got.Message, "s3cret") {
				t.Errorf("the message holds the password: %s", got.Message)
			}
			if event := <-w.Events.Events; !strings.Contains(event, tc.reason) || strings.Contains(event, "s3cret") {
				t.Errorf("event %q", event)
			}
		})
	}
}

func TestClaimsGrowAndTheTemplateStays(t *testing.T) {
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name:      "data-shop-0",
			Namespace: "store",
			Labels:    map[string]string{v1alpha1.LabelName: "shop"},
		},
		Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
		}},
	}
	w := newWorld(t, claim, controllertest.Shop(func(rha *v1alpha1.RedisHA) {
		rha.Spec.Storage = &v1alpha1.StorageSpec{Size: resource.MustParse("1Gi")}
	}))
	w.reconcile()
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	rha.Spec.Storage.Size = resource.MustParse("3Gi")
	if err := w.Client.Update(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	w.Get("data-shop-0", claim)
	if got := claim.Spec.Resources.Requests.Storage().String(); got != "3Gi" {
		t.Errorf("the claim has %s", got)
	}
	sts := &appsv1.StatefulSet{}
	w.Get("shop", sts)
	if got := sts.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String(); got != "1Gi" {
		t.Errorf("the immutable template was changed to %s", got)
	}
	w.reconcile()
	if writes := w.reconcile(); len(writes) > 0 {
		t.Errorf("written again: %q", writes)
	}
}

func TestTheClaimsOfAnEarlierVersionLookNoMoreLikeAnApps(t *testing.T) {
	const label = "app.kubernetes.io/instance"
	withStorage := func(rha *v1alpha1.RedisHA) { rha.Spec.Storage = &v1alpha1.StorageSpec{} }
	w := newWorld(t, controllertest.Shop(withStorage))
	w.reconcile()
	sts := &appsv1.StatefulSet{}
	w.Get("shop", sts)
	if got := sts.Spec.VolumeClaimTemplates[0].Labels; got[label] != "" || got[v1alpha1.LabelName] != "shop" {
		t.Errorf("a new claim is labelled %v", got)
	}
	sts.Spec.VolumeClaimTemplates[0].Labels[label] = "shop" // as an earlier version made it; it cannot be changed
	if err := w.Client.Update(t.Context(), sts); err != nil {
		t.Fatal(err)
	}
	for ordinal, app := range []string{"shop", "of a person's own"} {
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
			Name: resources.ClaimName(
				"shop", ordinal,
			),
			Namespace: "store",
			Labels:    map[string]string{v1alpha1.LabelName: "shop", label: app},
		}}
		claim.Spec.Resources.Requests = corev1.ResourceList{
			corev1.ResourceStorage: resource.MustParse(v1alpha1.DefaultStorageSize),
		}
		if err := w.Client.Create(t.Context(), claim); err != nil {
			t.Fatal(err)
		}
	}
	w.reconcile()
	for ordinal, want := range []string{"", "of a person's own"} {
		claim := &corev1.PersistentVolumeClaim{}
		w.Get(resources.ClaimName("shop", ordinal), claim)
		if claim.Labels[label] != want || claim.Labels[v1alpha1.LabelName] != "shop" {
			t.Errorf("claim %d is labelled %v", ordinal, claim.Labels)
		}
	}
	w.Get("shop", sts)
	if sts.Spec.VolumeClaimTemplates[0].Labels[label] != "shop" {
		t.Error("the immutable template was changed")
	}
	w.reconcile()
	if writes := w.reconcile(); len(writes) > 0 {
		t.Errorf("written again: %q", writes)
	}
}

func TestAStatefulSetIsScaledDownWhenThoseThatStayAreInSync(t *testing.T) {
	w := newWorld(t, controllertest.Shop(func(rha *v1alpha1.RedisHA) { rha.Spec.Replicas = ptr.To[int32](4) }))
	w.reconcile()
	for ordinal := range 4 {
		pod := controllertest.RunningPod(resources.PodName("shop", ordinal), "")
		pod.Namespace, pod.Labels = "store", resources.Labels("shop")
		controllertest.Unready(&pod)
		if err := w.Client.Create(t.Context(), &pod); err != nil {
			t.Fatal(err)
		}
	}
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	rha.Spec.Replicas = ptr.To[int32](3)
	if err := w.Client.Update(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	rha.Status.Master = &v1alpha1.MasterStatus{NodeRef: v1alpha1.NodeRef{Pod: "shop-0"}}
	rha.Status.Failover = &v1alpha1.FailoverStatus{State: v1alpha1.StateStable}
	if err := w.Client.Status().Update(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int32{4, 3} {
		w.reconcile()
		sts := &appsv1.StatefulSet{}
		w.Get("shop", sts)
		if got := ptr.Deref(sts.Spec.Replicas, 1); got != want {
			t.Fatalf("%d replicas, want %d", got, want)
		}
		pod := &corev1.Pod{}
		w.Get("shop-1", pod)
		pod.Status.Conditions[0].Status, pod.Status.ContainerStatuses[0].Ready = corev1.ConditionTrue, true
		if err := w.Client.Status().Update(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
	}
}
