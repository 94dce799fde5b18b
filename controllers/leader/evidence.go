// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover/lease"
	"github.com/redisha/redisha/redisclient"
)

// Bounds of asking the Redis nodes about a leader. A leader that lives is connected to each of them, so it takes no
// more to find it; and a standby of thousands must not open thousands of connections at once.
const (
	witnessesWithin = 300 * time.Millisecond
	mostWitnesses   = 32
)

// Witnesses are the Redis nodes of all RedisHA that the cache shows; lease.Witnesses is its interface.
type Witnesses struct {
	Client client.Reader
}

// Count asks the nodes, all at the same time, for connections of operators.
func (w Witnesses) Count(ctx context.Context) (lease.Census, error) {
	ctx, cancel := context.WithTimeout(ctx, witnessesWithin)
	defer cancel()
	var pods corev1.PodList
	if err := w.Client.List(ctx, &pods); err != nil { // the cache holds Redis pods only
		return lease.Census{}, fmt.Errorf("listing the Redis pods: %w", err)
	}
	asked := witnesses(pods.Items)
	census := lease.Census{Asked: len(asked)}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, pod := range asked {
		asking.Go(func() {
			defer func() { _ = recover() }() // what one pod answers must not end the process: it did not answer
			listed, err := w.ask(ctx, pod)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				census.Answered++
			}
			if err == nil && listed > 0 {
				census.Listing++
			}
		})
	}
	asking.Wait()
	return census, nil
}

// witnesses chooses who is asked: of each RedisHA one, then of each another, so that many of different fates are among
// them.
func witnesses(pods []corev1.Pod) []corev1.Pod {
	seen := map[client.ObjectKey]int{}
	rounds := map[string]int{}
	var chosen []corev1.Pod
	for _, pod := range pods {
		name := pod.Labels[v1alpha1.LabelName]
		if name == "" || pod.Status.PodIP == "" || pod.Status.Phase != corev1.PodRunning {
			continue
		}
		key := client.ObjectKey{Namespace: pod.Namespace, Name: name}
		rounds[string(pod.UID)] = seen[key]
		seen[key]++
		chosen = append(chosen, pod)
	}
	slices.SortStableFunc(chosen, func(a, b corev1.Pod) int { return rounds[string(a.UID)] - rounds[string(b.UID)] })
	return chosen[:min(len(chosen), mostWitnesses)]
}

// ask counts the connections of operators at one pod's Redis.
func (w Witnesses) ask(ctx context.Context, pod corev1.Pod) (int, error) {
	var secret corev1.Secret
	key := client.ObjectKey{Namespace: pod.Namespace, Name: resources.MountSecretName(pod.Labels[v1alpha1.LabelName])}
	if err := w.Client.Get(ctx, key, &secret); client.IgnoreNotFound(err) != nil {
		return 0, fmt.Errorf("reading the password: %w", err)
	}
	options := resources.RedisOptions(&pod, secret.Data)
	options.DialTimeout, options.Timeout = witnessesWithin, witnessesWithin
	redis := redisclient.New(options)
	defer redis.Close()
	return redis.CountOperatorConnections(ctx, lease.ConnectionPrefix)
}

// Pods are the pods that operators run in; lease.Pods is its interface.
type Pods struct {
	Reader    client.Reader // uncached
	Namespace string
}

// Watch looks the pod up. An operator that runs elsewhere than in a pod has none.
func (p Pods) Watch(ctx context.Context, name string) func(context.Context) bool {
	pod := &corev1.Pod{}
	key := client.ObjectKey{Namespace: p.Namespace, Name: name}
	if p.Reader.Get(ctx, key, pod) != nil {
		return nil
	}
	uid := pod.UID
	return func(ctx context.Context) bool {
		now := &corev1.Pod{}
		err := p.Reader.Get(ctx, key, now)
		if err != nil {
			return apierrors.IsNotFound(err)
		}
		return now.UID != uid || ended(now)
	}
}

// ended reports the kubelet's word that the pod has ended for good, and each of its containers.
func ended(pod *corev1.Pod) bool {
	if pod.Status.Phase != corev1.PodFailed && pod.Status.Phase != corev1.PodSucceeded {
		return false
	}
	return len(pod.Status.ContainerStatuses) > 0 &&
		!slices.ContainsFunc(
			pod.Status.ContainerStatuses,
			func(s corev1.ContainerStatus) bool { return s.State.Terminated == nil },
		)
}

// Records reads the Lease; lease.Records is its interface. The lock is not used otherwise.
type Records struct {
	Lock resourcelock.Interface
}

// Read reads it from the API server.
func (r Records) Read(ctx context.Context) (holder, renewal string, err error) {
	record, _, err := r.Lock.Get(ctx)
	if err != nil {
		return "", "", fmt.Errorf("reading the Lease: %w", err)
	}
	return record.HolderIdentity, renewalOf(record), nil
}
