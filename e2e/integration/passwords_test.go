// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/passwords"
	"github.com/redisha/redisha/controllers/resources"
)

// changing is a set whose password is in a Secret of the user's.
type changing struct {
	t      *testing.T
	key    client.ObjectKey
	secret client.ObjectKey
}

func withPassword(t *testing.T, password string, keep int32) *changing {
	t.Helper()
	ns := namespace(t)
	c := &changing{t: t, secret: client.ObjectKey{Namespace: ns, Name: "mine"}}
	c.put(password)
	c.key = create(t, ns, v1alpha1.RedisHASpec{Auth: &v1alpha1.AuthSpec{
		PasswordSecretRef:   v1alpha1.SecretKeyReference{Name: c.secret.Name},
		AcceptFormerSeconds: ptr.To(keep),
	}})
	return c
}

// put makes the Secret, or changes it.
func (c *changing) put(password string) {
	c.t.Helper()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.secret.Namespace, Name: c.secret.Name},
		StringData: map[string]string{v1alpha1.DefaultAuthKey: password},
	}
	err := bed.Client.Create(c.t.Context(), secret)
	if err != nil {
		err = bed.Client.Update(c.t.Context(), secret)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// inForce waits until a password is in force, alone or not.
func (c *changing) inForce(password string, alone bool) {
	c.t.Helper()
	eventually(c.t, "the password "+password+" to be in force", 2*time.Minute, func(ctx context.Context) (bool, error) {
		secret := &corev1.Secret{}
		name := client.ObjectKey{Namespace: c.key.Namespace, Name: resources.MountSecretName(c.key.Name)}
		if err := bed.Client.Get(ctx, name, secret); err != nil {
			return false, err
		}
		state := passwords.In(secret.Data, resources.PasswordKey)
		return state.Current == password && state.Coming == "" && (len(state.Former) == 0) == alone, nil
	})
	settled(c.t, c.key)
}

func (c *changing) steady(before *v1alpha1.RedisHA, uids map[string]string) {
	c.t.Helper()
	if after := settled(c.t, c.key); after.Status.Master.Epoch != before.Status.Master.Epoch {
		c.t.Errorf("epoch %d after %d", after.Status.Master.Epoch, before.Status.Master.Epoch)
	}
	for pod, uid := range pods(c.t, c.key) {
		if uids[pod] != uid {
			c.t.Errorf("%s was replaced", pod)
		}
	}
}

func TestAPasswordIsChangedUnderLoadAndThenAnother(t *testing.T) {
	t.Parallel()
	c := withPassword(t, "first", 20)
	before, uids := settled(t, c.key), pods(t, c.key)
	l := write(t, c.key, resources.RedisPort, nil, "first")
	c.put("second")
	c.inForce("second", false)
	next := write(t, c.key, resources.RedisPort, nil, "second")
	short(t, "with the former password", l.stop())
	c.inForce("second", true)
	c.put("third")
	c.put("fourth")
	c.inForce("fourth", false)
	short(t, "with the second password", next.stop())
	c.inForce("fourth", true)
	last := write(t, c.key, resources.RedisPort, nil, "fourth")
	short(t, "with the fourth password", last.stop())
	c.steady(before, uids)
}

// replaceOperator kills the operator that there is, and starts another.
func replaceOperator(t *testing.T) {
	t.Helper()
	leader, err := bed.Leader(within(t, time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	leader.Kill()
	if _, err := bed.StartOperator(); err != nil {
		t.Fatal(err)
	}
}

// In the middle of a change master and operator are killed, the Secret is deleted, and comes back with what it was
// before.
func TestAChangeOfThePasswordSurvivesWhatHappensMeanwhile(t *testing.T) {
	c := withPassword(t, "first", 3600)
	before := settled(t, c.key)
	l := write(t, c.key, resources.RedisPort, nil, "first")
	c.put("second")
	if err := bed.Sandbox.Signal(
		c.key.Namespace, before.Status.Master.Pod, resources.RedisContainer, syscall.SIGKILL,
	); err != nil {
		t.Fatal(err)
	}
	replaceOperator(t)
	c.inForce("second", false)
	if err := bed.Client.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: c.secret.Namespace, Name: c.secret.Name,
	}}); err != nil {
		t.Fatal(err)
	}
	replaced := resources.PodName(c.key.Name, 1)
	if err := bed.Client.Delete(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: c.key.Namespace, Name: replaced,
	}}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	c.put("first")
	c.inForce("first", false)
	if gap := l.stop(); gap > 15*time.Second { // no other operator stood by: the lease had to end first
		t.Errorf("nothing was written for %s", gap)
	}
}
