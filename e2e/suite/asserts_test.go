// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/e2e/checks"
	"github.com/redisha/redisha/redisclient"
)

// unreplicated is a master's last writes, see scenes.Scene; the four streams write 800 a second.
const unreplicated = 100

// stage is scenes.Stage on a cluster.
type stage struct {
	*scene
	ctx context.Context
}

// Happen waits for a while in which nothing else happens, see calm.
func (s stage) Happen(fault func() error) {
	GinkgoHelper()
	time.Sleep(calm)
	s.fault()
	Expect(fault()).To(Succeed())
}

// Arm begins a command on the pod's node, which sends the signal when it is told to.
func (s stage) Arm(pod *corev1.Pod, signal syscall.Signal) func() error {
	GinkgoHelper()
	return signalled(signals[signal])(s.ctx, pod)
}

// ArmLeader is Arm for the operator's leader.
func (s stage) ArmLeader() func() error {
	GinkgoHelper()
	_, strike := armedLeader(s.ctx)
	return strike
}

// PartOperators drops packets on the pod's node.
func (s stage) PartOperators(pod *corev1.Pod) func() {
	GinkgoHelper()
	operators, err := env.operators(s.ctx)
	Expect(err).NotTo(HaveOccurred())
	var between []string
	for _, operator := range operators {
		between = append(
			between, "-s "+operator.Status.PodIP+" -d "+pod.Status.PodIP, "-s "+pod.Status.PodIP+" -d "+operator.Status.PodIP,
		)
	}
	s.fault()
	return drop(s.ctx, pod.Spec.NodeName, between...)
}

// Settle asks each Redis by redis-cli.
func (s stage) Settle() *v1alpha1.RedisHA {
	GinkgoHelper()
	rha := &v1alpha1.RedisHA{}
	Eventually(func() string {
		is, lacking, err := checks.Settled(
			s.ctx, env.client, s.key, func(pod *corev1.Pod) (redisclient.Info, error) { return env.info(s.ctx, pod) },
		)
		if err != nil {
			return err.Error()
		}
		rha = is
		return lacking
	}).WithContext(s.ctx).WithTimeout(3*time.Minute).WithPolling(500*time.Millisecond).Should(BeEmpty(), "all is well")
	return rha
}

// End tells of the plain writes through the Service.
func (s stage) End(mayLose int64) time.Duration {
	GinkgoHelper()
	s.end(s.ctx, mayLose)
	return time.Duration(s.row.Gaps["service/plain"] * float64(time.Millisecond))
}

// end waits until all is well again and all clients write, ends the client, and judges what became of its writes: those
// that WAIT had confirmed are all there, and of the plain ones at most so many are lost.
func (s *scene) end(ctx context.Context, mayLose int64) chaos.Result {
	GinkgoHelper()
	s.Settle()
	s.acknowledged(ctx)
	result := s.stop(ctx)
	s.row.fill(result, s.at)
	s.row.Reason = s.Reason
	if s.row.Scenario != "" {
		AddReportEntry("clients", s.row.String())
	}
	for _, stream := range result.Streams {
		Expect(stream.Unverified).To(BeEmpty(), stream.Name)
		Expect(stream.Acked).To(BeNumerically(">", 0), stream.Name)
		bound := mayLose
		if stream.Wait > 0 {
			bound = 0
		}
		Expect(stream.Lost).To(BeNumerically("<=", bound), "lost of %s: %v", stream.Name, stream.Examples)
	}
	s.OneMaster()
	return result
}

// fill takes over what the clients noticed.
func (r *row) fill(result chaos.Result, at time.Time) {
	r.Gaps = map[string]float64{}
	r.Errors = map[string]map[string]int64{}
	for _, stream := range result.Streams {
		r.Gaps[stream.Name] = float64(stream.GapSince(at).Microseconds()) / 1000
		r.Errors[stream.Name] = stream.Errors
		r.Acked += stream.Acked
		if stream.Wait > 0 {
			r.LostWait += stream.Lost
		} else {
			r.LostPlain += stream.Lost
		}
		if r.Availability == 0 || stream.Availability < r.Availability {
			r.Availability = stream.Availability
		}
	}
}
