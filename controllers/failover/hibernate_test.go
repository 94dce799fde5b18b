// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
	"github.com/redisha/redisha/failover/prober"
	"github.com/redisha/redisha/redisclient"
)

// asleep is a RedisHA that hibernates, with what the condition Ready goes by.
func asleep() *life {
	l := wellOne()
	l.rha.Spec.Replicas, l.rha.Spec.Storage = ptr.To[int32](0), &v1alpha1.StorageSpec{}
	l.sts.Spec = resources.StatefulSet(l.rha, 0).Spec
	l.pods, l.obs = nil, failover.Observation{}
	l.decision = failover.Decision{Next: failover.Progress{Initialized: true, State: failover.StateHibernated}}
	l.says(v1alpha1.ConditionProgressing, false, v1alpha1.ReasonHibernated, 2)
	return l
}

func TestASetThatHibernatesIsNotInTroubleAndSaysHowToWakeIt(t *testing.T) {
	l := asleep()
	seen := sighting{unfinished: unfinishedOf(l.rha, l.sts, l.pods, l.now)}
	possible := possibleCondition(l.rha, l.decision, l.obs, time.Now())
	for _, c := range conditionsOf(l.rha, l.decision, seen, possible) {
		switch c.Type {
		case v1alpha1.ConditionAvailable, v1alpha1.ConditionReady, v1alpha1.ConditionFailoverPossible:
			if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonHibernated ||
				!strings.Contains(c.Message, "data-shop-0") || !strings.Contains(c.Message, "spec.replicas") {
				t.Errorf("%s is %s because of %s: %s", c.Type, c.Status, c.Reason, c.Message)
			}
		case v1alpha1.ConditionInitialized:
			if c.Status != metav1.ConditionTrue {
				t.Errorf("%s is %s", c.Type, c.Status)
			}
		default:
			if c.Status != metav1.ConditionFalse {
				t.Errorf("%s is %s because of %s", c.Type, c.Status, c.Reason)
			}
		}
	}
}

func TestReadyTellsOfASetThatIsToHibernateWhatIsLeft(t *testing.T) {
	now := metav1.Now()
	for name, tc := range map[string]struct {
		change func(l *life)
		reason string
	}{
		"its spec is news": {func(l *life) { l.rha.Generation = 3 }, v1alpha1.ReasonSpecNotApplied},
		"it has pods":      {func(l *life) { *l = *wellOne(); l.rha.Spec.Replicas = ptr.To[int32](0) }, v1alpha1.ReasonScaling},
		"its last pod is ending": {func(l *life) {
			l.pods = wellOne().pods[:1]
			l.pods[0].DeletionTimestamp = &now
		}, v1alpha1.ReasonNodesLeaving},
	} {
		t.Run(name, func(t *testing.T) {
			l := asleep()
			tc.change(l)
			if c := l.ready(); c.Status != metav1.ConditionFalse || c.Reason != tc.reason {
				t.Errorf("Ready is %s because of %s: %s", c.Status, c.Reason, c.Message)
			}
		})
	}
}

func TestASetThatWaitsForItsPodToWakeIsNotBlocked(t *testing.T) {
	next := failover.Progress{Initialized: true, State: failover.StateBootstrapping, Cause: failover.CauseWoken}
	if c := blockedCondition(
		failover.Decision{Next: next, Message: "waking; waiting"},
	); c.Status != metav1.ConditionFalse {
		t.Errorf("Blocked because of %s: %s", c.Reason, c.Message)
	}
	lost := failover.Decision{Next: next, Reason: failover.ReasonNoCandidate, Message: "shop-0 is empty"}
	if c := blockedCondition(lost); c.Status != metav1.ConditionTrue || c.Reason != string(failover.ReasonNoCandidate) {
		t.Errorf("a volume that is lost: Blocked is %s because of %s", c.Status, c.Reason)
	}
}

func TestASetMayHibernateWhenItsStatefulSetIsEmptied(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(l *life)
		want   string
	}{
		"it is":                 {func(*life) {}, "shop-0"},
		"it is not yet":         {func(l *life) { l.sts.Spec.Replicas = ptr.To[int32](1) }, ""},
		"there is none":         {func(l *life) { l.sts.UID, l.sts.Spec.Replicas = "", nil }, ""},
		"a person has woken it": {func(l *life) { l.rha.Spec.Replicas = ptr.To[int32](1) }, ""},
		"a person fills it while it hibernates": {func(l *life) {
			l.sts.Spec.Replicas = ptr.To[int32](3)
			l.rha.Status.Failover = &v1alpha1.FailoverStatus{State: v1alpha1.StateHibernated}
		}, "shop-0"},
	} {
		l := asleep()
		tc.change(l)
		if got := hibernateOn(l.rha, l.sts); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// A StatefulSet that was emptied has its pod end, which the cache may show first. Taken for a loss, it would have a
// failover begin.
func TestALastPodThatEndsIsNoLossWhereTheStatefulSetWasEmptiedInTheMeantime(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(w *lastPod)
		reads  int
		want   string
	}{
		"emptied":                {func(*lastPod) {}, 1, "shop-0"},
		"the API server is mute": {func(w *lastPod) { w.mute = true }, 1, ""},
		"deleted in between":     {func(w *lastPod) { w.live.Name = "another" }, 1, ""},
		"deleted by a person":    {func(w *lastPod) { w.live.Spec.Replicas = ptr.To[int32](1) }, 1, ""},
		"the cache shows it too": {func(w *lastPod) { w.cached.Spec.Replicas = ptr.To[int32](0) }, 0, "shop-0"},
		"it does not end":        {func(w *lastPod) { w.pod.DeletionTimestamp = nil }, 0, ""},
		"the set is to run":      {func(w *lastPod) { w.rha.Spec.Replicas = ptr.To[int32](1) }, 0, ""},
	} {
		l := asleep()
		w := &lastPod{
			rha: l.rha, live: l.sts, cached: l.sts.DeepCopy(), pod: controllertest.RunningPod("shop-0", "u0"),
		}
		w.rha.Spec.Storage = nil // a claim is looked at past the cache, too
		w.cached.Spec.Replicas, w.pod.DeletionTimestamp = ptr.To[int32](1), ptr.To(metav1.Now())
		tc.change(w)
		reader := &countingReader{Reader: controllertest.New(t, w.live).Client}
		if w.mute {
			reader.Reader = muteReader{}
		}
		slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
			Namespace: w.rha.Namespace, Name: resources.MasterServiceName(w.rha.Name),
		}}
		cache := controllertest.New(t, w.cached, slice).Client
		g := &observer{
			client: cache, prober: prober.New(prober.Options{}), effects: &kubeEffects{client: cache, reader: reader},
			clock: clock.RealClock{}, seen: &sight{},
		}
		obs, err := g.observe(t.Context(), w.rha, []corev1.Pod{w.pod})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if obs.hibernate != tc.want || reader.reads != tc.reads {
			t.Errorf("%s: %q by %d reads, want %q by %d", name, obs.hibernate, reader.reads, tc.want, tc.reads)
		}
	}
}

// lastPod is the last pod of a set, and the StatefulSet as it is and as the cache shows it.
type lastPod struct {
	rha          *v1alpha1.RedisHA
	live, cached *appsv1.StatefulSet
	pod          corev1.Pod
	mute         bool
}

// muteReader never answers.
type muteReader struct{ client.Reader }

func (muteReader) Get(ctx context.Context, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestACoreThatIsToHibernateGoesToOnePodFirst(t *testing.T) {
	if got := policyOf(asleep().rha).Replicas; got != 1 {
		t.Errorf("the policy wants %d", got)
	}
}

// Whoever deletes the claim of a set that hibernates deletes its data. The next one is empty.
func TestAClaimThatWasMadeSinceTheSetHibernatedHoldsNothing(t *testing.T) {
	made := func(ago time.Duration) func(c *corev1.PersistentVolumeClaim) {
		return func(c *corev1.PersistentVolumeClaim) { c.CreationTimestamp = metav1.NewTime(time.Now().Add(-ago)) }
	}
	for name, tc := range map[string]struct {
		change func(c *corev1.PersistentVolumeClaim)
		want   bool
	}{
		"made before":        {made(time.Hour), true},
		"made since":         {made(time.Minute), false},
		"restored by a tool": {func(c *corev1.PersistentVolumeClaim) { made(time.Minute)(c); c.Annotations = nil }, true},
		"filled from a snapshot": {func(c *corev1.PersistentVolumeClaim) {
			made(time.Minute)(c)
			c.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "VolumeSnapshot", Name: "s"}
		}, true},
	} {
		g, rha, sts, _, _ := claimsWorld(t, claimOf(tc.change))
		rha.Status.Failover = &v1alpha1.FailoverStatus{
			State: v1alpha1.StateBootstrapping, Cause: string(failover.CauseWoken),
			StartedAt: ptr.To(metav1.NewMicroTime(time.Now().Add(-30 * time.Minute))),
			Internal:  v1alpha1.FailoverInternal{Initialized: true},
		}
		if holds, err := g.mayHoldData(t.Context(), rha, sts, 0, "uid"); err != nil || holds != tc.want {
			t.Errorf("%s: it may hold data: %t (%v), want %t", name, holds, err, tc.want)
		}
	}
}

func TestPeopleAreToldThatASetHibernatesAndWakesAndOfNoFault(t *testing.T) {
	for name, tc := range map[string]struct {
		from, to failover.State
		record   *failover.Record
		want     string
	}{
		"it hibernates": {failover.StateStable, failover.StateHibernated, nil, v1alpha1.EventHibernated},
		"it wakes":      {failover.StateHibernated, failover.StateBootstrapping, nil, ""},
		"it is awake": {failover.StateReattaching, failover.StateStable, &failover.Record{
			Kind: failover.KindBootstrap, Cause: failover.CauseWoken, Outcome: failover.OutcomeSucceeded,
		}, v1alpha1.EventWoken},
	} {
		kind, reason := eventOf(tc.from, tc.to, false, tc.record)
		if reason != tc.want || kind == corev1.EventTypeWarning {
			t.Errorf("%s: %s %s", name, kind, reason)
		}
	}
}

func TestASetThatHibernatesIsNeitherAvailableNorNot(t *testing.T) {
	key := client.ObjectKey{Namespace: "ns", Name: "hibernates"}
	defer forgetMetrics(key)
	series := func() int {
		registry := prometheus.NewRegistry()
		registry.MustRegister(availableGauge)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, family := range families {
			count += len(family.GetMetric())
		}
		return count
	}
	before := series()
	observeAvailable(key, failover.StateStable, true)
	if got := series(); got != before+1 {
		t.Fatalf("%d series", got-before)
	}
	observeAvailable(key, failover.StateHibernated, false)
	if got := series(); got != before {
		t.Errorf("%d series while it hibernates", got-before)
	}
}

// disk is a Redis that says how its last write to its volume went.
type disk struct {
	deaf
	fileOK, snapshotOK bool
}

func (d disk) Info(ctx context.Context) (redisclient.Info, error) {
	info, err := d.deaf.Info(ctx)
	info.AOFEnabled, info.AOFLastWriteOK, info.RDBLastSaveOK = true, d.fileOK, d.snapshotOK
	return info, err
}

func (d disk) PauseAndInfo(ctx context.Context, _ time.Duration) (redisclient.Info, error) {
	return d.Info(ctx)
}

func TestARedisPersistsByItsFileOrElseByItsSnapshots(t *testing.T) {
	for name, tc := range map[string]struct {
		disk      disk
		aof, want bool
	}{
		"both are well":                         {disk{fileOK: true, snapshotOK: true}, true, true},
		"its file is not":                       {disk{snapshotOK: true}, true, false},
		"its snapshots are not, and it has one": {disk{fileOK: true}, true, true},
		"its snapshots are not":                 {disk{fileOK: true}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newLoop(t, func(redisclient.Options) link.Redis { return tc.disk })
			request := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "store", Name: "shop"}}
			if _, err := r.Reconcile(t.Context(), request); err != nil {
				t.Fatal(err)
			}
			info, _ := tc.disk.Info(t.Context())
			heard := failover.NodeRef{Pod: "shop-1", UID: "shop-1", RunID: info.RunID}
			for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(10 * time.Millisecond) {
				if n, found := (failover.Observation{Nodes: r.prober.Observe("store/shop")}).Node(heard); found && n.Answers() {
					break
				}
			}
			if got := r.Persists("store/shop", heard, tc.aof); got != tc.want {
				t.Errorf("it persists: %t", got)
			}
			heard.RunID = "another process"
			if r.Persists("store/shop", heard, tc.aof) {
				t.Error("what one process said is taken for what another does")
			}
		})
	}
}
