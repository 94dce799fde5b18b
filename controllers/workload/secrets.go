// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

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

// userPassword is the password that a field of the spec names.
func (w *pass) userPassword(ctx context.Context, field string, ref v1alpha1.SecretKeyReference) (string, error) {
	key := ref.Key
	if key == "" {
		key = v1alpha1.DefaultAuthKey
	}
	secret := &corev1.Secret{}
	err := w.APIReader.Get(ctx, types.NamespacedName{Namespace: w.rha.Namespace, Name: ref.Name}, secret)
	if apierrors.IsNotFound(err) {
		return "", refuse(
			v1alpha1.ReasonSecretNotFound,
			"%s.name: there is no Secret %q in namespace %q: create it with the password under %q, "+
				"or remove the field",
			field, ref.Name,
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
			"%s.key: Secret %q has no value under %q: put the password there, or name the right key",
			field, ref.Name, key,
		)
	}
	if err := resources.CheckPassword(string(value)); err != nil {
		return "", refuse(v1alpha1.ReasonPasswordInvalid,
			"%s: the password in Secret %q under %q %v: choose another", field, ref.Name, key, err)
	}
	return string(value), nil
}
