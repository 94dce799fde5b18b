// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/resources"
)

func named(name string) *v1alpha1.RedisHA {
	rha := controllertest.Shop(nil)
	rha.Name, rha.UID = name, types.UID(name+"-uid")
	return rha
}

func (w *world) pass(name string) {
	w.T.Helper()
	if _, err := w.reconciler.Reconcile(
		w.T.Context(), ctrl.Request{NamespacedName: controllertest.Key(name)},
	); err != nil {
		w.T.Fatalf("%s: %v", name, err)
	}
}

func (w *world) passwordOf(name string) string {
	w.T.Helper()
	secret := &corev1.Secret{}
	w.Get(resources.MountSecretName(name), secret)
	return string(secret.Data[resources.PasswordKey])
}

func TestTwoRedisHAOfWhichOneIsCalledLikeTheOthersObjectBothStart(t *testing.T) {
	for _, order := range [][]string{{"shop", "shop-conf"}, {"shop-conf", "shop"}} {
		w := newWorld(t, named("shop"), named("shop-conf"))
		for _, name := range order {
			w.pass(name)
			w.Get(name, &appsv1.StatefulSet{})
			rha := &v1alpha1.RedisHA{}
			w.Get(name, rha)
			if c := meta.FindStatusCondition(
				rha.Status.Conditions, v1alpha1.ConditionReconciled,
			); c == nil ||
				c.Status != metav1.ConditionTrue {
				t.Errorf("%v: Reconciled of %s is %+v", order, name, c)
			}
		}
		if w.passwordOf("shop") == w.passwordOf("shop-conf") {
			t.Errorf("%v: they share a password", order)
		}
	}
}

// Earlier versions kept the generated password in NAME-auth.
func TestAPasswordFromAnEarlierVersionStaysAndItsSecretMakesWayForAnother(t *testing.T) {
	former := func(rha *v1alpha1.RedisHA) *corev1.Secret {
		secret := resources.GeneratedSecret(rha, "from-before")
		secret.Name = resources.FormerSecretName(rha.Name)
		secret.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "RedisHA", Name: rha.Name, UID: rha.UID, Controller: ptr.To(true),
		}}
		return secret
	}
	for name, removed := range map[string]bool{"shop-conf": true, "cache": false} {
		w := newWorld(t, named(name), named("shop"), former(named(name)))
		w.pass(name)
		if got := w.passwordOf(name); got != "from-before" {
			t.Errorf("%s: the password was changed to %q", name, got)
		}
		generated := &corev1.Secret{}
		w.Get(resources.GeneratedSecretName(name), generated)
		if got := string(generated.Data[resources.PasswordKey]); got != "from-before" {
			t.Errorf("%s: generated anew: %q", name, got)
		}
		err := w.Client.Get(t.Context(), controllertest.Key(resources.FormerSecretName(name)), &corev1.Secret{})
		if apierrors.IsNotFound(err) != removed {
			t.Errorf("%s: the former Secret: %v; it is in another's way: %t", name, err, removed)
		}
		w.pass("shop") // whose password belongs where the former Secret was
		w.Get("shop", &appsv1.StatefulSet{})
	}
}

func TestWhoMeetsAnothersObjectIsNotToldToDeleteIt(t *testing.T) {
	foreign := func(change func(*corev1.Secret)) *corev1.Secret {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "store", Name: "shop-conf-auth"}}
		change(secret)
		return secret
	}
	for name, tc := range map[string]struct {
		secret *corev1.Secret
		says   string
		spares bool
	}{
		"controlled by another": {foreign(func(s *corev1.Secret) {
			s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "redisha.io/v1alpha1", Kind: "RedisHA", Name: "other", UID: "x", Controller: ptr.To(true)}}
		}), `belongs to RedisHA "other"`, true},
		"labelled as another's": {foreign(func(s *corev1.Secret) { s.Labels = resources.Labels("other") }), `belongs to RedisHA "other"`, true},
		"without an owner":      {foreign(func(*corev1.Secret) {}), "if nothing uses it", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, named("shop"), tc.secret)
			w.pass("shop")
			got := w.Condition(v1alpha1.ConditionReconciled)
			if got.Reason != v1alpha1.ReasonNotOwned || !strings.Contains(got.Message, tc.says) {
				t.Errorf("%s: %s", got.Reason, got.Message)
			}
			if strings.Contains(got.Message, "delete") == tc.spares {
				t.Errorf("the advice is %q", got.Message)
			}
		})
	}
}

// One object that the API server refuses, or that another one owns, holds none of the others up; only what cannot start
// without it waits.
func TestOneObjectThatCannotBeAppliedHoldsNoOtherUp(t *testing.T) {
	for refused, waits := range map[string]bool{
		"PodDisruptionBudget shop": false, "Service shop-headless": false, "Service shop-master": false, "Secret shop-generated-auth": false,
		"Secret shop-conf-auth": true, "ConfigMap shop-config": true,
	} {
		t.Run(refused, func(t *testing.T) {
			w := newWorld(t, named("shop"))
			w.reconciler.Client = interceptor.NewClient(w.Client, interceptor.Funcs{
				Apply: func(ctx context.Context, c client.WithWatch, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
					object := obj.(interface {
						GetKind() string
						GetName() string
					})
					if object.GetKind()+" "+object.GetName() == refused {
						return apierrors.NewInvalid(schema.GroupKind{Kind: object.GetKind()}, object.GetName(), nil)
					}
					return c.Apply(ctx, obj, opts...)
				},
			})
			w.pass("shop")
			objects := owned()
			for name, object := range objects {
				err := w.Client.Get(t.Context(), controllertest.Key(name), object)
				absent := strings.HasSuffix(refused, " "+name) && !strings.HasPrefix(refused, "PodDisruptionBudget") ||
					name == "shop" && waits
				if apierrors.IsNotFound(err) != absent {
					t.Errorf("%s: %v, want it absent: %t", name, err, absent)
				}
			}
			err := w.Client.Get(t.Context(), controllertest.Key("shop"), &policyv1.PodDisruptionBudget{})
			if apierrors.IsNotFound(err) != strings.HasPrefix(refused, "PodDisruptionBudget") {
				t.Errorf("the budget: %v", err)
			}
			got := w.Condition(v1alpha1.ConditionReconciled)
			if _, name, _ := strings.Cut(
				refused, " ",
			); got.Reason != v1alpha1.ReasonApplyFailed ||
				!strings.Contains(got.Message, `"`+name+`"`) {
				t.Errorf("Reconciled is %s: %s", got.Reason, got.Message)
			}
		})
	}
}

func TestEverythingThatFailedIsTold(t *testing.T) {
	got := reconciled(errors.Join(refuse("A", "first"), errors.Join(refuse("B", "second"), errors.New("third"))))
	if got.Reason != "A" || got.Message != "first; second; third" {
		t.Errorf("%s: %s", got.Reason, got.Message)
	}
}
