// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"crypto/tls"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/accounts"
	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/controllers/podstate"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/executor"
	"github.com/redisha/redisha/failover/prober"
	"github.com/redisha/redisha/redisclient"
)

// access is how the Redis of a RedisHA is talked to, as the Secret says that its pods mount.
type access struct {
	version  string // of the Secret
	accounts accounts.State
	state    encryption.State
	config   *tls.Config // nil in clear
}

// loadAccess keeps at hand what the next connection needs.
func (r *Reconciler) loadAccess(ctx context.Context, key client.ObjectKey) error {
	var secret corev1.Secret
	err := r.Client.Get(
		ctx, client.ObjectKey{Namespace: key.Namespace, Name: resources.MountSecretName(key.Name)}, &secret,
	)
	if apierrors.IsNotFound(err) {
		return nil // not made yet, or deleted a moment ago: what is known is kept
	}
	if err != nil {
		return fmt.Errorf("reading the passwords: %w", err)
	}
	if owner := secret.Labels[v1alpha1.LabelName]; owner != "" && owner != key.Name {
		return nil // another RedisHA's password is not sent to these pods
	}
	known := r.memory.Of(key)
	if had := known.access.Load(); had != nil && had.version == secret.ResourceVersion && had.version != "" {
		return nil
	}
	state := encryption.In(secret.Data)
	observeCertificate(key, state.Live.Leaf())
	known.access.Store(&access{
		version: secret.ResourceVersion, accounts: accounts.In(secret.Data, resources.PasswordKey),
		state: state, config: state.Config(),
	})
	return nil
}

// credentials are those in force, at each connection.
func (k *known) credentials() prober.Credentials {
	return prober.Credentials{
		Shown: k.shown,
		TLS: func() *tls.Config {
			if a := k.access.Load(); a != nil {
				return a.config
			}
			return nil
		},
	}
}

// shown is as whom a Redis is talked to; nothing while that is not known.
func (k *known) shown() []redisclient.Credentials {
	if a := k.access.Load(); a != nil {
		return a.accounts.Shown()
	}
	return nil
}

// encryption is how far the processes are; clear when that is not known.
func (k *known) encryption() encryption.State {
	if a := k.access.Load(); a != nil {
		return a.state
	}
	return encryption.State{}
}

// master is how a replica connects to its master.
func (k *known) master() executor.Master {
	state := k.encryption()
	if state.Used() {
		return executor.Master{Port: int(resources.RedisTLSPort), CanEncrypt: true, Encrypted: true}
	}
	return executor.Master{Port: int(resources.RedisPort), CanEncrypt: state.CanEncrypt()}
}

// targets says which addresses to probe. That of a pod that has ended may be another pod's by now, whoever owns it: it
// is not dialled, so that it is not sent the password.
func targets(key client.ObjectKey, pods []corev1.Pod, state encryption.State) []prober.Target {
	out := make([]prober.Target, 0, len(pods))
	for _, p := range pods {
		target := prober.Target{Pod: p.Name, UID: string(p.UID), IP: p.Status.PodIP, Port: int(resources.RedisPort)}
		if state.Used() {
			target.Port = int(resources.RedisTLSPort)
			target.ServerName = resources.ServerName(key.Namespace, key.Name, p.Name)
		}
		if podstate.HasEnded(&p) {
			target.IP = ""
		}
		out = append(out, target)
	}
	return out
}

// Encrypt makes a Redis take and make connections like want, on the connections of the prober and under the lease; the
// workload controller walks the way.
func (r *Reconciler) Encrypt(
	ctx context.Context, key string, node failover.NodeRef, want redisclient.Encryption,
) error {
	return r.executor.Encrypt(ctx, key, node, want)
}

// SetUsers makes a Redis know those users and no others, in the same way.
func (r *Reconciler) SetUsers(
	ctx context.Context, key string, node failover.NodeRef, want redisclient.Users,
) (fingerprint string, err error) {
	return r.executor.SetUsers(ctx, key, node, want)
}

// Users tells which users a Redis knows.
func (r *Reconciler) Users(ctx context.Context, key string, node failover.NodeRef) (fingerprint string, err error) {
	return r.executor.Users(ctx, key, node)
}

// TryUsers tells which of the users a Redis refuses, and changes none.
func (r *Reconciler) TryUsers(
	ctx context.Context, key string, node failover.NodeRef, users []redisclient.User,
) ([]redisclient.RefusedUser, error) {
	return r.executor.TryUsers(ctx, key, node, users)
}
