package suite

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/failover"
)

// fault is something that happens to the pod of a master.
type fault struct {
	name    string
	happens func(ctx context.Context, victim *corev1.Pod)
	// What the operator calls it, and how many plain writes of a stream it may cost.
	kind    v1alpha1.HistoryKind
	causes  []string
	mayLose int64
}

// The faults that are done to several kinds of Redis.
var (
	deletion = fault{
		name:    "master's pod deleted",
		happens: func(ctx context.Context, victim *corev1.Pod) { Expect(play.client.Delete(ctx, victim)).To(Succeed()) },
		kind:    v1alpha1.HistoryHandover,
		causes:  []string{planned},
	}
	kill = fault{
		name:    "master killed (kill -9)",
		happens: func(ctx context.Context, victim *corev1.Pod) { signal(ctx, victim, redisProcess, "KILL") },
		kind:    v1alpha1.HistoryFailover,
		causes:  deadProcess,
		mayLose: unreplicated,
	}
	hang = fault{
		name:    "master hangs (SIGSTOP)",
		happens: func(ctx context.Context, victim *corev1.Pod) { signal(ctx, victim, redisProcess, "STOP") },
		kind:    v1alpha1.HistoryFailover,
		causes:  []string{string(failover.DiagnosisDown)},
		mayLose: unreplicated,
	}
)

// suffer lets it happen to the master, and checks that the RedisHA came out of it well, with another master. It returns the pod that
// was master.
func (s *scene) suffer(ctx context.Context, f fault) *corev1.Pod {
	GinkgoHelper()
	victim := s.master(ctx)
	s.fault()
	f.happens(ctx, victim)
	entry := s.promotion(ctx, f.kind, f.causes...)
	s.end(ctx, f.mayLose)
	s.movedFrom(victim, entry)
	return victim
}
