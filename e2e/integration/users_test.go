// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/redisclient"
)

// cliAs asks the Redis of a pod as a user, and returns what it says, be it a refusal.
func cliAs(t *testing.T, key client.ObjectKey, pod, user, password, command string) string {
	t.Helper()
	out, err := runAs(t, key, pod, redisclient.Credentials{User: user, Password: password}, command)
	if err != nil {
		return err.Error()
	}
	return out
}

// withUser is a set that has a declared user, and takes writes of the default one.
func withUser(t *testing.T, rules ...v1alpha1.ACLRule) (client.ObjectKey, *load) {
	t.Helper()
	ns := namespace(t)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ns,
			Name:      "reports",
		},
		StringData: map[string]string{"password": "of-reports"},
	}
	if err := bed.Client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	key := create(t, ns, v1alpha1.RedisHASpec{})
	l := write(t, key, resources.RedisPort, nil, "app")
	change(t, key, func(rha *v1alpha1.RedisHA) {
		rha.Spec.Auth = &v1alpha1.AuthSpec{Users: []v1alpha1.UserSpec{
			{Name: "reports", PasswordSecretRef: v1alpha1.SecretKeyReference{Name: secret.Name}, Rules: rules},
		}}
	})
	return key, l
}

// says waits until every pod answers a user like that.
func says(t *testing.T, key client.ObjectKey, user, password, command, want string) {
	t.Helper()
	last := ""
	eventually(t, fmt.Sprintf("%s to be answered %q by every pod", command, want), 2*time.Minute,
		func(context.Context) (bool, error) {
			for pod := range pods(t, key) {
				if last = cliAs(t, key, pod, user, password, command); !strings.Contains(last, want) {
					return false, nil
				}
			}
			return true, nil
		})
}

// A user is declared, changed and removed under load, a master is killed and a pod made anew meanwhile: no pod is
// replaced for it, and every process knows what is declared.
func TestUsersAreDeclaredUnderLoad(t *testing.T) {
	t.Parallel()
	key, l := withUser(t, "~report:*", "+@read", "+ping")
	before := pods(t, key)
	says(t, key, "reports", "of-reports", "get report:1", "")
	says(t, key, "reports", "of-reports", "get other", "NOPERM")
	for pod, uid := range pods(t, key) {
		if before[pod] != uid {
			t.Errorf("%s was replaced", pod)
		}
	}
	if err := bed.Sandbox.Signal(
		key.Namespace, settled(t, key).Status.Master.Pod, resources.RedisContainer, syscall.SIGKILL,
	); err != nil {
		t.Fatal(err)
	}
	change(t, key, func(rha *v1alpha1.RedisHA) {
		rha.Spec.Auth.Users[0].Rules = []v1alpha1.ACLRule{"~*", "+@read", "+ping"}
	})
	replaced := resources.PodName(key.Name, 2)
	if err := bed.Client.Delete(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: key.Namespace, Name: replaced,
	}}); err != nil {
		t.Fatal(err)
	}
	says(t, key, "reports", "of-reports", "get other", "")
	settled(t, key)
	says(t, key, "reports", "of-reports", "set other 1", "NOPERM")
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Auth = nil })
	says(t, key, "reports", "of-reports", "ping", "WRONGPASS")
	short(t, "the default user's writes", l.stop())
}

func TestARuleThatRedisDoesNotKnowIsToldInItsWords(t *testing.T) {
	t.Parallel()
	key, l := withUser(t, "+ping")
	says(t, key, "reports", "of-reports", "ping", "PONG")
	change(t, key, func(rha *v1alpha1.RedisHA) {
		rha.Spec.Auth.Users[0].Rules = []v1alpha1.ACLRule{"+ping", "+nosuchcommand"}
	})
	eventually(t, "it is told", time.Minute, func(context.Context) (bool, error) {
		return conditionOf(t, key, v1alpha1.ConditionReconciled).Reason == v1alpha1.ReasonACLRefused, nil
	})
	c := conditionOf(t, key, v1alpha1.ConditionReconciled)
	for _, words := range []string{`spec.auth.users[name="reports"].rules`, "nosuchcommand", "Unknown command"} {
		if !strings.Contains(c.Message, words) {
			t.Errorf("%s does not say %q", c.Message, words)
		}
	}
	says(t, key, "reports", "of-reports", "ping", "PONG")
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Auth.Users[0].Rules = []v1alpha1.ACLRule{"+echo"} })
	says(t, key, "reports", "of-reports", "ping", "NOPERM")
	settled(t, key)
	short(t, "the default user's writes", l.stop())
}

// A person who is granted it changes the default user's password, and makes a user, in a master by hand. Neither the
// operator nor a replica is locked out, and within a minute all is as declared.
func TestUsersThatWereChangedByHandAreRestored(t *testing.T) {
	t.Parallel()
	key := create(
		t,
		namespace(t),
		v1alpha1.RedisHASpec{Auth: &v1alpha1.AuthSpec{Rules: []v1alpha1.ACLRule{"+acl", "+config"}}},
	)
	before := settled(t, key)
	password, err := bed.Password(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	master := before.Status.Master.Pod
	says(t, key, "default", password, "acl whoami", "default")
	eventually(t, "the grant", time.Minute, func(context.Context) (bool, error) {
		return cliAs(t, key, master, "default", password, "acl setuser mine on nopass +@all") == "OK", nil
	})
	if said := cliAs(t, key, master, "mine", "", "config set requirepass another"); said != "OK" {
		t.Fatal(said)
	}
	eventually(t, "the password to be taken again", 100*time.Second, func(context.Context) (bool, error) {
		return cliAs(
			t,
			key,
			master,
			"default",
			password,
			"acl users",
		) == "default\nredisha-operator\nredisha-pod\nredisha-replica", nil
	})
	eventually(t, "an Event that tells of it", 20*time.Second, func(ctx context.Context) (bool, error) {
		events := &corev1.EventList{}
		err := bed.Client.List(ctx, events, client.InNamespace(key.Namespace))
		return slices.ContainsFunc(events.Items, func(event corev1.Event) bool {
			return event.Reason == v1alpha1.EventUsersRestored && strings.Contains(event.Message, master)
		}), err
	})
	if after := settled(t, key); after.Status.Master.Epoch != before.Status.Master.Epoch {
		t.Errorf("epoch %d after %d", after.Status.Master.Epoch, before.Status.Master.Epoch)
	}
}
