// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/resources"
)

// suffer has a pod of a running shop be not ready, as its status says.
func (w *world) suffer(ordinal int, change func(*corev1.Pod)) {
	w.T.Helper()
	pod := &corev1.Pod{}
	w.Get(resources.PodName("shop", ordinal), pod)
	pod.Status = corev1.PodStatus{
		Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}},
		ContainerStatuses: []corev1.ContainerStatus{{Name: resources.RedisContainer, Image: "redis:7.4"}},
	}
	change(pod)
	if err := w.Client.Status().Update(w.T.Context(), pod); err != nil {
		w.T.Fatal(err)
	}
}

// quietly drops the Events so far and returns those since the last call.
func (w *world) quietly() []string {
	var events []string
	for len(w.Events.Events) > 0 {
		events = append(events, <-w.Events.Events)
	}
	return events
}

func waits(reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses[0].State.Waiting = &corev1.ContainerStateWaiting{Reason: reason, Message: message}
	}
}

func endOf(reason, message string) *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{ExitCode: 1, Reason: reason, Message: message}
}

// crashes are the turns of a crash loop; each process has its own ID and time.
func crashes(reason, message string, turn int) func(*corev1.Pod) {
	end := endOf(
		reason, strings.ReplaceAll(message, "TURN", fmt.Sprintf("%d:M 29 Nov 2026 09:41:4%d.123 #", 10+turn, turn)),
	)
	return func(pod *corev1.Pod) {
		c := &pod.Status.ContainerStatuses[0]
		c.RestartCount = int32(turn)
		switch turn % 3 {
		case 0:
			c.State.Terminated = end
		case 1:
			c.State.Waiting = &corev1.ContainerStateWaiting{
				Reason:  "CrashLoopBackOff",
				Message: fmt.Sprintf("back-off %ds restarting", 10*turn),
			}
			c.LastTerminationState.Terminated = end
		default:
			c.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.Now()}
			c.LastTerminationState.Terminated = end
		}
	}
}

const badSetting = `
*** FATAL CONFIG FILE ERROR (Redis 7.4.1) ***
Reading the configuration file, at line 12
>>> 'maxmemory "4Gi"'
argument must be a memory value
redisha: redis-server ended with exit code 1 after 0 s; it died young, so the container ends
`

func TestAPodThatDoesNotRunIsToldWithItsCauseInWords(t *testing.T) {
	tests := map[string]struct {
		first, later []func(*corev1.Pod) // the same cause, as it looks in the course of time
		reason       string
		says, hides  []string
	}{
		"no machine takes it": {
			first: []func(*corev1.Pod){func(pod *corev1.Pod) {
				pod.Status.ContainerStatuses = nil
				pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{
					Type:    corev1.PodScheduled,
					Status:  corev1.ConditionFalse,
					Reason:  "Unschedulable",
					Message: "0/3 nodes are available: 3 Insufficient memory.",
				})
			}},
			reason: v1alpha1.ReasonUnschedulable, says: []string{"pod shop-1", "3 Insufficient memory"},
		},
		"its image is not there": {
			first: []func(*corev1.Pod){waits("ErrImagePull", "docker.io/library/redis:nope: not found")},
			later: []func(*corev1.Pod){
				waits(
					"ImagePullBackOff",
					`Back-off pulling image "redis:nope": ErrImagePull: docker.io/library/redis:nope: not found`,
				),
			},
			reason: v1alpha1.ReasonImageNotPulled,
			says:   []string{"pod shop-1", `"redis:7.4"`, "redis:nope: not found"},
			hides:  []string{"Back-off"},
		},
		"its image has no proper name": {
			first:  []func(*corev1.Pod){waits("InvalidImageName", `couldn't parse image name "Redis::7"`)},
			reason: v1alpha1.ReasonImageNotPulled, says: []string{"couldn't parse image name"},
		},
		"a Secret is missing": {
			first:  []func(*corev1.Pod){waits("CreateContainerConfigError", `secret "licence" not found`)},
			reason: v1alpha1.ReasonContainerNotStarted,
			says:   []string{"container redis", "CreateContainerConfigError", `secret "licence" not found`},
		},
		"Redis refuses a setting": {
			first: []func(*corev1.Pod){crashes("Error", badSetting, 0)},
			later: []func(*corev1.Pod){
				crashes("Error", badSetting, 1),
				crashes("Error", badSetting, 2),
				crashes("Error", badSetting, 3),
				crashes("Error", badSetting, 4),
			},
			reason: v1alpha1.ReasonContainerFailing,
			says: []string{
				"pod shop-1",
				"exit code 1",
				`'maxmemory "4Gi"': argument must be a memory value`,
			},
			hides: []string{"died young", "back-off"},
		},
		"its append-only file is corrupt": {
			first: []func(*corev1.Pod){
				crashes("Error", "TURN Bad file format reading the append only file: use ./redis-check-aof --fix x", 1),
			},
			later: []func(*corev1.Pod){
				crashes("Error", "TURN Bad file format reading the append only file: use ./redis-check-aof --fix x", 4),
			},
			reason: v1alpha1.ReasonContainerFailing,
			says:   []string{"Bad file format", "redis-check-aof --fix"},
			hides:  []string{"2026"},
		},
		"it needs too much memory": {
			first:  []func(*corev1.Pod){crashes("OOMKilled", "whatever it printed", 0)},
			later:  []func(*corev1.Pod){crashes("OOMKilled", "whatever it printed then", 1)},
			reason: v1alpha1.ReasonOOMKilled, says: []string{"pod shop-1", "memory"}, hides: []string{"printed"},
		},
		"another container ends": {
			first: []func(*corev1.Pod){func(pod *corev1.Pod) {
				c := &pod.Status.ContainerStatuses[0]
				c.Ready, c.State.Running = true, &corev1.ContainerStateRunning{}
				pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
					Name: "exporter", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
					LastTerminationState: corev1.ContainerState{Terminated: endOf("Error", "unknown flag: --wrong\n")},
				})
			}},
			reason: v1alpha1.ReasonContainerFailing, says: []string{"container exporter", "unknown flag: --wrong"},
		},
		"what ended left no word": {
			first:  []func(*corev1.Pod){crashes("Error", "", 1)},
			reason: v1alpha1.ReasonContainerFailing, says: []string{"kubectl logs --previous shop-1 -c redis"},
		},
		"a runtime cannot start it": {
			first: []func(*corev1.Pod){
				waits("RunContainerError", "failed to start container "+strings.Repeat("ab", 32)+": no such program"),
			},
			later: []func(*corev1.Pod){
				waits("RunContainerError", "failed to start container "+strings.Repeat("cd", 32)+": no such program"),
			},
			reason: v1alpha1.ReasonContainerNotStarted,
			says:   []string{"no such program"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := aRunningShop(t, nil)
			w.quietly()
			for _, change := range tc.first {
				w.suffer(1, change)
			}
			w.reconcile()
			got := w.Condition(v1alpha1.ConditionProgressing)
			if got.Status != metav1.ConditionTrue || got.Reason != tc.reason {
				t.Errorf("Progressing is %s because of %s: %s", got.Status, got.Reason, got.Message)
			}
			expectWords(t, got.Message, tc.says, tc.hides)
			if events := w.quietly(); len(events) != 1 || !strings.Contains(events[0], "Warning "+tc.reason) {
				t.Errorf("Events: %q", events)
			}
			for i, change := range tc.later {
				w.suffer(1, change)
				if writes := w.reconcile(); len(writes) > 0 {
					t.Errorf(
						"the same cause is written again at turn %d: %q, %s", i, writes,
						w.Condition(v1alpha1.ConditionProgressing).Message,
					)
				}
			}
		})
	}
}

func expectWords(t *testing.T, message string, says, hides []string) {
	t.Helper()
	for _, part := range says {
		if !strings.Contains(message, part) {
			t.Errorf("the message does not say %q: %s", part, message)
		}
	}
	for _, part := range hides {
		if strings.Contains(message, part) {
			t.Errorf("the message says %q: %s", part, message)
		}
	}
}

func TestAContainerThatEndedLongAgoIsNotWhyItsPodIsNotReady(t *testing.T) {
	w := aRunningShop(t, nil)
	w.suffer(1, func(pod *corev1.Pod) {
		c := &pod.Status.ContainerStatuses[0]
		c.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(time.Now().Add(-time.Hour))}
		c.LastTerminationState.Terminated = endOf("Error", badSetting)
	})
	w.reconcile()
	if got := w.Condition(
		v1alpha1.ConditionProgressing,
	); got.Reason != v1alpha1.ReasonCreating ||
		strings.Contains(got.Message, "memory value") {
		t.Errorf("Progressing because of %s: %s", got.Reason, got.Message)
	}
}

func TestAPasswordThatRedisRefusesIsNotTold(t *testing.T) {
	for _, line := range []string{`>>> 'requirepass "s3cret" x'`, `>>> 'masterauth "s3cret" x'`, `>>> 'user default >s3cret'`} {
		if got := lastWords(line + "\nwrong number of arguments\n"); got != "wrong number of arguments" {
			t.Errorf("%s", got)
		}
	}
}

// eventOf is what the StatefulSet controller, or a kubelet, says of an object.
func (w *world) eventOf(name string, about client.Object, kind, reason, message string, at time.Time) {
	w.T.Helper()
	e := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "store", Name: name},
		InvolvedObject: corev1.ObjectReference{
			UID: about.GetUID(),
		},
		Type:          kind,
		Reason:        reason,
		Message:       message,
		LastTimestamp: metav1.NewTime(at),
	}
	_ = w.Client.Delete(w.T.Context(), e.DeepCopy())
	if err := w.Client.Create(w.T.Context(), e); err != nil {
		w.T.Fatal(err)
	}
}

// reads counts the readings of Events, and lets a clock be turned.
func (w *world) reads() (count *int, clock *clocktesting.FakeClock) {
	count, clock = new(int), clocktesting.NewFakeClock(time.Now())
	w.reconciler.Clock = clock
	w.reconciler.APIReader = interceptor.NewClient(w.Client, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, is := list.(*corev1.EventList); is {
				*count++
			}
			return c.List(ctx, list, opts...)
		},
	})
	return count, clock
}

// after lets time pass and makes a pass; it returns after how long the next is due.
func (w *world) after(clock *clocktesting.FakeClock, d time.Duration) time.Duration {
	w.T.Helper()
	clock.Step(d)
	w.Writes = nil
	result, err := w.reconciler.Reconcile(w.T.Context(), ctrl.Request{NamespacedName: controllertest.Key("shop")})
	if err != nil {
		w.T.Fatal(err)
	}
	return result.RequeueAfter
}

func TestAPodThatCannotBeCreatedIsToldInTheWordsOfItsEvent(t *testing.T) {
	w := aRunningShop(t, nil)
	sts := w.control()
	sts.UID = "sts-uid"
	if err := w.Client.Update(t.Context(), sts); err != nil {
		t.Fatal(err)
	}
	reads, clock := w.reads()
	w.reconcile()
	if *reads > 0 {
		t.Errorf("Events of a set that is well were read %d times", *reads)
	}
	pod := &corev1.Pod{}
	w.Get("shop-1", pod)
	if err := w.Client.Delete(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	refused := `create Pod shop-1 in StatefulSet shop failed error: pods "shop-1" is forbidden: exceeded quota: small, ` +
		`requested: pods=1, used: pods=2, limited: pods=2`
	w.eventOf(
		"other", sts, corev1.EventTypeWarning, "FailedCreate",
		"create Pod shop-11 in StatefulSet shop failed error: not this one", clock.Now(),
	)
	w.eventOf("failed", sts, corev1.EventTypeWarning, "FailedCreate", refused, clock.Now())
	if next := w.after(clock, 0); *reads > 0 || next <= 0 || next > absentFor {
		t.Errorf("%d readings at once, the next look is after %s", *reads, next)
	}
	w.quietly()
	next := w.after(clock, absentFor)
	got := w.Condition(v1alpha1.ConditionProgressing)
	if got.Reason != v1alpha1.ReasonFailedCreate {
		t.Errorf("Progressing because of %s: %s", got.Reason, got.Message)
	}
	expectWords(
		t, got.Message, []string{"pod shop-1 cannot be created", "exceeded quota: small"}, []string{"not this one"},
	)
	if events := w.quietly(); len(events) != 1 || !strings.Contains(events[0], "exceeded quota") {
		t.Errorf("Events: %q", events)
	}
	if next <= 0 || next > readAgain {
		t.Errorf("the next look is after %s", next)
	}
	for range 20 {
		if w.after(clock, time.Second); len(w.Writes) > 0 {
			t.Errorf("written again: %q", w.Writes)
		}
	}
	if *reads != 1 {
		t.Errorf("%d readings within %s", *reads, readAgain)
	}
	w.eventOf(
		"created", sts, corev1.EventTypeNormal, "SuccessfulCreate", "create Pod shop-1 in StatefulSet shop successful",
		clock.Now(),
	)
	w.after(clock, readAgain)
	if got := w.Condition(v1alpha1.ConditionProgressing); got.Reason == v1alpha1.ReasonFailedCreate {
		t.Errorf("a cause that is over is told: %s", got.Message)
	}
}

func TestAPodWhoseVolumeCannotBeMountedIsToldInTheWordsOfItsEvent(t *testing.T) {
	w := aRunningShop(t, nil)
	_, clock := w.reads()
	w.suffer(1, waits("ContainerCreating", ""))
	pod := &corev1.Pod{}
	w.Get("shop-1", pod)
	pod.Spec.NodeName, pod.UID = "machine", "pod-uid"
	if err := w.Client.Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	w.eventOf(
		"mount",
		pod,
		corev1.EventTypeWarning,
		"FailedMount",
		`MountVolume.SetUp failed for volume "extra": configmap "x" not found`,
		clock.Now(),
	)
	w.after(clock, 0)
	w.after(clock, absentFor)
	got := w.Condition(v1alpha1.ConditionProgressing)
	if got.Reason != v1alpha1.ReasonContainerNotStarted || !strings.Contains(got.Message, `configmap "x" not found`) {
		t.Errorf("Progressing because of %s: %s", got.Reason, got.Message)
	}
	w.eventOf("pulling", pod, corev1.EventTypeNormal, "Pulling", "Pulling image", clock.Now())
	w.after(clock, readAgain)
	if got := w.Condition(v1alpha1.ConditionProgressing); got.Reason != v1alpha1.ReasonCreating {
		t.Errorf("an image is being pulled, and Progressing is because of %s: %s", got.Reason, got.Message)
	}
}
