// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"fmt"
	"net"
	"strconv"
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
	secret := &corev1.Secret{}
	name := client.ObjectKey{Namespace: key.Namespace, Name: resources.MountSecretName(key.Name)}
	if err := b.Client.Get(ctx, name, secret); err != nil {
		return "", err
	}
	return string(secret.Data[resources.PasswordKey]), nil
}

// WaitSettled returns the RedisHA when all is well with it: by its status, and by what each Redis itself says.
// Meanwhile it tells say what is missing, as often as that changes; say may be nil.
func (b *Testbed) WaitSettled(ctx context.Context, key client.ObjectKey, say func(string)) (*v1alpha1.RedisHA, error) {
	var rha *v1alpha1.RedisHA
	lacking := "it does not exist"
	err := sandbox.WaitFor(ctx, "all to be well with "+key.String(), func(ctx context.Context) (bool, error) {
		got, err := b.Get(ctx, key)
		if err != nil {
			return false, client.IgnoreNotFound(err)
		}
		before := lacking
		if lacking = b.lacking(ctx, got); lacking != before && say != nil {
			say(lacking)
		}
		rha = got
		return lacking == "", nil
	})
	if err != nil {
		return rha, fmt.Errorf("%w (%s)", err, lacking)
	}
	return rha, nil
}

// lacking returns what is not well, "" when all is.
func (b *Testbed) lacking(ctx context.Context, rha *v1alpha1.RedisHA) string {
	if problem := checks.Lacking(rha); problem != "" {
		return problem
	}
	password, err := b.Password(ctx, client.ObjectKeyFromObject(rha))
	if err != nil {
		return "no password: " + err.Error()
	}
	pods := &corev1.PodList{}
	if err := b.Client.List(
		ctx, pods, client.InNamespace(rha.Namespace), client.MatchingLabels(resources.SelectorLabels(rha.Name)),
	); err != nil {
		return err.Error()
	}
	return checks.LackingInRedis(rha, pods.Items, func(pod *corev1.Pod) (redisclient.Info, error) {
		return b.info(ctx, pod.Status.PodIP, password)
	})
}

func (b *Testbed) info(ctx context.Context, ip, password string) (redisclient.Info, error) {
	redis := redisclient.New(redisclient.Options{
		Addr: net.JoinHostPort(ip, strconv.Itoa(int(resources.RedisPort))), Dialer: b.Clients.DialContext,
		Password: func() string { return password }, Timeout: 500 * time.Millisecond,
	})
	defer redis.Close()
	return redis.Info(ctx)
}
