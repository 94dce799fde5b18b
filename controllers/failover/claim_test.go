// SPDX-License-Identifier: Apache-2.0

package failover

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

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/leader"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/executor"
	"github.com/redisha/redisha/failover/prober"
	"github.com/redisha/redisha/redisclient"
)

// B11: a RedisHA was deleted, and the leader that knew its password is another one by now. Its master is still to be
// fenced.
func TestANewLeaderKnowsThePasswordOfARedisHAThatIsGone(t *testing.T) {
	labels := resources.SelectorLabels("r")
	w := controllertest.New(t,
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: resources.MountSecretName("r")},
			Data:       map[string][]byte{resources.PasswordKey: []byte("s3cret")},
		},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "r-0", UID: "u", Labels: labels}})
	key, clock := client.ObjectKey{Namespace: "ns", Name: "r"}, clocktesting.NewFakeClock(time.Now())
	r := &Reconciler{Client: w.Client, Reader: w.Client, Recorder: w.Events, Clock: clock, Lease: leader.NoLease{}}
	r.effects = &kubeEffects{client: w.Client, reader: w.Client, statuses: &r.statuses}
	r.prober = prober.New(prober.Options{Wake: func(string) {}})
	defer r.prober.Close()
	r.executor = executor.New(r.prober, r.effects, r.Lease, executor.Options{})
	r.observer = observer{client: w.Client, prober: r.prober, effects: r.effects, clock: clock, recorder: w.Events}
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: key}); err != nil {
		t.Fatal(err)
	}
	if got := r.memory.Of(key).shown(); len(got) != 1 || got[0] != (redisclient.Credentials{Password: "s3cret"}) {
		t.Errorf("shown are %v", got)
	}
	// One of the same name that is made anew is not deleted since then.
	if r.memory.Of(key).goneSince.IsZero() {
		t.Error("it is not known to be gone")
	}
	if err := w.Client.Create(
		t.Context(), &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}},
	); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: key}); err != nil {
		t.Fatal(err)
	}
	if gone := r.memory.Of(key).goneSince; !gone.IsZero() {
		t.Errorf("gone since %s, and it is there", gone)
	}
}

// B11: what a former leader has sent may still be on its way to a process whose connections could not be cut.
func TestNoOrderOvertakesThatOfAFormerLeaderWhoseConnectionsCouldNotBeCut(t *testing.T) {
	var c claims
	node, other := failover.NodeRef{Pod: "r-0", UID: "a", RunID: "1"}, failover.NodeRef{Pod: "r-1", UID: "b", RunID: "2"}
	actions := []failover.Action{
		failover.Promote{Node: node},
		failover.Follow{Node: other},
		failover.Publish{Node: node},
		failover.Label{Node: node},
	}
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
		permitted, all := c.permitted(actions, step.unclaimed, start.Add(step.since))
		if len(permitted) != step.want || all != (step.want == 4) {
			t.Errorf("after %s, with %v unclaimed: %v, all: %t", step.since, step.unclaimed, permitted, all)
		}
	}
	if len(actions) != 4 {
		t.Error("the decision was changed")
	}
}

// D2: a pod that names itself anew each time, and lets nothing be claimed, leaves hundreds of processes behind.
func TestProcessesThatCouldNotBeClaimedAreForgottenInAMinute(t *testing.T) {
	var c claims
	start := time.Now()
	for i := range 1000 {
		c.permitted(nil, []failover.NodeRef{{Pod: "r-0", UID: "a", RunID: strconv.Itoa(i)}}, start)
	}
	if kept := len(c.failed); kept != 1000 {
		t.Errorf("%d are remembered at once", kept)
	}
	if c.permitted(nil, nil, start.Add(2*time.Minute)); len(c.failed) != 0 {
		t.Errorf("%d are remembered for longer than a minute", len(c.failed))
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
		e = e.after(pods, now.Add(after))
		return e[types.UID("u")].told
	}
	first := told(pod("one", false), 0)
	if again := told(pod("one", true), time.Second); again != first {
		t.Errorf("the same end is told again at %s", again)
	}
	if second := told(pod("two", false), 2*time.Second); !second.After(first) {
		t.Errorf("another end is told at %s", second)
	}
	e = nil
	if late := told(pod("two", false), time.Minute); late != now.Add(time.Minute) {
		t.Errorf("what was forgotten is told at %s", late)
	}
}
