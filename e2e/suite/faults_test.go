// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/failover"
)

// fault is something that happens to the pod of a master.
type fault struct {
	name string
	// ready prepares it, and returns what makes it happen.
	ready func(ctx context.Context, victim *corev1.Pod) (happen func() error)
	// What the operator calls it, and how many plain writes of a stream it may cost.
	kind    v1alpha1.HistoryKind
	causes  []string
	mayLose int64
}

// The faults that are done to several kinds of Redis.
var (
	deletion = fault{
		name: "master's pod deleted",
		ready: func(ctx context.Context, victim *corev1.Pod) func() error {
			return func() error { return env.client.Delete(ctx, victim) }
		},
		kind:   v1alpha1.HistorySwitchover,
		causes: []string{planned},
	}
	kill = fault{
		name:    "master killed (kill -9)",
		ready:   signalled("KILL"),
		kind:    v1alpha1.HistoryFailover,
		causes:  deadProcess,
		mayLose: unreplicated,
	}
	hang = fault{
		name:    "master hangs (SIGSTOP)",
		ready:   signalled("STOP"),
		kind:    v1alpha1.HistoryFailover,
		causes:  []string{string(failover.DiagnosisMasterDown)},
		mayLose: unreplicated,
	}
)

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

// suffer lets it happen to the master, and checks that the RedisHA came out of it well, with another master. It returns
// the pod that was master.
func (s *scene) suffer(ctx context.Context, f fault) *corev1.Pod {
	GinkgoHelper()
	victim := s.master(ctx)
	f.befall(ctx, &s.site, victim)
	entry := s.promotion(ctx, f.kind, f.causes...)
	s.end(ctx, f.mayLose)
	s.movedFrom(victim, entry)
	return victim
}
