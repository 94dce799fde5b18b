// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/accounts"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

// teller is told what is said to each process.
type teller struct {
	knows   map[string]redisclient.Users // by pod
	byHand  map[string]string            // what was changed in a pod by hand
	deaf    string                       // a pod that says nothing
	refuses error                        // what every other one says of users
	withTLS error                        // and of encryption
	redis   map[string]*redis            // by pod
}

func (tl *teller) Encrypt(_ context.Context, _ string, node failover.NodeRef, _ redisclient.Encryption) error {
	if node.Pod == tl.deaf {
		return context.DeadlineExceeded
	}
	return tl.withTLS
}

func (tl *teller) SetUsers(_ context.Context, _ string, node failover.NodeRef, u redisclient.Users) (string, error) {
	if node.Pod == tl.deaf {
		return "", context.DeadlineExceeded
	}
	if tl.refuses == nil {
		tl.knows[node.Pod] = u
		delete(tl.byHand, node.Pod)
	}
	return "as told", tl.refuses
}

func (tl *teller) Users(_ context.Context, _ string, node failover.NodeRef) (string, error) {
	return "as told" + tl.byHand[node.Pod], tl.refuses
}

// takes are the passwords that a pod's Redis takes from a user; none when it does not know the user.
func (tl *teller) takes(pod, user string) []string {
	for _, u := range tl.knows[pod].All {
		if u.Name == user {
			return u.Passwords
		}
	}
	return nil
}

func newTeller() *teller {
	return &teller{knows: map[string]redisclient.Users{}, byHand: map[string]string{}}
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
	tl := newTeller()
	clock := clocktesting.NewFakeClock(time.Unix(1e9, 0))
	w.reconciler.Teller, w.reconciler.Clock, w.reconciler.Trial = tl, clock, &trial{}
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
	for _, pod := range []string{"shop-0", "shop-1", "shop-2"} {
		if diff := cmp.Diff([]string{"second", "first"}, tl.takes(pod, "default")); diff != "" {
			t.Errorf("%s: %s", pod, diff)
		}
	}
	clock.Step(61 * time.Second)
	for range 3 {
		w.reconcile()
	}
	if got := tl.takes("shop-1", "default"); !slices.Equal(got, []string{"second"}) {
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
	if got := tl.takes("shop-2", "default"); !slices.Contains(got, "second") {
		t.Errorf("it takes %q", got)
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
	if current != "second" || !slices.Contains(tl.takes("shop-0", "default"), "first") {
		t.Errorf("%s is in use, and shop-0 takes %v", current, tl.takes("shop-0", "default"))
	}
}

// declare adds a user to the spec, whose password is in the Secret that there is.
func (w *world) declare(name string, rules ...v1alpha1.ACLRule) {
	w.T.Helper()
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) {
		spec.Auth.Users = append(spec.Auth.Users, v1alpha1.UserSpec{
			Name: name, PasswordSecretRef: v1alpha1.SecretKeyReference{Name: "mine"}, Rules: rules,
		})
	})
}

func TestADeclaredUserIsTriedAndThenKnownToEveryProcess(t *testing.T) {
	w, tl, _, _ := rotating(t)
	w.declare("one", "~a:*", "+@read")
	w.reconcile()
	for _, pod := range []string{"shop-0", "shop-1", "shop-2"} {
		if diff := cmp.Diff([]string{"first"}, tl.takes(pod, "one")); diff != "" {
			t.Errorf("%s: %s", pod, diff)
		}
	}
	if conf := w.startsWith(); !strings.Contains(conf, "\nuser one reset on ~a:* +@read #") {
		t.Errorf("processes start with\n%s", conf)
	}
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) { spec.Auth.Users = nil })
	w.reconcile()
	if tl.takes("shop-1", "one") != nil || strings.Contains(w.startsWith(), "user one") {
		t.Errorf("it is still known: %s", w.startsWith())
	}
}

// What Redis refuses is told, and changes nothing, of others either.
func TestARuleThatRedisRefusesIsToldAndTheLastGoodOnesStay(t *testing.T) {
	w, tl, _, _ := rotating(t)
	w.declare("one", "+get")
	w.reconcile()
	before := w.startsWith()
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) {
		spec.Auth.Users[0].Rules = []v1alpha1.ACLRule{"+wrong"}
		spec.Auth.Rules = []v1alpha1.ACLRule{"-wrong"}
	})
	w.declare("two", "+wrong")
	w.reconcile()
	c := w.Condition(v1alpha1.ConditionReconciled)
	for _, says := range []string{"spec.auth.rules: ", `users[name="one"].rules: `, `[name="two"].rules`, "Unknown command"} {
		if c.Reason != v1alpha1.ReasonACLRefused || !strings.Contains(c.Message, says) {
			t.Errorf("Reconciled is %s: %s, without %q", c.Reason, c.Message, says)
		}
	}
	if diff := cmp.Diff(before, w.startsWith()); diff != "" || tl.takes("shop-0", "two") != nil {
		t.Errorf("it was changed: %s", diff)
	}
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) {
		spec.Auth.Rules, spec.Auth.Users = []v1alpha1.ACLRule{"+config|get"}, spec.Auth.Users[:1]
		spec.Auth.Users[0].Rules = []v1alpha1.ACLRule{"+set"}
	})
	w.reconcile()
	if c := w.Condition(v1alpha1.ConditionReconciled); c.Reason != v1alpha1.ReasonApplied {
		t.Errorf("Reconciled is %s: %s", c.Reason, c.Message)
	}
	for _, now := range []string{"+acl|cat", "+config|get", "user one reset on +set #"} {
		if !strings.Contains(w.startsWith(), now) {
			t.Errorf("processes start without %q:\n%s", now, w.startsWith())
		}
	}
}

// A set whose pods have not started has no Redis that could refuse a rule: its first processes start without.
func TestNoProcessStartsWithARuleThatNoRedisHasTaken(t *testing.T) {
	w := newWorld(t, controllertest.Shop(func(rha *v1alpha1.RedisHA) {
		rha.Spec.Auth = &v1alpha1.AuthSpec{Rules: []v1alpha1.ACLRule{"+wrong"}}
	}))
	w.reconciler.Teller, w.reconciler.Trial = newTeller(), &trial{}
	w.reconcile()
	if conf := w.startsWith(); strings.Contains(conf, "wrong") || !strings.Contains(conf, "-replicaof") {
		t.Errorf("processes start with\n%s", conf)
	}
}

// A declared user whose Secret is not there yet holds nothing up but itself.
func TestAUserWithoutASecretIsToldAndTheSetStarts(t *testing.T) {
	w := newWorld(t, controllertest.Shop(func(rha *v1alpha1.RedisHA) {
		rha.Spec.Auth = &v1alpha1.AuthSpec{Users: []v1alpha1.UserSpec{
			{Name: "one", PasswordSecretRef: v1alpha1.SecretKeyReference{Name: "absent"}, Rules: []v1alpha1.ACLRule{"+get"}},
		}}
	}))
	w.reconciler.Teller, w.reconciler.Trial = newTeller(), &trial{}
	w.reconcile()
	if conf := w.startsWith(); !strings.Contains(conf, "user default ") || strings.Contains(conf, "user one") {
		t.Errorf("processes start with\n%s", conf)
	}
	c := w.Condition(v1alpha1.ConditionReconciled)
	if c.Reason != v1alpha1.ReasonSecretNotFound || !strings.Contains(c.Message, `spec.auth.users[name="one"]`) {
		t.Errorf("Reconciled is %s: %s", c.Reason, c.Message)
	}
}

func TestUsersThatWereChangedByHandAreMadeWhatTheyWere(t *testing.T) {
	w, tl, _, clock := rotating(t)
	w.reconcile()
	tl.byHand["shop-1"] = " and one more"
	if writes := w.reconcile(); len(writes) > 0 {
		t.Errorf("nothing is to be done yet, and is written: %v", writes)
	}
	clock.Step(looksEvery)
	for range 2 {
		w.reconcile()
	}
	if tl.byHand["shop-1"] != "" {
		t.Error("they are as the hand made them")
	}
	told := 0
	for _, event := range w.quietly() {
		if strings.Contains(event, v1alpha1.EventUsersRestored) && strings.Contains(event, "shop-1") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

// systemUsers of a pod's Redis.
func (tl *teller) systemUsers(pod string) (known int, master string) {
	for _, u := range tl.knows[pod].All {
		if strings.HasPrefix(u.Name, accounts.Reserved) {
			known++
		}
	}
	return known, tl.knows[pod].Master.User
}

// A set that ran before there were other users than the default one: that one is restricted when every process knows
// the others, and not before.
func TestSystemUsersComeIntoUseWhenEveryProcessKnowsThem(t *testing.T) {
	w, tl, _, _ := rotating(t)
	secret := &corev1.Secret{}
	w.Get("shop-conf-auth", secret)
	secret.Data = map[string][]byte{
		resources.PasswordKey: []byte("first"), resources.AuthConf: []byte("requirepass \"first\"\nmasterauth \"first\"\n"),
	}
	if err := w.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.Get("shop-generated-users", secret)
	if err := w.Client.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.reconciler.memory.Forget(controllertest.Key("shop")) // another operator takes over
	tl.refuses = errors.New("ERR something that Redis says")
	for range 3 {
		w.reconcile()
	}
	if conf := w.startsWith(); strings.Contains(conf, "-replicaof") || strings.Contains(conf, "masteruser") {
		t.Fatalf("in use before any process knows them:\n%s", conf)
	}
	tl.refuses = nil
	for range 3 {
		w.reconcile()
	}
	for _, pod := range []string{"shop-0", "shop-1", "shop-2"} {
		if known, master := tl.systemUsers(pod); known != 3 || master != accounts.Replica {
			t.Errorf("%s knows %d of them, and is %q to its master", pod, known, master)
		}
	}
	if conf := w.startsWith(); !strings.Contains(conf, "-replicaof") ||
		!strings.Contains(conf, "masteruser redisha-replica") {
		t.Errorf("processes start with\n%s", conf)
	}
}

// Either of the two Secrets that hold what no one else knows is enough.
func TestUsersAreKnownAfterTheSecretOfThePodsWasDeletedWithoutAnOperator(t *testing.T) {
	for _, name := range []string{"shop-conf-auth", "shop-generated-users"} {
		w, _, _, _ := rotating(t)
		before := w.startsWith()
		secret := &corev1.Secret{}
		w.Get(name, secret)
		if err := w.Client.Delete(t.Context(), secret); err != nil {
			t.Fatal(err)
		}
		w.reconciler.memory.Forget(controllertest.Key("shop"))
		w.reconcile()
		if diff := cmp.Diff(before, w.startsWith()); diff != "" {
			t.Errorf("without %s: %s", name, diff)
		}
	}
}
