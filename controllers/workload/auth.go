// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"crypto/rand"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

// knownPassword is the password in force, so that even deleting or editing both Secrets at once cannot lock the
// operator out of a running Redis.
type knownPassword struct {
	uid      types.UID // of the RedisHA: one of the same name that is made anew has another password
	password string
}

// of is the password of the RedisHA with that UID; empty when it is not known.
func (k knownPassword) of(uid types.UID) string {
	if k.uid != uid {
		return ""
	}
	return k.password
}

// password is the one in force; for a new RedisHA the user's, or a generated one.
// It is never generated anew while a Secret of ours holds one. A refusal comes
// with the password in force, if there is one: what runs goes on running with it.
// Errors and conditions never hold it.
func (w *pass) password(ctx context.Context) (string, error) {
	inForce, err := w.passwordInForce(ctx)
	if err != nil {
		return "", err
	}
	password := inForce
	if w.rha.Spec.Auth != nil {
		if password, err = w.userPassword(ctx, w.rha.Spec.Auth.PasswordSecretRef); err != nil {
			return inForce, err
		}
		if inForce != "" && password != inForce {
			return inForce, refuse(
				v1alpha1.ReasonPasswordChangeRefused,
				"spec.auth.passwordSecretRef.name: Secret %q holds another password than the one Redis runs with, and changing "+
					"it is not supported yet: put the old one back (it is in Secret %q)",
				w.rha.Spec.Auth.PasswordSecretRef.Name,
				resources.MountSecretName(w.rha.Name),
			)
		}
	}
	if password == "" {
		password = rand.Text()
	}
	w.known.password = knownPassword{uid: w.rha.UID, password: password}
	return password, nil
}

// passwordInForce is what running pods have; empty when there is none yet.
func (w *pass) passwordInForce(ctx context.Context) (string, error) {
	if password := w.known.password.of(w.rha.UID); password != "" {
		return password, nil
	}
	mounted, err := w.ownSecret(ctx, resources.MountSecretName(w.rha.Name))
	if err != nil {
		return "", err
	}
	password := string(mounted[resources.PasswordKey])
	if resources.HoldsPassword(mounted, password) {
		return password, nil
	}
	for _, name := range []string{resources.GeneratedSecretName(w.rha.Name), resources.FormerSecretName(w.rha.Name)} {
		if name == resources.FormerSecretName(w.rha.Name) && w.rha.Spec.Auth != nil &&
			w.rha.Spec.Auth.PasswordSecretRef.Name == name {
			continue // it is the user's
		}
		generated, err := w.ownSecret(ctx, name)
		if err != nil {
			return "", err
		}
		if kept := string(generated[resources.PasswordKey]); resources.CheckPassword(kept) == nil {
			return kept, nil
		}
	}
	return "", nil
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
