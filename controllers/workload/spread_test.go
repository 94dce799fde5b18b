// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/conditions"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/controllers/tenancy"
)

var spreadNow = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestAReplicaIsMovedToAFreeMachineOnlyWhileAllElseIsWell(t *testing.T) {
	free := func(change func(*spread)) func(*spread) {
		return func(s *spread) {
			s.addFree("free")
			if change != nil {
				change(s)
			}
		}
	}
	tests := map[string]struct {
		on     []string
		change func(*spread)
		want   string
		again  time.Duration
	}{
		"three on three":             {on: []string{"w1", "w2", "w3"}, change: free(nil)},
		"two on two":                 {on: []string{"w1", "w2"}, change: free(nil)},
		"three on two, nothing free": {on: []string{"w1", "w2", "w2"}},
		"a machine is free in a moment": {
			on:     []string{"w1", "w1"},
			change: func(s *spread) { s.machines.settles = time.Second },
			again:  time.Second,
		},
		"two replicas together": {
			on:     []string{"w1", "w2", "w2"},
			change: free(nil),
			want:   "shop-2",
		},
		"the master and a replica together": {
			on:     []string{"w1", "w1", "w2"},
			change: free(nil),
			want:   "shop-1",
		},
		"a pair on one": {on: []string{"w1", "w1"}, change: free(nil), want: "shop-1"},
		"all on one: one at a time": {
			on:     []string{"w1", "w1", "w1"},
			change: free(nil),
			want:   "shop-2",
		},
		"the replica beside the master first": {
			on:     []string{"w1", "w1", "w2", "w2", "w2"},
			change: free(nil),
			want:   "shop-1",
		},
		"the machine with most of the replicas": {
			on:     []string{"w1", "w2", "w2", "w3", "w3", "w3"},
			change: free(nil),
			want:   "shop-5",
		},
		"the master is never moved": {
			on:     []string{"w1", "w1"},
			change: free(func(s *spread) { s.pods[1].Labels[v1alpha1.LabelRole] = v1alpha1.RoleMaster }),
		},
		"disks stay": {
			on:     []string{"w1", "w1"},
			change: free(func(s *spread) { s.rha.Spec.Storage = &v1alpha1.StorageSpec{} }),
		},
		"paused": {
			on:     []string{"w1", "w1"},
			change: free(func(s *spread) { s.rha.Spec.Failover.Mode = v1alpha1.ModePaused }),
		},
		"something was requested": {
			on:     []string{"w1", "w1"},
			change: free(func(s *spread) { s.rha.Annotations = map[string]string{v1alpha1.AnnotationRequest: "switchover"} }),
		},
		"a failover runs": {
			on:     []string{"w1", "w1"},
			change: free(func(s *spread) { s.rha.Status.Failover.State = v1alpha1.StateSuspected }),
		},
		"a replica is not in sync": {
			on:     []string{"w1", "w1", "w2"},
			change: free(func(s *spread) { s.link(2, v1alpha1.LinkDown) }),
		},
		"the replica itself is not in sync": {
			on:     []string{"w1", "w1", "w2"},
			change: free(func(s *spread) { s.link(1, v1alpha1.LinkDown) }),
		},
		"of a replica nothing was heard yet": {
			on:     []string{"w1", "w1", "w2"},
			change: free(func(s *spread) { s.pods[2].UID = "another" }),
		},
		"a replica is not ready": {
			on:     []string{"w1", "w1", "w2"},
			change: free(func(s *spread) { controllertest.Unready(&s.pods[2]) }),
		},
		"a pod is missing": {
			on:     []string{"w1", "w1", "w2"},
			change: free(func(s *spread) { s.pods = s.pods[:2] }),
		},
		"a pod leaves": {
			on:     []string{"w1", "w1", "w2"},
			change: free(func(s *spread) { s.pods[2].DeletionTimestamp = ptr.To(metav1.Now()) }),
		},
		"a rollout": {
			on:     []string{"w1", "w1", "w2"},
			change: free(func(s *spread) { outdate(&s.pods[2]) }),
		},
		"a spec that was not applied yet": {
			on:     []string{"w1", "w1", "w2"},
			change: free(func(s *spread) { s.rha.Generation++ }),
		},
		"scaling up": {
			on:     []string{"w1", "w1"},
			change: free(func(s *spread) { s.rha.Spec.Replicas = ptr.To[int32](3) }),
		},
		"scaling down": {
			on:     []string{"w1", "w1", "w2"},
			change: free(func(s *spread) { s.rha.Spec.Replicas = ptr.To[int32](2) }),
		},
		"a drain is under way": {
			on:     []string{"w1", "w1", "w2"},
			change: free(func(s *spread) { s.machines.under["w2"].Spec.Unschedulable = true }),
		},
		"a machine under it is not ready": {
			on:     []string{"w1", "w1", "w2"},
			change: free(func(s *spread) { s.machines.under["w2"].Status.Conditions[0].Status = corev1.ConditionUnknown }),
		},
		"pods that a person lets share a machine": {
			on:     []string{"w1", "w1"},
			change: free(func(s *spread) { s.pods[1].Spec.Affinity = &corev1.Affinity{} }),
		},
		"it came back where it was": {
			on:     []string{"w1", "w1", "w1"},
			change: free(func(s *spread) { s.movedBefore(2, "w1", time.Minute) }),
			again:  9 * time.Minute,
		},
		"it came back where it was, and the pause is over": {
			on:     []string{"w1", "w1", "w1"},
			change: free(func(s *spread) { s.movedBefore(2, "w1", movePause) }),
			want:   "shop-2",
		},
		"after one that was moved with success, the next": {
			on:     []string{"w1", "w1", "w2"},
			change: free(func(s *spread) { s.movedBefore(2, "w1", time.Minute) }),
			want:   "shop-1",
		},
		"it was moved here a minute ago": {
			on:     []string{"w1", "w2", "w2"},
			change: free(func(s *spread) { s.movedBefore(1, "w1", time.Minute); s.movedBefore(2, "w1", 3*time.Minute) }),
			again:  7 * time.Minute,
		},
		"deleted, and the cache does not know yet": {on: []string{"w1", "w1", "w1"}, change: free(func(s *spread) {
			s.moves["shop-2"] = moved(move{}, &s.pods[2], spreadNow.Add(-time.Hour))
		})},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := placed(tc.on...)
			s.now = spreadNow
			if tc.change != nil {
				tc.change(&s)
			}
			pod, again := s.movable()
			got := ""
			if pod != nil {
				got = pod.Name
			}
			if got != tc.want || again != tc.again {
				t.Errorf("moves %q and looks again after %s; want %q and %s", got, again, tc.want, tc.again)
			}
		})
	}
}

func outdate(pod *corev1.Pod) {
	pod.Labels[appsv1.ControllerRevisionHashLabelKey] = "old"
	pod.Annotations[v1alpha1.AnnotationSpecHash] = "old"
}

// movedBefore has the pod before this one been moved away from a machine.
func (s *spread) movedBefore(ordinal int, from string, ago time.Duration) {
	s.moves[s.pods[ordinal].Name] = move{uid: "before", from: from, at: s.now.Add(-ago), pause: movePause}
}

func TestThePauseDoublesWhileAPodIsMovedAgainAndAgain(t *testing.T) {
	pod := placedPod(1, "w1")
	last, now := move{}, spreadNow
	for _, want := range []time.Duration{movePause, 2 * movePause, 4 * movePause} {
		if last = moved(last, &pod, now); last.pause != want {
			t.Errorf("a pause of %s, want %s", last.pause, want)
		}
		now = now.Add(last.pause)
	}
	if last = moved(last, &pod, now.Add(2*last.pause)); last.pause != movePause {
		t.Errorf("a pause of %s long after the last move, want %s", last.pause, movePause)
	}
	for range 20 {
		last = moved(last, &pod, last.at.Add(last.pause))
	}
	if last.pause != movePauseMax {
		t.Errorf("a pause of %s in the end, want %s", last.pause, movePauseMax)
	}
}

func TestAMachineIsFreeIfItIsReadyAndTakesThePod(t *testing.T) {
	tests := map[string]struct {
		node    func(*corev1.Node)
		pod     func(*corev1.Pod)
		free    bool
		settles time.Duration
	}{
		"ready":      {free: true},
		"not ready":  {node: func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }},
		"never seen": {node: func(n *corev1.Node) { n.Status.Conditions = nil }},
		"ready for a moment": {
			node: func(n *corev1.Node) {
				n.Status.Conditions[0].LastTransitionTime = metav1.NewTime(spreadNow.Add(time.Second - machineSettles))
			},
			settles: time.Second,
		},
		"cordoned":      {node: func(n *corev1.Node) { n.Spec.Unschedulable = true }},
		"being deleted": {node: func(n *corev1.Node) { n.DeletionTimestamp = ptr.To(metav1.Now()) }},
		"tainted": {node: func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "for", Value: "others", Effect: corev1.TaintEffectNoSchedule}}
		}},
		"tainted, and tolerated": {
			node: func(n *corev1.Node) {
				n.Spec.Taints = []corev1.Taint{{Key: "for", Value: "others", Effect: corev1.TaintEffectNoSchedule}}
			},
			pod: func(p *corev1.Pod) {
				p.Spec.Tolerations = []corev1.Toleration{{Key: "for", Operator: corev1.TolerationOpExists}}
			},
			free: true,
		},
		"not selected": {pod: func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"disk": "fast"} }},
		"selected": {
			node: func(n *corev1.Node) { n.Labels["disk"] = "fast" },
			pod:  func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"disk": "fast"} }, free: true,
		},
		"required affinity": {pod: func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
					MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "disk", Operator: corev1.NodeSelectorOpExists}},
				}}},
			}}
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			node, pod := aMachine("w2", ""), placedPod(0, "w1")
			if tc.node != nil {
				tc.node(node)
			}
			if tc.pod != nil {
				tc.pod(&pod)
			}
			m := machines{under: map[string]*corev1.Node{"w1": aMachine("w1", "")}}
			m.search([]corev1.Node{*m.under["w1"], *node}, []corev1.Pod{pod}, spreadNow)
			if got := len(m.free) == 1; got != tc.free || m.settles != tc.settles {
				t.Errorf("free is %t, after %s; want %t, after %s", got, m.settles, tc.free, tc.settles)
			}
		})
	}
}

func TestKubeletsThatReportWakeNoRedisHAAndAMachineThatBecomesFreeDoes(t *testing.T) {
	tests := map[string]struct {
		change func(*corev1.Node)
		want   bool
	}{
		"a heartbeat": {change: func(n *corev1.Node) { n.Status.Conditions[0].LastHeartbeatTime = metav1.Now() }},
		"an image":    {change: func(n *corev1.Node) { n.Status.Images = []corev1.ContainerImage{{SizeBytes: 1}} }},
		"not ready": {
			change: func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionFalse },
			want:   true,
		},
		"cordoned":             {change: func(n *corev1.Node) { n.Spec.Unschedulable = true }, want: true},
		"tainted":              {change: func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "for"}} }, want: true},
		"labelled":             {change: func(n *corev1.Node) { n.Labels["disk"] = "fast" }, want: true},
		"labelled differently": {change: func(n *corev1.Node) { n.Labels[corev1.LabelHostname] = "x" }, want: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			before := aMachine("w1", "")
			after := before.DeepCopy()
			tc.change(after)
			if got := freedomChanged(before, after); got != tc.want {
				t.Errorf("wakes: %t, want %t", got, tc.want)
			}
		})
	}
}

// stackedWorld is a set with its pods on the machines, whose first pod is master and which is settled.
func stackedWorld(t *testing.T, nodes []client.Object, on ...string) (*world, *clocktesting.FakeClock) {
	t.Helper()
	s := placed(on...)
	rha := controllertest.Shop(func(rha *v1alpha1.RedisHA) { rha.Spec.Replicas = s.rha.Spec.Replicas })
	w := newWorld(t, append(nodes, rha)...)
	clock := clocktesting.NewFakeClock(spreadNow)
	w.reconciler.Clock = clock
	w.reconcile()
	for i := range s.pods {
		w.place(s.pods[i])
	}
	w.Get("shop", rha)
	rha.Status.Master, rha.Status.Failover, rha.Status.Nodes = s.rha.Status.Master, s.rha.Status.Failover, s.rha.Status.Nodes
	ready := conditions.New(v1alpha1.ConditionReady, true, v1alpha1.ReasonAllNodesReady, "")
	ready.ObservedGeneration, rha.Status.ObservedGeneration = rha.Generation, rha.Generation
	rha.Status.Conditions = append(rha.Status.Conditions, ready)
	if err := w.Client.Status().Update(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	return w, clock
}

func (w *world) place(pod corev1.Pod) {
	w.T.Helper()
	pod.Namespace, pod.Labels, pod.Annotations = "store", resources.Labels("shop"), nil
	if err := w.Client.Create(w.T.Context(), &pod); err != nil {
		w.T.Fatal(err)
	}
}

// follow has the failover controller see a pod in sync.
func (w *world) follow(ordinal int, uid string) {
	w.T.Helper()
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	rha.Status.Nodes[ordinal].PodUID = uid
	if err := w.Client.Status().Update(w.T.Context(), rha); err != nil {
		w.T.Fatal(err)
	}
}

// deletions are the pods deleted in one pass.
func (w *world) deletions() []string {
	w.T.Helper()
	return slices.DeleteFunc(
		w.reconcile(),
		func(write string) bool { return !strings.HasPrefix(write, "delete *v1.Pod ") },
	)
}

func TestStackedPodsAreSpreadOneAtATimeAndASettledSetIsNotWrittenTo(t *testing.T) {
	w, _ := stackedWorld(t, []client.Object{aMachine("w1", ""), aMachine("w2", ""), aMachine("w3", "")}, "w1", "w1", "w1")
	w.moveTo(2, "w2")
	w.moveTo(1, "w3")
	w.reconcile()
	if got := w.Condition(
		v1alpha1.ConditionSurvivesMachineLoss,
	); got.Status != metav1.ConditionTrue ||
		got.Reason != v1alpha1.ReasonNodesSpread {
		t.Errorf("%s, %s: %s", got.Status, got.Reason, got.Message)
	}
	if writes := w.reconcile(); len(writes) > 0 {
		t.Errorf("a settled set was written to: %q", writes)
	}
}

// moveTo checks that the pod is deleted and nothing else until it is back in sync, on another machine.
func (w *world) moveTo(ordinal int, machine string) {
	w.T.Helper()
	name, before := resources.PodName("shop", ordinal), &corev1.Pod{}
	w.Get(name, before)
	if got := w.deletions(); len(got) != 1 || got[0] != "delete *v1.Pod "+name {
		w.T.Fatalf("%q, want %s deleted alone", got, name)
	}
	if event := <-w.Events.Events; !strings.Contains(event, v1alpha1.EventPodMoved) || !strings.Contains(event, name) {
		w.T.Errorf("event %q", event)
	}
	if got := w.deletions(); len(got) > 0 {
		w.T.Fatalf("%q while %s is away", got, name)
	}
	pod := placedPod(ordinal, machine)
	pod.UID = before.UID + "+"
	w.place(pod)
	if got := w.deletions(); len(got) > 0 {
		w.T.Fatalf("%q while %s is not in sync", got, name)
	}
	w.follow(ordinal, string(pod.UID))
}

func TestAPodThatComesBackWhereItWasIsLeftForAWhile(t *testing.T) {
	w, clock := stackedWorld(t, []client.Object{aMachine("w1", ""), aMachine("w2", "")}, "w1", "w1")
	for _, pause := range []time.Duration{movePause, 2 * movePause} {
		w.moveTo(1, "w1")
		w.reconcile() // the condition
		result, err := w.reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: controllertest.Key("shop")})
		if err != nil || result.RequeueAfter != pause {
			t.Errorf("%v, and looked at again after %s, want %s", err, result.RequeueAfter, pause)
		}
		clock.Step(pause - time.Second)
		if got := w.deletions(); len(got) > 0 {
			t.Fatalf("%q, a second before the pause of %s is over", got, pause)
		}
		clock.Step(time.Second)
	}
}

func TestAPodIsNotMovedToWhereThereIsNoRoom(t *testing.T) {
	full := aMachine("w2", "")
	full.Status.Allocatable = corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")}
	other := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "other", Namespace: "elsewhere"},
		Spec:       corev1.PodSpec{NodeName: "w2"},
	}
	w, clock := stackedWorld(t, []client.Object{aMachine("w1", ""), full, other}, "w1", "w1")
	if got := w.deletions(); len(got) > 0 {
		t.Fatalf("%q, and there is no room elsewhere", got)
	}
	if err := w.Client.Delete(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	clock.Step(roomAgain)
	if got := w.deletions(); len(got) != 1 {
		t.Errorf("%q, and there is room by now", got)
	}
}

func TestWhatAPodRequestsFitsOrNot(t *testing.T) {
	asking := func(memory string) corev1.Pod {
		return corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memory)},
		}}}}}
	}
	done := asking("3Gi")
	done.Status.Phase = corev1.PodSucceeded
	node := aMachine("w2", "")
	node.Status.Allocatable = corev1.ResourceList{
		corev1.ResourceMemory: resource.MustParse("4Gi"),
		corev1.ResourcePods:   resource.MustParse("3"),
	}
	tests := map[string]struct {
		pod   corev1.Pod
		there []corev1.Pod
		want  bool
	}{
		"an empty machine":       {pod: asking("4Gi"), want: true},
		"too much":               {pod: asking("5Gi")},
		"what others leave":      {pod: asking("1Gi"), there: []corev1.Pod{asking("3Gi")}, want: true},
		"more than others leave": {pod: asking("2Gi"), there: []corev1.Pod{asking("3Gi")}},
		"what has ended":         {pod: asking("4Gi"), there: []corev1.Pod{done}, want: true},
		"no requests":            {there: []corev1.Pod{asking("4Gi")}, want: true},
		"too many pods":          {there: []corev1.Pod{{}, {}, {}}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := fits(&tc.pod, node, tc.there); got != tc.want {
				t.Errorf("fits: %t, want %t", got, tc.want)
			}
		})
	}
}

func TestAMachineThatComesWakesOnlySetsThatShareOne(t *testing.T) {
	w, _ := stackedWorld(t, nil, "w1", "w1")
	other := placedPod(0, "w1")
	other.Namespace, other.Labels = "store", resources.Labels("other")
	other.Name = "other-0"
	if err := w.Client.Create(t.Context(), &other); err != nil {
		t.Fatal(err)
	}
	q := &seen{}
	handlers := w.reconciler.machineChanged()
	handlers.Create(t.Context(), event.CreateEvent{Object: aMachine("w2", ""), IsInInitialList: true}, q)
	if len(q.names) > 0 {
		t.Errorf("%q were woken at the start", q.names)
	}
	handlers.Create(t.Context(), event.CreateEvent{Object: aMachine("w2", "")}, q)
	if !slices.Equal(q.names, []string{"store/shop"}) {
		t.Errorf("%q were woken, want store/shop alone", q.names)
	}
}

// seen is a queue that remembers what is added to it.
type seen struct {
	tenancy.Queue
	names []string
}

func (s *seen) Add(req ctrl.Request) { s.names = append(s.names, req.String()) }
