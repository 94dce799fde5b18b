// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/redisha/redisha/e2e/scenes"
)

// fault is something that happens to the pod of a master.
type fault struct {
	name string
	// ready prepares it, and returns what makes it happen.
	ready func(ctx context.Context, victim *corev1.Pod) (happen func() error)
	// story is what has to come of it with a RedisHA.
	story func(*scenes.Scene) time.Duration
}

// The faults that are done to several kinds of Redis.
var (
	deletion = fault{
		name: "master's pod deleted",
		ready: func(ctx context.Context, victim *corev1.Pod) func() error {
			return func() error { return env.client.Delete(ctx, victim) }
		},
		story: (*scenes.Scene).MasterPodIsDeleted,
	}
	kill = fault{
		name:  "master killed (kill -9)",
		ready: signalled("KILL"),
		story: (*scenes.Scene).MasterIsKilled,
	}
	hang = fault{
		name:  "master hangs (SIGSTOP)",
		ready: signalled("STOP"),
		story: (*scenes.Scene).MasterHangs,
	}
)

// signals are what kill calls them.
var signals = map[syscall.Signal]string{syscall.SIGKILL: "KILL", syscall.SIGSTOP: "STOP", syscall.SIGCONT: "CONT"}

// signalled is a signal to the Redis process.
func signalled(name string) func(context.Context, *corev1.Pod) func() error {
	return func(ctx context.Context, victim *corev1.Pod) func() error {
		GinkgoHelper()
		return armed(ctx, victim.Spec.NodeName, name, pids(ctx, victim, redisProcess))
	}
}

// calm is how long a fault is waited with when all is well: kubelets, controllers and the API server go on for a while
// about the pods that were made for it, and what is measured is a failover, not that.
const calm = 3 * time.Second

// befall lets it happen to the victim.
func (f fault) befall(ctx context.Context, s *site, victim *corev1.Pod) {
	GinkgoHelper()
	happen := f.ready(ctx, victim)
	time.Sleep(calm)
	s.fault()
	Expect(happen()).To(Succeed(), "%s: %s", f.name, victim.Name)
}
