// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/checks"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/redisclient"
)

// Get reads a RedisHA.
func (b *Testbed) Get(ctx context.Context, key client.ObjectKey) (*v1alpha1.RedisHA, error) {
	rha := &v1alpha1.RedisHA{}
	return rha, b.Client.Get(ctx, key, rha)
}

// Password returns the password of a RedisHA's Redis.
func (b *Testbed) Password(ctx context.Context, key client.ObjectKey) (string, error) {
	secret, err := b.mounted(ctx, key)
	if err != nil {
		return "", err
	}
	return string(secret.Data[resources.PasswordKey]), nil
}

// mounted is the Secret that the pods of a RedisHA mount.
func (b *Testbed) mounted(ctx context.Context, key client.ObjectKey) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	name := client.ObjectKey{Namespace: key.Namespace, Name: resources.MountSecretName(key.Name)}
	return secret, b.Client.Get(ctx, name, secret)
}

// WaitSettled returns the RedisHA when all is well with it: by its status, and by what each Redis itself says.
// Meanwhile it tells say what is missing, as often as that changes; say may be nil.
func (b *Testbed) WaitSettled(ctx context.Context, key client.ObjectKey, say func(string)) (*v1alpha1.RedisHA, error) {
	var rha *v1alpha1.RedisHA
	lacking := "it does not exist"
	err := sandbox.WaitFor(ctx, "all to be well with "+key.String(), func(ctx context.Context) (bool, error) {
		got, now, err := checks.Settled(ctx, b.Client, key, func(pod *corev1.Pod) (redisclient.Info, error) {
			return b.info(ctx, key, pod)
		})
		if err != nil {
			return false, client.IgnoreNotFound(err)
		}
		if now != lacking && say != nil {
			say(now)
		}
		rha, lacking = got, now
		return lacking == "", nil
	})
	if err != nil {
		return rha, fmt.Errorf("%w (%s)", err, lacking)
	}
	return rha, nil
}

// WaitUpToDate is WaitSettled until every pod is what the spec wants, too.
func (b *Testbed) WaitUpToDate(ctx context.Context, key client.ObjectKey) (*v1alpha1.RedisHA, error) {
	for {
		rha, err := b.WaitSettled(ctx, key, nil)
		if err != nil || checks.UpToDate(rha) {
			return rha, err
		}
		if err := sandbox.Sleep(ctx, 100*time.Millisecond); err != nil {
			return rha, fmt.Errorf("waiting for the pods of %s to be what its spec wants: %w", key, err)
		}
	}
}

// info asks a pod as the operator does: in clear, or encrypted by its name.
func (b *Testbed) info(ctx context.Context, key client.ObjectKey, pod *corev1.Pod) (redisclient.Info, error) {
	secret, err := b.mounted(ctx, key)
	if err != nil {
		return redisclient.Info{}, err
	}
	options := resources.RedisOptions(pod, secret.Data)
	options.Dialer, options.Timeout = b.Clients.DialContext, 500*time.Millisecond
	redis := redisclient.New(options)
	defer redis.Close()
	return redis.Info(ctx)
}
