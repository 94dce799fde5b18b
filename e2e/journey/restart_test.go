// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"context"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

func TestAKilledRedisIsBackInTheSameContainerAndCounted(t *testing.T) {
	ctx := bounded(t, 2*time.Minute)
	r := apply(ctx, t, "supervised")
	pod := r.master()
	for kills := range 2 { // as a master, and then as a replica
		// Not one that dies young.
		wait(ctx, t, "the process to be older", func(ctx context.Context) bool {
			return time.Since(r.container(ctx, pod).State.Running.StartedAt.Time) > time.Duration(kills+1)*8*time.Second
		})
		if err := bed.Sandbox.Signal(r.key.Namespace, pod, resources.RedisContainer, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		wait(ctx, t, "another process to follow the master", func(ctx context.Context) bool {
			object, err := bed.Get(ctx, r.key)
			return err == nil && node(object, pod).ProcessRestarts == int32(kills+1) && node(object, pod).Link == "up"
		})
		r.settle(ctx)
		if after := r.container(ctx, pod); after.RestartCount != 0 {
			t.Errorf("the container of %s was started anew: %+v", pod, after)
		}
	}
	if r.master() == pod {
		t.Errorf("%s is master still", pod)
	}
}

func (r *redisHA) container(ctx context.Context, name string) corev1.ContainerStatus {
	r.t.Helper()
	pod := &corev1.Pod{}
	if err := bed.Client.Get(ctx, client.ObjectKey{Namespace: r.key.Namespace, Name: name}, pod); err != nil {
		r.t.Fatal(err)
	}
	return pod.Status.ContainerStatuses[0]
}

func node(rha *v1alpha1.RedisHA, pod string) v1alpha1.NodeStatus {
	for _, n := range rha.Status.Nodes {
		if n.Pod == pod {
			return n
		}
	}
	return v1alpha1.NodeStatus{}
}
