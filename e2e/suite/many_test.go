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
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

var _ = Describe("When many masters", Label("chaos", "many"), func() {
	const many, atOnce = 20, 5 // so many of them are prepared and looked at at the same time
	// Every fourth has two replicas, the others one: the kubelets' probes of 60 pods would be all that two cores can do.
	size := func(i int) *int32 {
		if i%4 == 0 {
			return ptr.To[int32](3)
		}
		return ptr.To[int32](2)
	}
	repeated("die in the same second, a replica takes over for each of them", func(ctx SpecContext) {
		var scenes []*scene
		for i, namespace := range newNamespaces(ctx, many) {
			scenes = append(scenes, createIn(ctx, namespace, "20 masters killed in the same second", v1alpha1.RedisHASpec{Replicas: size(i)}))
		}
		together(scenes, atOnce, func(s *scene) {
			s.settle(ctx)
			s.clients = s.writeFrom(ctx, chaosPod, "", "--writers=1", "--interval=40ms")
		})
		onNodes, victims := map[string][]string{}, map[*scene]*corev1.Pod{}
		for _, s := range scenes {
			victim := s.master(ctx)
			victims[s] = victim
			onNodes[victim.Spec.NodeName] = append(onNodes[victim.Spec.NodeName], pids(ctx, victim, redisProcess))
		}
		var strikes []func() error
		for node, pids := range onNodes {
			strikes = append(strikes, armed(ctx, node, pids...))
		}
		published := watchNewMasters(ctx, scenes)
		for _, s := range scenes {
			s.fault()
		}
		at := time.Now()
		var striking sync.WaitGroup
		for _, strike := range strikes {
			striking.Go(func() {
				defer GinkgoRecover()
				Expect(strike()).To(Succeed())
			})
		}
		striking.Wait()
		struck := time.Since(at)
		Expect(struck).To(BeNumerically("<", time.Second), "all of them within a second")
		var entries sync.Map
		together(scenes, len(scenes), func(s *scene) {
			entries.Store(s, s.promotion(ctx, v1alpha1.HistoryFailover, deadProcess...))
		})
		after := published()
		Expect(after).To(HaveLen(many), "a new master was published for each")
		var took []time.Duration
		for _, t := range after {
			took = append(took, t.Sub(at))
		}
		slices.Sort(took)
		AddReportEntry("published", fmt.Sprintf("%d new masters, least, median and most after the first SIGKILL: %s, %s, %s; the last one %s after the first",
			len(took), ms(took[0]), ms(took[len(took)/2]), ms(took[len(took)-1]), ms(struck)))
		together(scenes, atOnce, func(s *scene) {
			s.end(ctx, unreplicated)
			entry, _ := entries.Load(s)
			s.movedFrom(victims[s], entry.(v1alpha1.HistoryEntry))
			s.fine = true
		})
	})
})

// watchNewMasters notes when, after now, a new master is published for each of them. It returns what tells these times.
func watchNewMasters(ctx context.Context, scenes []*scene) (times func() []time.Time) {
	GinkgoHelper()
	epochs := map[string]int64{} // by namespace
	for _, s := range scenes {
		epochs[s.key.Namespace] = s.before.Status.Failover.Epoch
	}
	watching, err := play.client.Watch(ctx, &discoveryv1.EndpointSliceList{}, client.HasLabels{v1alpha1.LabelName})
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
	return func() []time.Time {
		select {
		case <-done:
		case <-time.After(10 * time.Second): // what the history tells of has been published
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
