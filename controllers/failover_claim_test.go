// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/executor"
	"github.com/redisha/redisha/failover/prober"
)

// B11: a RedisHA was deleted, and the leader that knew its password is another one by now. Its master is still to be
// fenced.
func TestANewLeaderKnowsThePasswordOfARedisHAThatIsGone(t *testing.T) {
	labels := resources.SelectorLabels("r")
	w := newAPI(t,
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: resources.MountSecretName("r")},
			Data:       map[string][]byte{resources.PasswordKey: []byte("s3cret")},
		},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "r-0", UID: "u", Labels: labels}})
	key, clock := client.ObjectKey{Namespace: "ns", Name: "r"}, clocktesting.NewFakeClock(time.Now())
	r := &FailoverReconciler{Client: w.client, Reader: w.client, Recorder: w.events, Clock: clock, Lease: NoLease{}}
	r.passwords, r.goneSince = map[string]string{}, map[string]time.Time{}
	r.effects = &kubeEffects{client: w.client, reader: w.client, statuses: &r.statuses}
	r.prober = prober.New(prober.Options{Wake: func(string) {}})
	defer r.prober.Close()
	r.executor = executor.New(r.prober, r.effects, r.Lease, executor.Options{})
	r.observer = &observer{client: w.client, prober: r.prober, effects: r.effects, missing: missingPods{clock: clock, recorder: w.events}}
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: key}); err != nil {
		t.Fatal(err)
	}
	if got := r.password(key.String()); got != "s3cret" {
		t.Errorf("the password is %q", got)
	}
	// One of the same name that is made anew is not deleted since then.
	clock.Step(2 * orphanAfter)
	r.exists(key)
	if gone := r.goneFor(key); gone > 0 {
		t.Errorf("gone for %s, and it was there a moment ago", gone)
	}
}

// B11: what a former leader has sent may still be on its way to a process whose connections could not be cut.
func TestNoOrderOvertakesThatOfAFormerLeaderWhoseConnectionsCouldNotBeCut(t *testing.T) {
	r := &FailoverReconciler{unclaimed: map[string]map[failover.NodeRef]time.Time{}}
	node, other := failover.NodeRef{Pod: "r-0", UID: "a", RunID: "1"}, failover.NodeRef{Pod: "r-1", UID: "b", RunID: "2"}
	actions := []failover.Action{failover.Promote{Node: node}, failover.Follow{Node: other}, failover.Publish{Node: node}, failover.Label{Node: node}}
	start := time.Now()
	for _, step := range []struct {
		since     time.Duration
		unclaimed []failover.NodeRef
		want      int
	}{
		{0, nil, 4},
		{0, []failover.NodeRef{node}, 3},
		{500 * time.Millisecond, []failover.NodeRef{node}, 3},
		{time.Second, []failover.NodeRef{node}, 4}, // by then each order of the former leader has been given up
		{time.Second, []failover.NodeRef{other}, 3},
		{time.Hour, []failover.NodeRef{node}, 3},
	} {
		permitted, all := r.permitted("ns/r", actions, step.unclaimed, start.Add(step.since))
		if len(permitted) != step.want || all != (step.want == 4) {
			t.Errorf("after %s, with %v unclaimed: %v, all: %t", step.since, step.unclaimed, permitted, all)
		}
	}
	if len(actions) != 4 {
		t.Error("the decision was changed")
	}
}

// D2: a pod that names itself anew each time, and lets nothing be claimed, is no work for the turns of another RedisHA.
func TestProcessesThatCouldNotBeClaimedAreNoOtherRedisHAsWork(t *testing.T) {
	r := &FailoverReconciler{unclaimed: map[string]map[failover.NodeRef]time.Time{}}
	start := time.Now()
	for i := range 1000 {
		r.permitted("ns/hostile", nil, []failover.NodeRef{{Pod: "r-0", UID: "a", RunID: strconv.Itoa(i)}}, start)
	}
	node := failover.NodeRef{Pod: "r-0", UID: "b", RunID: "1"}
	if _, all := r.permitted("ns/r", []failover.Action{failover.Promote{Node: node}}, []failover.NodeRef{node}, start); all {
		t.Error("the order overtakes a former leader's")
	}
	if mine, theirs := len(r.unclaimed["ns/r"]), len(r.unclaimed["ns/hostile"]); mine != 1 || theirs != 1000 {
		t.Errorf("%d and %d processes to look through", mine, theirs)
	}
	r.permitted("ns/hostile", nil, nil, start.Add(time.Hour))
	if left := len(r.unclaimed["ns/hostile"]); left != 0 {
		t.Errorf("%d processes are remembered for longer than a minute", left)
	}
}

// B11: a container's end is the end of the process that was known then, and of none that has answered since.
func TestTheEndOfAContainerIsNoEndOfTheProcessThatAnswersSince(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	pod := func(ended string, waits bool) []corev1.Pod {
		terminated := &corev1.ContainerStateTerminated{ContainerID: ended}
		status := corev1.ContainerStatus{Name: resources.RedisContainer, State: corev1.ContainerState{Terminated: terminated}}
		if waits {
			status.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
			status.LastTerminationState.Terminated = terminated
		}
		return []corev1.Pod{{
			ObjectMeta: metav1.ObjectMeta{Name: "r-0", UID: "u"},
			Status:     corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "exporter"}, status}},
		}}
	}
	var e exits
	told := func(pods []corev1.Pod, after time.Duration) time.Time {
		return e.of("ns/r", pods, now.Add(after))[types.UID("u")].told
	}
	first := told(pod("one", false), 0)
	if again := told(pod("one", true), time.Second); again != first {
		t.Errorf("the same end is told again at %s", again)
	}
	if second := told(pod("two", false), 2*time.Second); !second.After(first) {
		t.Errorf("another end is told at %s", second)
	}
	e.forget("ns/r")
	if late := told(pod("two", false), time.Minute); late != now.Add(time.Minute) {
		t.Errorf("what was forgotten is told at %s", late)
	}
}
