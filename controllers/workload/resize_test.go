// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

// withMemory is a spec with that limit and request of memory, and cpu with that request.
func withMemory(limit, request string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)},
		Requests: corev1.ResourceList{
			corev1.ResourceMemory: resource.MustParse(request), corev1.ResourceCPU: resource.MustParse("100m"),
		},
	}
}

// sized is a set of three whose pods have been made with a limit of 1Gi, on a cluster that can resize.
func sized(t *testing.T) (*world, map[string]*redis, *clocktesting.FakeClock) {
	t.Helper()
	w, all, clock := telling(t, nil)
	w.size(withMemory("1Gi", "1Gi"))
	w.settled()
	w.likeTheTemplate()
	w.enact(0, 1, 2)
	w.settled()
	w.events("")
	return w, all, clock
}

func (w *world) size(to corev1.ResourceRequirements) {
	w.T.Helper()
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) { spec.Resources = to })
}

// pod is a pod of the set.
func (w *world) pod(ordinal int) *corev1.Pod {
	w.T.Helper()
	pod := &corev1.Pod{}
	w.Get(resources.PodName("shop", ordinal), pod)
	return pod
}

// says has a kubelet report something.
func (w *world) says(ordinal int, change func(*corev1.Pod)) {
	w.T.Helper()
	pod := w.pod(ordinal)
	change(pod)
	if err := w.Client.Status().Update(w.T.Context(), pod.DeepCopy()); err != nil {
		w.T.Fatal(err)
	}
	pod.ResourceVersion = ""
	if err := w.Client.Update(w.T.Context(), pod); err != nil {
		w.T.Fatal(err)
	}
}

// enact has kubelets give pods what their specs say.
func (w *world) enact(ordinals ...int) {
	w.T.Helper()
	for _, ordinal := range ordinals {
		w.says(ordinal, func(pod *corev1.Pod) {
			pod.Status.ContainerStatuses[0].Resources = pod.Spec.Containers[0].Resources.DeepCopy()
			pod.Status.Conditions = slices.DeleteFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
				return c.Type == corev1.PodResizePending || c.Type == corev1.PodResizeInProgress
			})
		})
	}
}

func pending(kind corev1.PodConditionType, reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
			Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: message,
		})
	}
}

// asks are the pods that are asked to take other resources, in order, and those that are replaced.
func (w *world) asks() (asked, replaced []string) {
	w.T.Helper()
	for range 4 {
		for _, write := range w.reconcile() {
			if pod, is := strings.CutPrefix(write, "patch resize of "); is {
				asked = append(asked, pod)
			}
			if pod, is := strings.CutPrefix(write, "delete *v1.Pod "); is {
				replaced = append(replaced, pod)
			}
		}
		w.control()
	}
	return asked, replaced
}

func (w *world) expectAsked(what string, want ...string) {
	w.T.Helper()
	asked, replaced := w.asks()
	if !slices.Equal(asked, want) || len(replaced) > 0 {
		w.T.Errorf("%s: %v were asked, want %v; %v were replaced", what, asked, want, replaced)
	}
}

func (w *world) expectMaxmemory(all map[string]*redis, what, want string) {
	w.T.Helper()
	if got := values(all, "maxmemory"); !slices.Equal(got, []string{want, want, want}) {
		w.T.Errorf("%s: maxmemory is %v, want %s", what, got, want)
	}
}

func (w *world) events(reason string) (messages []string) {
	for {
		select {
		case event := <-w.Events.Events:
			if rest, is := strings.CutPrefix(event, "Normal "+reason+" "); is {
				messages = append(messages, rest)
			} else if rest, is := strings.CutPrefix(event, "Warning "+reason+" "); is {
				messages = append(messages, rest)
			}
		default:
			return messages
		}
	}
}

const (
	of512Mi = "402653184"
	of1Gi   = "805306368"
	of2Gi   = "1610612736"
)

func TestMoreMemoryIsGivenToOnePodAtATimeAndMaxmemoryFollowsTheLastOfThem(t *testing.T) {
	w, all, _ := sized(t)
	w.expectMaxmemory(all, "before", of1Gi)
	w.size(withMemory("2Gi", "2Gi"))
	for i, pod := range []string{"shop-2", "shop-1", "shop-0"} {
		w.expectAsked("in turn", pod)
		w.expectMaxmemory(all, "while "+pod+" has not got it", of1Gi)
		if c := w.Condition(v1alpha1.ConditionProgressing); c.Reason != v1alpha1.ReasonResizing ||
			!strings.Contains(c.Message, "waiting for "+pod) {
			t.Errorf("Progressing is %s: %s", c.Reason, c.Message)
		}
		w.enact(2 - i)
	}
	w.expectAsked("when all have it")
	w.expectMaxmemory(all, "when all have it", of2Gi)
	if c := w.Condition(v1alpha1.ConditionProgressing); c.Reason != v1alpha1.ReasonUpToDate {
		t.Errorf("Progressing is %s: %s", c.Reason, c.Message)
	}
	if got := w.events(v1alpha1.EventPodResized); len(got) != 3 || !strings.Contains(got[0], "limits.memory=2Gi") {
		t.Errorf("told: %v", got)
	}
	w.forgets()
	if writes := w.reconcile(); len(writes) > 0 {
		t.Errorf("another leader finds nothing changed, and writes: %v", writes)
	}
	pod := w.pod(0)
	if request := pod.Spec.Containers[0].Resources.Requests.Memory().String(); request != "2Gi" {
		t.Errorf("the request is %s", request)
	}
}

func TestLessMemoryIsTakenByEveryProcessBeforeAPodHasLess(t *testing.T) {
	w, all, clock := sized(t)
	all["shop-1"].away = true
	w.size(withMemory("512Mi", "512Mi"))
	asked := w.reconcile()
	if slices.Contains(asked, "patch resize of shop-2") && all["shop-2"].has["maxmemory"] != of512Mi {
		t.Error("a pod was asked before its process takes less")
	}
	w.expectAsked("a replica takes less", "shop-2")
	w.enact(2)
	w.expectAsked("the process of the next does not answer")
	all["shop-1"].away = false
	clock.Step(tellsAgain)
	w.expectAsked("it answers", "shop-1")
	w.expectMaxmemory(all, "as the limits are lowered", of512Mi)
	w.enact(1)
	w.expectAsked("the master is the last", "shop-0")
}

func TestLessMemoryThanTheDataTakesChangesNothing(t *testing.T) {
	w, all, clock := sized(t)
	all["shop-0"].data = 600 << 20
	written := w.written()
	w.size(withMemory("512Mi", "512Mi"))
	w.expectAsked("while the data is there")
	w.expectMaxmemory(all, "while the data is there", of1Gi)
	sts := w.control()
	if limit := sts.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().String(); limit != "1Gi" ||
		w.written() != written {
		t.Errorf("new pods are made with %s, and redis.conf is\n%s", limit, w.written())
	}
	if c := w.Condition(v1alpha1.ConditionReconciled); c.Reason != v1alpha1.ReasonDataInTheWay ||
		!strings.Contains(c.Message, "shop-0 holds more data than a limit of 512Mi") {
		t.Errorf("Reconciled is %s: %s", c.Reason, c.Message)
	}
	all["shop-0"].data = 100 << 20
	clock.Step(dataGoesIn)
	w.expectAsked("the data has gone", "shop-2")
	w.expectMaxmemory(all, "the data has gone", of512Mi)
}

// A master that is promoted while a replica has less must not take what that one cannot hold.
func TestMaxmemoryIsWhatEveryPodHasRoomFor(t *testing.T) {
	w, all, _ := sized(t)
	w.size(withMemory("2Gi", "1Gi"))
	w.expectAsked("the first", "shop-2")
	w.enact(2)
	w.expectAsked("the second", "shop-1")
	w.says(1, pending(corev1.PodResizePending, corev1.PodReasonDeferred, "Node didn't have enough resource: memory"))
	w.expectAsked("the second has to wait")
	w.expectMaxmemory(all, "one of three has it", of1Gi)
	if c := w.Condition(v1alpha1.ConditionProgressing); !strings.Contains(
		c.Message, "waiting for shop-1: Deferred: Node didn't have enough resource: memory; a requested restart",
	) {
		t.Errorf("Progressing is %s: %s", c.Reason, c.Message)
	}
}

func TestAPodThatServesNothingIsGivenMoreMemoryAtOnce(t *testing.T) {
	w, _, _ := sized(t)
	w.says(0, func(pod *corev1.Pod) { pod.Status.ContainerStatuses[0].Ready = false })
	w.says(1, func(pod *corev1.Pod) { pod.Status.ContainerStatuses[0].Ready = false })
	w.size(withMemory("2Gi", "2Gi"))
	asked, replaced := w.asks()
	slices.Sort(asked)
	if !slices.Equal(asked, []string{"shop-0", "shop-1", "shop-2"}) || len(replaced) > 0 {
		t.Errorf("%v were asked, %v replaced", asked, replaced)
	}
}

// resizeRefusals are answers of an API server to a pod that is asked to take other resources.
var resizeRefusals = map[string]struct {
	err      error
	replaces bool
	words    string
}{
	"it has no such subresource": {apierrors.NewGenericServerResponse(
		404, "patch", schema.GroupResource{Resource: "pods"}, "shop-2", "404 page not found", 0, true,
	), true, "could not find the requested resource"},
	"it does not let it be patched": {apierrors.NewMethodNotSupported(
		schema.GroupResource{Resource: "pods"}, "patch",
	), true, "not supported"},
	"the class of the pod would be another": {apierrors.NewInvalid(
		schema.GroupKind{Kind: "Pod"}, "shop-2", nil,
	), true, "invalid"},
	"the operator may not": {apierrors.NewForbidden(
		schema.GroupResource{Resource: "pods"}, "shop-2",
		fmt.Errorf(`User "redisha" cannot patch resource "pods/resize" in API group "" in the namespace "store"`),
	), true, "cannot patch resource"},
	"the node is too small": {&apierrors.StatusError{ErrStatus: metav1.Status{
		Reason: metav1.StatusReasonForbidden, Message: "node didn't have enough allocatable resources: memory",
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: causeCapacity}}},
	}}, true, "enough allocatable resources"},
	"a quota is in the way": {apierrors.NewForbidden(
		schema.GroupResource{Resource: "pods"}, "shop-2", fmt.Errorf("exceeded quota: store, requested: memory=1Gi"),
	), false, "exceeded quota"},
}

func TestWhatCannotBeResizedIsReplacedWithTheReasonTold(t *testing.T) {
	for name, refusal := range resizeRefusals {
		t.Run(name, func(t *testing.T) {
			w, _, _ := sized(t)
			w.Refuse = func(sub, _ string) error {
				if sub == "resize" {
					return refusal.err
				}
				return nil
			}
			w.size(withMemory("2Gi", "2Gi"))
			_, replaced := w.asks()
			told := w.Condition(v1alpha1.ConditionProgressing).Message
			if !refusal.replaces {
				told = w.Condition(v1alpha1.ConditionReconciled).Message
			} else if events := w.events(v1alpha1.EventNotResized); len(events) == 0 ||
				!strings.Contains(events[0], "shop-2") || !strings.Contains(events[0], refusal.words) {
				t.Errorf("the Events are %q", events)
			}
			if (len(replaced) > 0) != refusal.replaces || len(replaced) > 0 && replaced[0] != "shop-2" {
				t.Errorf("%v were replaced", replaced)
			}
			if !strings.Contains(told, refusal.words) {
				t.Errorf("told: %s", told)
			}
		})
	}
}

func TestWhatAMachineCannotGiveIsGivenByAnotherPod(t *testing.T) {
	for name, test := range map[string]struct {
		says    func(*corev1.Pod)
		lasts   bool
		outcome string
	}{
		"it never will have room": {
			pending(corev1.PodResizePending, corev1.PodReasonInfeasible, "Node didn't have enough capacity: memory"), false,
			"Infeasible: Node didn't have enough capacity: memory",
		},
		"it fails again and again": {
			pending(corev1.PodResizeInProgress, corev1.PodReasonError, "cannot decrease memory limits"), true,
			"Error: cannot decrease memory limits",
		},
		"it says nothing": {func(*corev1.Pod) {}, true, "its kubelet has not done it within 2m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			w, _, clock := sized(t)
			w.size(withMemory("2Gi", "2Gi"))
			w.expectAsked("the first", "shop-2")
			w.says(2, test.says)
			if test.lasts {
				w.expectAsked("for a while")
				clock.Step(resizesIn)
			}
			_, replaced := w.asks()
			if len(replaced) == 0 || replaced[0] != "shop-2" {
				t.Errorf("%v were replaced, want shop-2", replaced)
			}
			if got := w.events(v1alpha1.EventNotResized); len(got) == 0 || !strings.Contains(got[0], test.outcome) {
				t.Errorf("told: %v", got)
			}
		})
	}
}

func TestALimitThatIsRemovedReplacesThePodsAndOneThatIsAddedDoesNot(t *testing.T) {
	w, _, _ := sized(t)
	next := withMemory("1Gi", "1Gi")
	next.Limits[corev1.ResourceCPU] = resource.MustParse("2")
	w.size(next)
	w.expectAsked("a limit is added", "shop-2")
	w.enact(2)
	w.size(withMemory("1Gi", "1Gi"))
	if _, replaced := w.asks(); len(replaced) == 0 || replaced[0] != "shop-2" {
		t.Errorf("%v were replaced, want shop-2, which has the limit that was removed", replaced)
	}
}

func TestAChangeThatIsTakenBackIsTakenBackWhilePodsRun(t *testing.T) {
	w, all, _ := sized(t)
	w.size(withMemory("2Gi", "2Gi"))
	w.expectAsked("the first", "shop-2")
	w.enact(2)
	w.size(withMemory("1Gi", "1Gi"))
	w.expectAsked("it is taken back", "shop-2")
	w.enact(2)
	w.expectAsked("it is as it was")
	w.expectMaxmemory(all, "all the while", of1Gi)
}

func TestNothingIsResizedWhilePausedOrInAFailover(t *testing.T) {
	w, _, _ := sized(t)
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) {
		spec.Failover.Mode, spec.Resources = v1alpha1.ModePaused, withMemory("2Gi", "2Gi")
	})
	w.expectAsked("paused")
	if c := w.Condition(v1alpha1.ConditionProgressing); c.Reason != v1alpha1.ReasonRolloutPaused {
		t.Errorf("Progressing is %s: %s", c.Reason, c.Message)
	}
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) { spec.Failover.Mode = v1alpha1.ModeAutomatic })
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	rha.Status.Failover.State = v1alpha1.StatePromoting
	if err := w.Client.Status().Update(t.Context(), rha); err != nil {
		t.Fatal(err)
	}
	w.expectAsked("in a failover")
}

// Amounts that another program gave a pod, as it was made or since, are none of ours.
func TestWhatAnotherProgramGaveAPodIsLeftAlone(t *testing.T) {
	w, _, _ := sized(t)
	w.says(1, func(pod *corev1.Pod) {
		pod.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory] = resource.MustParse("3Gi")
		pod.Spec.Containers[0].Resources.Limits[corev1.ResourceCPU] = resource.MustParse("4")
	})
	w.says(1, pending(corev1.PodResizePending, corev1.PodReasonInfeasible, "not here"))
	w.expectAsked("another program resizes a pod")
}

// A pod of a version that replaced pods for resources is known by its hash, and resized like others after that.
func TestAnUpgradeFromAHashWithResourcesReplacesNoPodAndTheNextChangeNeither(t *testing.T) {
	w, _, _ := sized(t)
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	for ordinal := range 3 {
		w.says(ordinal, func(pod *corev1.Pod) {
			delete(pod.Annotations, v1alpha1.AnnotationResources)
			pod.Annotations[v1alpha1.AnnotationSpecHash] = resources.FormerSpecHash(rha, false, true)
			pod.Labels = merged(pod.Labels, appsv1.ControllerRevisionHashLabelKey, "shop-former")
		})
	}
	w.forgets()
	w.expectAsked("the upgrade")
	w.size(withMemory("2Gi", "2Gi"))
	w.expectAsked("the next change", "shop-2")
	if c := w.Condition(v1alpha1.ConditionReconciled); c.Status != metav1.ConditionTrue {
		t.Errorf("Reconciled is %s: %s", c.Reason, c.Message)
	}
}
