// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/sandbox"
)

// formerSeconds is for how long what was in force before is taken: a round ends when it is taken no more.
const formerSeconds = 20

func (s *set) secretName() string { return s.key.Name + "-own" }

// put makes the set's own Secret, or changes it.
func (s *set) put(ctx context.Context, kind corev1.SecretType, data map[string][]byte) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.key.Namespace, Name: s.secretName()}, Type: kind, Data: data,
	}
	err := s.bed.Client.Create(ctx, secret)
	if err != nil {
		err = s.bed.Client.Update(ctx, secret)
	}
	return err
}

func ownPassword(s *set, spec *v1alpha1.RedisHASpec) {
	spec.Auth = &v1alpha1.AuthSpec{
		PasswordSecretRef:   v1alpha1.SecretKeyReference{Name: s.secretName()},
		AcceptFormerSeconds: ptr.To[int32](formerSeconds),
	}
}

func putPassword(ctx context.Context, s *set) error {
	return s.put(ctx, corev1.SecretTypeOpaque, map[string][]byte{v1alpha1.DefaultAuthKey: []byte(rand.Text())})
}

// changePassword changes the Secret, has the applications follow, and waits until the former password is taken no more.
func changePassword(ctx context.Context, r *round) error {
	next := rand.Text()
	err := r.put(ctx, corev1.SecretTypeOpaque, map[string][]byte{v1alpha1.DefaultAuthKey: []byte(next)})
	if err != nil {
		return err
	}
	err = sandbox.WaitFor(ctx, "the next password to be in force", func(ctx context.Context) (bool, error) {
		state, err := r.bed.PasswordState(ctx, r.key)
		return state.Current == next && state.Coming == "", err
	})
	if err != nil {
		return err
	}
	following, err := r.usual(ctx)
	if err != nil {
		return err
	}
	if err := r.load.use(ctx, following); err != nil {
		return err
	}
	return sandbox.WaitFor(ctx, "the former password to be taken no more", func(ctx context.Context) (bool, error) {
		state, err := r.bed.PasswordState(ctx, r.key)
		return len(state.Former) == 0, err
	})
}

func ownCertificate(s *set, spec *v1alpha1.RedisHASpec) {
	spec.TLS = &v1alpha1.TLSSpec{
		SecretRef:            &v1alpha1.TLSSecretReference{Name: s.secretName()},
		TrustFormerCASeconds: ptr.To[int32](formerSeconds),
	}
}

func putCertificate(ctx context.Context, s *set) error {
	data, err := s.issue(nil)
	if err != nil {
		return err
	}
	s.certificate = data
	return s.put(ctx, corev1.SecretTypeTLS, data)
}

// issue makes a certificate by the authority in data, or by a new one where there is none.
func (s *set) issue(data map[string][]byte) (map[string][]byte, error) {
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: s.key.Namespace, Name: s.key.Name}}
	// What is there lacks a name that is needed, so that it is made anew.
	return encryption.Renewed(data, []string{"another.name"}, resources.GeneratedNames(rha), time.Now())
}

// authority is what applications trust.
func (s *set) authority(ctx context.Context) ([]byte, error) {
	if s.certificate != nil {
		return s.certificate[encryption.CAKey], nil
	}
	return s.bed.GeneratedCA(ctx, s.key)
}

// renewCertificate has the same authority sign another certificate.
func renewCertificate(ctx context.Context, r *round) error {
	next, err := r.issue(r.certificate)
	if err != nil {
		return err
	}
	return r.showCertificate(ctx, next)
}

// replaceAuthority has another authority sign the certificate. Applications trust both authorities before, and the next
// one alone after.
func replaceAuthority(ctx context.Context, r *round) error {
	next, err := r.issue(nil)
	if err != nil {
		return err
	}
	both, err := r.encrypted(ctx, r.certificate[encryption.CAKey], next[encryption.CAKey])
	if err != nil {
		return err
	}
	if err := r.load.use(ctx, both); err != nil {
		return err
	}
	if err := r.showCertificate(ctx, next); err != nil {
		return err
	}
	alone, err := r.usual(ctx)
	if err != nil {
		return err
	}
	if err := r.load.use(ctx, alone); err != nil {
		return err
	}
	return sandbox.WaitFor(ctx, "the former authority to be trusted no more", func(ctx context.Context) (bool, error) {
		state, err := r.bed.EncryptionState(ctx, r.key)
		return !state.Trial && state.Live != nil && len(state.Live.Trusted) == 1, err
	})
}

// showCertificate puts a certificate into the Secret and waits until every pod shows it.
func (r *round) showCertificate(ctx context.Context, data map[string][]byte) error {
	if err := r.put(ctx, corev1.SecretTypeTLS, data); err != nil {
		return err
	}
	err := sandbox.WaitFor(ctx, "every pod to show the next certificate", func(ctx context.Context) (bool, error) {
		return r.bed.AllShow(ctx, r.key, data)
	})
	if err == nil {
		r.set.certificate = data
	}
	return err
}
