// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/passwords"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
)

// knownPasswords are those in force, so that even deleting or editing both Secrets at once cannot lock the operator out
// of a running Redis.
type knownPasswords struct {
	uid   types.UID // of the RedisHA: one of the same name that is made anew has another password
	state passwords.State
	told  told
}

// of is what is known of the RedisHA with that UID; the zero value when nothing is.
func (k knownPasswords) of(uid types.UID) passwords.State {
	if k.uid != uid {
		return passwords.State{}
	}
	return k.state
}

// passwords are those that are to be in force; for a new RedisHA the user's, or a generated one. None is generated anew
// while a Secret of ours holds one. A refusal comes with what is in force, if anything is: what runs goes on running
// with it. Errors and conditions never hold a password.
func (w *pass) passwords(ctx context.Context) (passwords.State, error) {
	inForce, err := w.passwordsInForce(ctx)
	if err != nil {
		return inForce, err
	}
	want, keep := "", v1alpha1.DefaultAcceptFormerSeconds
	var refused error
	if auth := w.rha.Spec.Auth; auth != nil {
		w.lookAgain(secretsEvery)
		keep = ptr.Deref(auth.AcceptFormerSeconds, keep)
		if want, refused = w.userPassword(ctx, auth.PasswordSecretRef); refused != nil && inForce.Current == "" {
			return inForce, refused
		}
	}
	if inForce.Current == "" && want == "" {
		want = rand.Text()
	}
	next := inForce
	if inForce.Current == "" || w.rha.Spec.Failover.Mode != v1alpha1.ModePaused {
		next = inForce.Next(want, time.Duration(keep)*time.Second, w.passwordsTold(inForce), w.now())
	}
	if known := &w.known.passwords; known.uid != w.rha.UID {
		*known = knownPasswords{uid: w.rha.UID}
	}
	w.known.passwords.state = next
	return next, refused
}

// passwordsTold reports that every process that answers has been told of a state.
func (w *pass) passwordsTold(state passwords.State) bool {
	return w.known.passwords.uid == w.rha.UID &&
		w.known.passwords.told.answering(w.runningNodes(), state.Generation())
}

// tellPasswords tells every process which passwords it is to take, where there are several.
func (w *pass) tellPasswords(ctx context.Context) error {
	state := w.known.passwords.state
	if w.Teller == nil || state.Single() || w.rha.Spec.Failover.Mode == v1alpha1.ModePaused {
		return nil
	}
	nodes, generation := w.runningNodes(), state.Generation()
	before := w.passwordsTold(state)
	w.known.passwords.told.tell(nodes, generation, func(node failover.NodeRef) error {
		return w.Teller.SetPasswords(ctx, client.ObjectKeyFromObject(w.rha).String(), node, state.Passwords())
	})
	switch {
	case !w.passwordsTold(state):
		w.lookAgain(tellsAgain)
	case !before || state.Coming != "":
		w.lookAgain(tellsAgain / 3)
	case len(state.Former) > 0:
		w.lookAgain(max(state.Until.Sub(w.now()), time.Second))
	}
	return nil
}

// passwordsInForce are what running pods have; without a current one when there is none yet.
func (w *pass) passwordsInForce(ctx context.Context) (passwords.State, error) {
	if state := w.known.passwords.of(w.rha.UID); state.Current != "" {
		return state, nil
	}
	mounted, err := w.ownSecret(ctx, resources.MountSecretName(w.rha.Name))
	if err != nil {
		return passwords.State{}, err
	}
	if state := passwords.In(mounted, resources.PasswordKey); resources.HoldsPasswords(mounted, state) {
		return state, nil
	}
	for _, name := range []string{resources.GeneratedSecretName(w.rha.Name), resources.FormerSecretName(w.rha.Name)} {
		if name == resources.FormerSecretName(w.rha.Name) && w.rha.Spec.Auth != nil &&
			w.rha.Spec.Auth.PasswordSecretRef.Name == name {
			continue // it is the user's
		}
		generated, err := w.ownSecret(ctx, name)
		if err != nil {
			return passwords.State{}, err
		}
		if kept := string(generated[resources.PasswordKey]); resources.CheckPassword(kept) == nil {
			return passwords.State{Current: kept}, nil
		}
	}
	return passwords.State{}, nil
}

// ownSecret is the content of a Secret of ours; nil when there is none.
func (w *pass) ownSecret(ctx context.Context, name string) (map[string][]byte, error) {
	key := types.NamespacedName{Namespace: w.rha.Namespace, Name: name}
	secret := &corev1.Secret{}
	err := w.Client.Get(ctx, key, secret)
	if apierrors.IsNotFound(err) {
		err = w.APIReader.Get(ctx, key, secret)
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading Secret %q: %w", name, err)
	}
	if !w.objects.Owns(secret) {
		return nil, nil // applying it says so
	}
	return secret.Data, nil
}

func (w *pass) userPassword(ctx context.Context, ref v1alpha1.SecretKeyReference) (string, error) {
	key := ref.Key
	if key == "" {
		key = v1alpha1.DefaultAuthKey
	}
	secret := &corev1.Secret{}
	err := w.APIReader.Get(ctx, types.NamespacedName{Namespace: w.rha.Namespace, Name: ref.Name}, secret)
	if apierrors.IsNotFound(err) {
		return "", refuse(
			v1alpha1.ReasonSecretNotFound,
			"spec.auth.passwordSecretRef.name: there is no Secret %q in namespace %q: create it with the password under %q, "+
				"or remove spec.auth to have one generated",
			ref.Name,
			w.rha.Namespace,
			key,
		)
	}
	if err != nil {
		return "", fmt.Errorf("reading Secret %q: %w", ref.Name, err)
	}
	value, found := secret.Data[key]
	if !found || len(value) == 0 {
		return "", refuse(
			v1alpha1.ReasonSecretKeyMissing,
			"spec.auth.passwordSecretRef.key: Secret %q has no value under %q: put the password there, or name the right key",
			ref.Name, key,
		)
	}
	if err := resources.CheckPassword(string(value)); err != nil {
		return "", refuse(v1alpha1.ReasonPasswordInvalid,
			"spec.auth: the password in Secret %q under %q %v: choose another", ref.Name, key, err)
	}
	return string(value), nil
}
