// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

// teller is told what is said to each process.
type teller struct {
	passwords map[string]redisclient.Passwords // by pod
	deaf      string                           // a pod that says nothing
	refuses   error                            // what every other one says
	redis     map[string]*redis                // by pod
}

func (tl *teller) Encrypt(_ context.Context, _ string, node failover.NodeRef, _ redisclient.Encryption) error {
	if node.Pod == tl.deaf {
		return context.DeadlineExceeded
	}
	return tl.refuses
}

func (tl *teller) SetPasswords(_ context.Context, _ string, node failover.NodeRef, p redisclient.Passwords) error {
	if node.Pod == tl.deaf {
		return context.DeadlineExceeded
	}
	if tl.refuses == nil {
		tl.passwords[node.Pod] = p
	}
	return tl.refuses
}

// rotating is a set of three, with a password of the user's and processes that can be told.
func rotating(t *testing.T) (*world, *teller, *corev1.Secret, *clocktesting.FakeClock) {
	t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "mine", Namespace: "store"},
		Data:       map[string][]byte{"password": []byte("first")},
	}
	w := newWorld(t, secret, controllertest.Shop(func(rha *v1alpha1.RedisHA) {
		rha.Spec.Auth = &v1alpha1.AuthSpec{
			PasswordSecretRef: v1alpha1.SecretKeyReference{Name: "mine"}, AcceptFormerSeconds: ptr.To[int32](60),
		}
	}))
	tl := &teller{passwords: map[string]redisclient.Passwords{}}
	clock := clocktesting.NewFakeClock(time.Unix(1e9, 0))
	w.reconciler.Teller, w.reconciler.Clock = tl, clock
	w.reconcile()
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	w.runs(rha)
	w.Get("mine", secret)
	return w, tl, secret, clock
}

func (w *world) wants(secret *corev1.Secret, password string) {
	w.T.Helper()
	secret.Data["password"] = []byte(password)
	if err := w.Client.Update(w.T.Context(), secret); err != nil {
		w.T.Fatal(err)
	}
}

func TestAChangedPasswordComesIntoUseWhenEveryProcessTakesIt(t *testing.T) {
	w, tl, secret, clock := rotating(t)
	w.wants(secret, "second")
	tl.refuses = errors.New("ERR something that Redis says")
	for range 3 {
		w.reconcile()
	}
	if current := w.passwordOf("shop"); current != "first" {
		t.Fatalf("%s is in use before any process takes it", current)
	}
	tl.refuses = nil
	for range 3 {
		w.reconcile()
	}
	if current := w.passwordOf("shop"); current != "second" {
		t.Fatalf("%s is in use", current)
	}
	both := redisclient.Passwords{Current: "second", Accepted: []string{"second", "first"}}
	for _, pod := range []string{"shop-0", "shop-1", "shop-2"} {
		if diff := cmp.Diff(both, tl.passwords[pod]); diff != "" {
			t.Errorf("%s: %s", pod, diff)
		}
	}
	clock.Step(61 * time.Second)
	for range 3 {
		w.reconcile()
	}
	if got := tl.passwords["shop-1"].Accepted; !slices.Equal(got, []string{"second"}) {
		t.Errorf("after the overlap %v are accepted", got)
	}
}

// A process that hangs is told when it is back: what it knows is remembered.
func TestAProcessThatIsAwayDoesNotHoldAPasswordBack(t *testing.T) {
	w, tl, secret, _ := rotating(t)
	tl.deaf = "shop-2"
	w.wants(secret, "second")
	for range 4 {
		w.reconcile()
	}
	if current := w.passwordOf("shop"); current != "second" {
		t.Fatalf("%s is in use", current)
	}
	tl.deaf = ""
	w.reconcile()
	if got := tl.passwords["shop-2"].Current; got != "second" {
		t.Errorf("it shows %q", got)
	}
}

func TestASecretThatIsDeletedInTheMiddleOfARotationEndsIt(t *testing.T) {
	w, tl, secret, _ := rotating(t)
	w.wants(secret, "second")
	w.reconcile()
	if err := w.Client.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		w.reconcile()
	}
	if got := w.Condition(v1alpha1.ConditionReconciled); got.Reason != v1alpha1.ReasonSecretNotFound {
		t.Errorf("Reconciled is %s: %s", got.Reason, got.Message)
	}
	current := w.passwordOf("shop")
	if current != "second" || !slices.Contains(tl.passwords["shop-0"].Accepted, "first") {
		t.Errorf("%s is in use, and shop-0 takes %v", current, tl.passwords["shop-0"].Accepted)
	}
}
