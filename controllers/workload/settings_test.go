// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

// redis is what a process has of its settings. It writes 1gb as 1073741824, does not change databases while it runs,
// and refuses the values that it is made to.
type redis struct {
	has     map[string]string
	refuses string
	asked   int
	away    bool
	data    int64 // what the data takes, in bytes
}

// holdsMore reports a maxmemory that the data does not fit in, where that is not to be set.
func (r *redis) holdsMore(s redisclient.Setting) bool {
	most, err := strconv.ParseInt(s.Value, 10, 64)
	return s.SparesData && err == nil && most < r.data
}

func (tl *teller) SetSettings(
	_ context.Context, _ string, node failover.NodeRef, want []redisclient.Setting,
) (told redisclient.ToldSettings, err error) {
	r := tl.redis[node.Pod]
	if r == nil {
		return told, nil
	}
	r.asked++
	if r.away {
		return told, context.DeadlineExceeded
	}
	told.Before = maps.Clone(r.has)
	next := maps.Clone(r.has)
	for _, s := range want {
		switch value := strings.ReplaceAll(s.Value, "1gb", "1073741824"); {
		case r.holdsMore(s):
			told.Spared = append(told.Spared, s.Name)
		case r.refuses != "" && value == r.refuses:
			told.Refused = append(told.Refused, redisclient.RefusedSetting{Setting: s, Why: "not on this machine"})
		case s.Name == "databases" && value != r.has[s.Name]:
			told.Fixed = append(told.Fixed, s.Name)
		default:
			next[s.Name] = value
		}
	}
	if len(told.Refused) == 0 {
		r.has = next
	}
	told.After = maps.Clone(r.has)
	return told, nil
}

// telling is a set of three whose processes can be told.
func telling(
	t *testing.T,
	config map[string]v1alpha1.ConfigValue,
) (*world, map[string]*redis, *clocktesting.FakeClock) {
	t.Helper()
	w := newWorld(t, controllertest.Shop(func(rha *v1alpha1.RedisHA) { rha.Spec.Config = config }))
	tl := newTeller()
	tl.redis = map[string]*redis{}
	clock := clocktesting.NewFakeClock(time.Unix(1e9, 0))
	w.reconciler.Teller, w.reconciler.Clock, w.reconciler.Trial = tl, clock, &trial{}
	w.reconcile()
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	for ordinal := range 3 {
		tl.redis[resources.PodName("shop", ordinal)] = &redis{has: map[string]string{"databases": "16", "hz": "10"}}
	}
	w.runs(rha)
	w.likeTheTemplate()
	w.reconcile()
	return w, tl.redis, clock
}

// likeTheTemplate makes the pods of the present template, as the StatefulSet controller does.
func (w *world) likeTheTemplate() {
	w.T.Helper()
	sts := w.control()
	for ordinal := range 3 {
		pod := &corev1.Pod{}
		w.Get(resources.PodName("shop", ordinal), pod)
		pod.Annotations = maps.Clone(sts.Spec.Template.Annotations)
		pod.Labels = merged(pod.Labels, appsv1.ControllerRevisionHashLabelKey, sts.Status.UpdateRevision)
		pod.Spec.Containers = sts.Spec.Template.Spec.Containers
		if err := w.Client.Update(w.T.Context(), pod); err != nil {
			w.T.Fatal(err)
		}
	}
}

// settled lets the controllers work until nothing is written, and returns the pods that were replaced.
func (w *world) settled() (replaced []string) {
	w.T.Helper()
	for range 6 {
		for _, write := range w.reconcile() {
			if pod, is := strings.CutPrefix(write, "delete *v1.Pod "); is {
				replaced = append(replaced, pod)
			}
		}
		w.control()
	}
	return replaced
}

func (w *world) forgets() {
	w.reconciler.memory.Forget(controllertest.Key("shop"))
}

func values(all map[string]*redis, name string) []string {
	var got []string
	for _, pod := range slices.Sorted(maps.Keys(all)) {
		got = append(got, all[pod].has[name])
	}
	return got
}

func TestAChangedSettingReachesEveryProcessAndReplacesNoPod(t *testing.T) {
	w, all, _ := telling(t, map[string]v1alpha1.ConfigValue{"maxmemory": "2gb"})
	w.set(map[string]v1alpha1.ConfigValue{"maxmemory": "1gb", "hz": "20"})
	if replaced := w.settled(); len(replaced) > 0 {
		t.Errorf("%v were replaced", replaced)
	}
	if got := values(all, "maxmemory"); !slices.Equal(got, []string{"1073741824", "1073741824", "1073741824"}) {
		t.Errorf("maxmemory is %v", got)
	}
	if !strings.Contains(w.written(), "maxmemory 1gb") {
		t.Error("a process that is started later does not have it")
	}
	if writes := w.reconcile(); len(writes) > 0 {
		t.Errorf("nothing changes, and is written: %v", writes)
	}
	w.forgets() // another leader
	if writes := w.reconcile(); len(writes) > 0 {
		t.Errorf("another leader finds nothing changed, and writes: %v", writes)
	}
}

func TestASettingThatIsFixedWhileRedisRunsReplacesThePods(t *testing.T) {
	w, all, _ := telling(t, nil)
	w.set(map[string]v1alpha1.ConfigValue{"databases": "32", "hz": "20"})
	if replaced := w.settled(); len(replaced) == 0 || replaced[0] != "shop-2" {
		t.Errorf("%v were replaced, want shop-2 first", replaced)
	}
	if got := values(all, "hz"); !slices.Equal(got, []string{"20", "20", "20"}) {
		t.Errorf("hz is %v: what can be changed waits for the rollout", got)
	}
	w, _, _ = telling(t, nil)
	w.set(map[string]v1alpha1.ConfigValue{"databases": "16"})
	if replaced := w.settled(); len(replaced) > 0 {
		t.Errorf("%v were replaced for what they have", replaced)
	}
}

// The default of a removed setting is known where the operator has one.
func TestARemovedSettingGoesBackToItsDefault(t *testing.T) {
	w, all, _ := telling(t, nil)
	w.set(map[string]v1alpha1.ConfigValue{"tcp-keepalive": "60"})
	w.settled()
	w.set(nil)
	if replaced := w.settled(); len(replaced) > 0 {
		t.Errorf("%v were replaced, though the default is known", replaced)
	}
	if got := values(all, "tcp-keepalive"); !slices.Equal(got, []string{"30", "30", "30"}) {
		t.Errorf("tcp-keepalive is %v", got)
	}
	w.set(map[string]v1alpha1.ConfigValue{"hz": "20"}) // told while Redis runs, so no pod was made with it
	w.settled()
	w.forgets()
	w.set(nil)
	if replaced := w.settled(); len(replaced) == 0 || replaced[0] != "shop-2" {
		t.Errorf("%v were replaced, want shop-2 first: its default is not known", replaced)
	}
}

func TestWhatOneProcessRefusesGoesBackOnAll(t *testing.T) {
	w, all, _ := telling(t, map[string]v1alpha1.ConfigValue{"maxmemory": "1gb"})
	before, has := w.written(), maps.Clone(all["shop-1"].has)
	all["shop-2"].refuses = "9gb"
	w.set(map[string]v1alpha1.ConfigValue{"maxmemory": "9gb", "hz": "20"})
	w.reconcile() // in the same pass: the next may be another leader's
	for pod, r := range all {
		if !maps.Equal(r.has, has) {
			t.Errorf("%s has %v, want %v", pod, r.has, has)
		}
	}
	if w.written() != before {
		t.Error("what one process refuses was written for the next")
	}
	c := w.Condition(v1alpha1.ConditionReconciled)
	if c.Reason != v1alpha1.ReasonConfigRefused ||
		!strings.Contains(
			c.Message,
			`shop-2 refuses it`,
		) || !strings.Contains(c.Message, `maxmemory: "9gb": not on this machine`) {
		t.Errorf("Reconciled is %s: %s", c.Reason, c.Message)
	}
	asked := all["shop-2"].asked
	if writes := w.reconcile(); len(writes) > 0 || all["shop-2"].asked != asked {
		t.Errorf("told again, and %v written", writes)
	}
	w.set(map[string]v1alpha1.ConfigValue{"maxmemory": "3gb"})
	w.settled()
	if c := w.Condition(
		v1alpha1.ConditionReconciled,
	); c.Status != metav1.ConditionTrue ||
		all["shop-2"].has["maxmemory"] != "3gb" {
		t.Errorf("the mended spec: Reconciled is %s: %s", c.Reason, c.Message)
	}
}

// An operator that ends after it has told the first process knows nothing of that when it is back.
func TestARefusalIsUndoneByAnotherLeaderAsWell(t *testing.T) {
	w, all, _ := telling(t, map[string]v1alpha1.ConfigValue{"maxmemory": "1gb"})
	all["shop-1"].has["hz"], all["shop-1"].has["maxmemory"] = "20", "9gb"
	all["shop-2"].refuses = "9gb"
	w.set(map[string]v1alpha1.ConfigValue{"maxmemory": "9gb", "hz": "20"})
	w.forgets()
	w.settled()
	for _, name := range []string{"maxmemory", "hz"} {
		if got := values(all, name); got[1] != got[2] {
			t.Errorf("%s is %v", name, got)
		}
	}
}

func TestAProcessThatIsStartedAnewIsToldAgain(t *testing.T) {
	w, all, _ := telling(t, nil)
	w.set(map[string]v1alpha1.ConfigValue{"hz": "20"})
	w.settled()
	all["shop-1"].has = map[string]string{"databases": "16", "hz": "10"}
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	rha.Status.Nodes[1].RunID = "another"
	if err := w.Client.Status().Update(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	w.settled()
	if got := all["shop-1"].has["hz"]; got != "20" {
		t.Errorf("hz is %s", got)
	}
}

func TestAProcessThatIsAwayIsToldWhenItIsBack(t *testing.T) {
	w, all, clock := telling(t, nil)
	all["shop-2"].away = true
	w.set(map[string]v1alpha1.ConfigValue{"hz": "20"})
	w.settled()
	if !strings.Contains(w.written(), "hz 20") || all["shop-0"].has["hz"] != "20" {
		t.Errorf("a process that is away holds a setting back: %v", values(all, "hz"))
	}
	all["shop-2"].away = false
	clock.Step(tellsAgain)
	w.settled()
	if got := all["shop-2"].has["hz"]; got != "20" {
		t.Errorf("hz is %s", got)
	}
}

func TestWhatIsChangedByHandIsSetBackWithinAMinuteAndTold(t *testing.T) {
	w, all, clock := telling(t, map[string]v1alpha1.ConfigValue{"maxmemory": "1gb"})
	w.settled()
	events := record.NewFakeRecorder(10)
	w.reconciler.Recorder = events
	asked := all["shop-1"].asked
	all["shop-1"].has["maxmemory"] = "5"
	w.settled()
	if all["shop-1"].asked != asked {
		t.Error("asked again within a minute")
	}
	for range 2 {
		clock.Step(settingsEvery)
		if writes := w.reconcile(); len(writes) > 0 {
			t.Errorf("written: %v", writes)
		}
	}
	if got := all["shop-1"].has["maxmemory"]; got != "1073741824" {
		t.Errorf("maxmemory is %s", got)
	}
	if len(events.Events) != 1 {
		t.Fatalf("%d Events, want 1", len(events.Events))
	}
	if event := <-events.Events; event != `Warning SettingSetBack maxmemory of pod shop-1 was changed to "5" by other means than `+
		`the spec, and is set back to "1073741824"` {
		t.Error(event)
	}
	if got := all["shop-1"].asked - asked; got != 2 {
		t.Errorf("asked %d times in two minutes", got)
	}
}

func TestNothingIsToldWhilePaused(t *testing.T) {
	w, all, clock := telling(t, nil)
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) {
		spec.Failover.Mode, spec.Config = v1alpha1.ModePaused, map[string]v1alpha1.ConfigValue{"hz": "20"}
	})
	asked := all["shop-0"].asked
	clock.Step(settingsEvery)
	w.settled()
	if all["shop-0"].asked != asked {
		t.Error("told while paused")
	}
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) { spec.Failover.Mode = v1alpha1.ModeAutomatic })
	w.settled()
	if got := values(all, "hz"); !slices.Equal(got, []string{"20", "20", "20"}) {
		t.Errorf("after the pause hz is %v", got)
	}
}

// With another image what runs knows other settings; what it refuses holds no rollout back.
func TestWhatTheFormerImageRefusesIsNoRefusal(t *testing.T) {
	w, all, _ := telling(t, nil)
	for _, r := range all {
		r.refuses = "new"
	}
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) {
		spec.Image, spec.Config = "redis:8", map[string]v1alpha1.ConfigValue{"of-redis-8": "new"}
	})
	if replaced := w.settled(); len(replaced) == 0 {
		c := w.Condition(v1alpha1.ConditionReconciled)
		t.Errorf("no pod was replaced; Reconciled is %s: %s", c.Reason, c.Message)
	}
}

func TestAChangeThatNoProcessAnswersToIsNotHeldUpForLong(t *testing.T) {
	w, all, clock := telling(t, nil)
	for _, r := range all {
		r.away = true
	}
	w.set(map[string]v1alpha1.ConfigValue{"hz": "20"})
	for range 2 {
		if _, err := w.reconciler.Reconcile(
			t.Context(),
			ctrl.Request{NamespacedName: controllertest.Key("shop")},
		); err == nil {
			t.Error("it is not told again")
		}
	}
	if strings.Contains(w.written(), "hz 20") {
		t.Error("it was written at once")
	}
	clock.Step(triesFor)
	w.settled()
	if !strings.Contains(w.written(), "hz 20") {
		t.Error("it waits for ever")
	}
}

// Pods of a version whose hash of the spec held the settings are known by it, and changed like others after that.
func TestAnUpgradeFromAHashWithSettingsReplacesNoPodAndTheNextChangeNeither(t *testing.T) {
	w, all, _ := telling(t, map[string]v1alpha1.ConfigValue{"hz": "20"})
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	for ordinal := range 3 {
		pod := &corev1.Pod{}
		w.Get(resources.PodName("shop", ordinal), pod)
		pod.Annotations = map[string]string{v1alpha1.AnnotationSpecHash: resources.FormerSpecHash(rha, true, true)}
		pod.Labels = merged(pod.Labels, appsv1.ControllerRevisionHashLabelKey, "shop-former")
		if err := w.Client.Update(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
	}
	w.forgets()
	if replaced := w.settled(); len(replaced) > 0 {
		t.Fatalf("%v were replaced by the upgrade", replaced)
	}
	w.set(map[string]v1alpha1.ConfigValue{"hz": "30"})
	if replaced := w.settled(); len(replaced) > 0 || all["shop-0"].has["hz"] != "30" {
		t.Errorf("%v were replaced, and hz is %v", replaced, values(all, "hz"))
	}
	w.set(nil)
	if replaced := w.settled(); len(replaced) == 0 {
		t.Error("a removed setting stays")
	}
}
