// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

var _ = Describe("When many masters", Label("chaos", "many"), func() {
	// So many of them are prepared, and looked at together, and one in so many has clients that write all the while. More
	// pods than these do not come to rest on two cores, where an exec takes 0.2 s of one. The others hold a write that is
	// on the replica as well.
	const many, atOnce, writing = 12, 3, 3
	// A machine that starts a dozen processes anew at once lets a Redis wait for longer than it may be silent for: a
	// candidate is given up, or a new master replaced, and who is master in the end may run in the pod of the one that was
	// killed. The cause is reported.
	const starved = 4 * 25 * 8 // what four writers, a write every 40 ms each, have acknowledged in 8 s
	repeated("die in the same second, each of them has a successor that holds what was confirmed", func(ctx SpecContext) {
		var scenes []*scene
		for i, namespace := range newNamespaces(ctx, many) {
			title, size := "", int32(2)
			if i%writing == 0 {
				title, size = "12 masters killed in the same second", 3
			}
			scenes = append(scenes, createIn(ctx, namespace, title, v1alpha1.RedisHASpec{Replicas: &size}))
		}
		together(scenes, atOnce, func(s *scene) {
			s.Settle()
			if s.row.Scenario != "" {
				s.write(ctx, s.MasterPod(), "--writers=1", "--interval=40ms")
				return
			}
			s.confirmed(ctx)
		})
		onNodes, processes := map[string][]string{}, map[*scene]string{}
		for _, s := range scenes {
			s.Before = s.Get()
			victim := s.MasterPod()
			processes[s] = s.Before.Status.Master.RunID
			onNodes[victim.Spec.NodeName] = append(onNodes[victim.Spec.NodeName], pids(ctx, victim, redisProcess))
		}
		published := watchNewMasters(ctx, scenes)
		at := strike(ctx, onNodes, scenes)
		after := published(ctx)
		Expect(after).To(HaveLen(many), "a new master was published for each")
		var took []time.Duration
		for _, t := range after {
			took = append(took, t.Sub(at))
		}
		slices.Sort(took)
		AddReportEntry("published", fmt.Sprintf("%d new masters, least, median and most after the first SIGKILL: %s, %s, %s",
			len(took), ms(took[0]), ms(took[len(took)/2]), ms(took[len(took)-1])))
		together(scenes, atOnce, func(s *scene) {
			entry := s.Promoted()
			Expect(entry.Kind).To(Equal(v1alpha1.HistoryFailover), entry.Message)
			if s.row.Scenario != "" {
				s.end(ctx, starved)
			} else {
				s.Settle()
				s.OneMaster()
				Expect(s.Wrong()).To(BeEmpty())
				Expect(env.redis(ctx, s.MasterPod(), "get", "confirmed")).To(HavePrefix(s.key.Namespace))
			}
			Expect(s.Before.Status.Master.RunID).NotTo(Equal(processes[s]), "another process than the one that was killed")
			s.fine = true
		})
	})
})

// confirmed writes what must not be lost: it is on the replica too.
func (s *scene) confirmed(ctx context.Context) {
	GinkgoHelper()
	// With so many Redis on two cores a replica may fall silent for longer than min-replicas-max-lag; a client writes
	// again then.
	Eventually(
		func() (string, error) { return env.redis(ctx, s.MasterPod(), "set", "confirmed", s.key.Namespace) },
	).WithContext(ctx).
		WithPolling(2 * time.Second).
		Should(HavePrefix("OK"))
	Eventually(func() (string, error) { return env.redis(ctx, s.replica(ctx), "get", "confirmed") }).WithContext(ctx).
		WithPolling(2 * time.Second).Should(HavePrefix(s.key.Namespace))
}

// strike kills processes on several nodes, all within a second. It returns when it began.
func strike(ctx context.Context, onNodes map[string][]string, scenes []*scene) time.Time {
	GinkgoHelper()
	var strikes []func() error
	for node, pids := range onNodes {
		strikes = append(strikes, armed(ctx, node, "KILL", pids...))
	}
	for _, s := range scenes {
		s.fault()
	}
	at := time.Now()
	var striking sync.WaitGroup
	for _, fire := range strikes {
		striking.Go(func() {
			defer GinkgoRecover()
			Expect(fire()).To(Succeed())
		})
	}
	striking.Wait()
	Expect(time.Since(at)).To(BeNumerically("<", time.Second), "all of them within a second")
	return at
}

// watchNewMasters notes when, after now, a new master is published for each of them. It returns what waits for all of
// them and tells these times.
func watchNewMasters(ctx context.Context, scenes []*scene) (times func(ctx context.Context) []time.Time) {
	GinkgoHelper()
	epochs := map[string]int64{} // by namespace
	for _, s := range scenes {
		epochs[s.key.Namespace] = s.Before.Status.Failover.Epoch
	}
	watching, err := env.client.Watch(ctx, &discoveryv1.EndpointSliceList{}, client.HasLabels{v1alpha1.LabelName})
	Expect(err).NotTo(HaveOccurred())
	var all []time.Time
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range watching.ResultChan() {
			slice, ok := event.Object.(*discoveryv1.EndpointSlice)
			if !ok {
				continue
			}
			epoch, awaited := epochs[slice.Namespace]
			if !awaited || slice.Name != resources.MasterServiceName("cache") || len(slice.Endpoints) != 1 {
				continue
			}
			if now, err := strconv.ParseInt(slice.Annotations[v1alpha1.AnnotationEpoch], 10, 64); err == nil && now > epoch {
				all = append(all, time.Now())
				delete(epochs, slice.Namespace)
			}
			if len(epochs) == 0 {
				return
			}
		}
	}()
	return func(ctx context.Context) []time.Time {
		select {
		case <-done:
		case <-ctx.Done():
		case <-time.After(3 * time.Minute):
		}
		watching.Stop()
		<-done
		return all
	}
}

func ms(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// together does something with all of them, so many at a time, and goes on when it is done with each.
func together(scenes []*scene, atOnce int, do func(*scene)) {
	GinkgoHelper()
	var done atomic.Int32
	var all sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for _, s := range scenes {
		all.Go(func() {
			defer GinkgoRecover()
			places <- struct{}{}
			defer func() { <-places }()
			do(s)
			done.Add(1)
		})
	}
	all.Wait()
	Expect(done.Load()).To(BeEquivalentTo(len(scenes)), "done with each")
}
