// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
)

// scale asks for so many pods as kubectl scale and autoscalers do.
func scale(t *testing.T, key client.ObjectKey, replicas int32) error {
	t.Helper()
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	to := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}
	return bed.Client.SubResource("scale").Update(t.Context(), rha, client.WithSubResourceBody(to))
}

func scaleTo(t *testing.T, key client.ObjectKey, replicas int32) {
	t.Helper()
	if err := scale(t, key, replicas); err != nil {
		t.Fatal(err)
	}
}

// hibernates waits until no pod is left and the status says so.
func hibernates(t *testing.T, key client.ObjectKey) *v1alpha1.RedisHA {
	t.Helper()
	var rha *v1alpha1.RedisHA
	eventually(t, "the set hibernates", 3*time.Minute, func(ctx context.Context) (bool, error) {
		var err error
		if rha, err = bed.Get(ctx, key); err != nil {
			return false, err
		}
		for _, kind := range []string{
			v1alpha1.ConditionAvailable, v1alpha1.ConditionReady, v1alpha1.ConditionFailoverPossible,
			v1alpha1.ConditionSurvivesMachineLoss, v1alpha1.ConditionProgressing,
		} {
			c := meta.FindStatusCondition(rha.Status.Conditions, kind)
			if c == nil || c.Reason != v1alpha1.ReasonHibernated || c.Status != metav1.ConditionFalse {
				return false, nil
			}
		}
		return rha.Status.ObservedGeneration == rha.Generation, nil
	})
	if n := len(pods(t, key)); n != 0 || rha.Status.Master != nil || rha.Status.Ready != "0/0" ||
		rha.Status.Failover.State != v1alpha1.StateHibernated {
		t.Errorf("%d pods, master %v, %s ready, %s", n, rha.Status.Master, rha.Status.Ready, rha.Status.Failover.State)
	}
	if c := meta.FindStatusCondition(rha.Status.Conditions, v1alpha1.ConditionBlocked); c.Status != metav1.ConditionFalse {
		t.Errorf("Blocked because of %s: %s", c.Reason, c.Message)
	}
	slice := &discoveryv1.EndpointSlice{}
	name := client.ObjectKey{Namespace: key.Namespace, Name: resources.MasterServiceName(key.Name)}
	if err := bed.Client.Get(t.Context(), name, slice); err != nil || len(slice.Endpoints) > 0 {
		t.Errorf("clients are led to %+v (%v)", slice.Endpoints, err)
	}
	return rha
}

// woken waits until a set serves again, with the pod at ordinal 0 chosen for its data and nothing taken for a fault.
func woken(t *testing.T, key client.ObjectKey) *v1alpha1.RedisHA {
	t.Helper()
	rha := settled(t, key)
	last := rha.Status.History[0]
	if last.Kind != v1alpha1.HistoryBootstrap || last.Cause != string(failover.CauseWoken) ||
		last.To != resources.PodName(key.Name, 0) {
		t.Errorf("it woke by %+v", last)
	}
	return rha
}

// noFault expects that nothing was taken for a fault.
func noFault(t *testing.T, key client.ObjectKey, rha *v1alpha1.RedisHA) {
	t.Helper()
	for _, entry := range rha.Status.History {
		if entry.Kind == v1alpha1.HistoryFailover {
			t.Errorf("taken for a fault: %+v", entry)
		}
	}
	events := &corev1.EventList{}
	if err := bed.Client.List(t.Context(), events, client.InNamespace(key.Namespace)); err != nil {
		t.Fatal(err)
	}
	for _, e := range events.Items {
		if slices.Contains([]string{
			v1alpha1.EventMasterSuspected, v1alpha1.EventFailoverStarted, v1alpha1.EventBlocked, v1alpha1.EventRefused,
			v1alpha1.EventRedisRestarted, v1alpha1.EventStatusOverruled, v1alpha1.EventProgressRefused,
		}, e.Reason) {
			t.Errorf("people are warned: %s: %s", e.Reason, e.Message)
		}
	}
}

func toDisk(spec v1alpha1.RedisHASpec) v1alpha1.RedisHASpec {
	if spec.Storage == nil {
		spec.Storage = &v1alpha1.StorageSpec{}
	}
	return spec
}

// leadFrom makes a pod master.
func leadFrom(t *testing.T, key client.ObjectKey, ordinal int) {
	t.Helper()
	pod := resources.PodName(key.Name, ordinal)
	if settled(t, key).Status.Master.Pod == pod {
		return
	}
	answered(t, ask(t, key.Namespace, "lead-"+pod, v1alpha1.RedisHARequestSpec{
		Action: v1alpha1.ActionSwitchover, Pod: pod,
	}), v1alpha1.RequestSucceeded, "", "is master by epoch")
	settled(t, key)
}

// The master is the pod that leaves first, and claims of pods that leave are deleted. An application writes all the
// time, and tries on while no Redis runs.
func TestASetHibernatesUnderLoadAndWakesWithEveryAcknowledgedWrite(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]v1alpha1.RedisHASpec{
		"with an append-only file, and claims that go with their pods": {Storage: &v1alpha1.StorageSpec{
			Retention: v1alpha1.StorageRetention{WhenScaled: v1alpha1.RetentionDelete},
		}},
		"with snapshots only": {Config: settings{"appendonly": "no", "save": "3600 1"}},
		"encrypted":           {TLS: &v1alpha1.TLSSpec{Plaintext: v1alpha1.PlaintextAllowed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := create(t, namespace(t), toDisk(spec))
			leadFrom(t, key, 2)
			l := write(t, key, resources.RedisPort, nil, "night")
			scaleTo(t, key, 0)
			rha := hibernates(t, key)
			if got := rha.Status.Failover.Cause; got == string(failover.DiagnosisMasterTerminating) {
				t.Errorf("it hibernates because of %s", got)
			}
			noFault(t, key, rha)
			time.Sleep(3 * time.Second) // what is told a moment later
			before := writesOf(t, key)
			time.Sleep(10 * time.Second)
			if n := writesOf(t, key) - before; n > 0 {
				t.Errorf("a set that hibernates cost %d writes in 10 s", n)
			}
			claims := &corev1.PersistentVolumeClaimList{}
			if err := bed.Client.List(t.Context(), claims, client.InNamespace(key.Namespace)); err != nil {
				t.Fatal(err)
			}
			if retained := len(claims.Items); retained != 1 && strings.Contains(name, "claims that go") || retained == 0 {
				t.Errorf("%d claims are left", retained)
			}
			woke := time.Now()
			scaleTo(t, key, 2)
			first, err := l.writers.WaitAck(within(t, time.Minute), woke)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("the first write was acknowledged %s after the set was woken", first.Sub(woke))
			rha = woken(t, key)
			l.stop()
			noFault(t, key, rha)
		})
	}
}

// What lies on the volumes of pods that left earlier is older, and may be more.
func TestOlderVolumesFollowWhenASetWakes(t *testing.T) {
	t.Parallel()
	for name, night := range map[string]string{
		"the newest data is less":               "set last v",
		"the newest data is that there is none": "flushall",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := create(t, namespace(t), toDisk(v1alpha1.RedisHASpec{
				Config: settings{"appendonly": "no", "save": "3600 1"}, // which keeps the name of the history
			}))
			leadFrom(t, key, 0)
			master := resources.PodName(key.Name, 0)
			for i := range 50 {
				mustAsOperator(t, key, master, fmt.Sprintf("set old%d v", i))
			}
			scaleTo(t, key, 1)
			settled(t, key)
			mustAsOperator(t, key, master, "flushall")
			mustAsOperator(t, key, master, night)
			want := mustAsOperator(t, key, master, "dbsize")
			scaleTo(t, key, 0)
			hibernates(t, key)
			scaleTo(t, key, 3)
			woken(t, key)
			for pod := range pods(t, key) {
				if got := mustAsOperator(t, key, pod, "dbsize"); got != want {
					t.Errorf("%s has %s keys, want %s", pod, got, want)
				}
			}
		})
	}
}

func TestASetThatLosesTheVolumeThatItHibernatesOnServesNothingUnasked(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), toDisk(v1alpha1.RedisHASpec{Replicas: ptr.To[int32](2)}))
	leadFrom(t, key, 1) // so that it has a part in the history
	redisCLI(t, key, resources.PodName(key.Name, 1), "set k v")
	scaleTo(t, key, 0)
	hibernates(t, key)
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{
		Namespace: key.Namespace, Name: resources.ClaimName(key.Name, 0),
	}}
	if err := bed.Client.Delete(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the claim is gone", time.Minute, func(ctx context.Context) (bool, error) {
		err := bed.Client.Get(ctx, client.ObjectKeyFromObject(claim), claim)
		return err != nil, client.IgnoreNotFound(err)
	})
	time.Sleep(1100 * time.Millisecond) // a claim tells the second in which it was made
	scaleTo(t, key, 2)
	eventually(t, "it says what is wrong", time.Minute, func(context.Context) (bool, error) {
		c := conditionOf(t, key, v1alpha1.ConditionBlocked)
		return c.Status == metav1.ConditionTrue && c.Reason == string(failover.ReasonNoCandidate) &&
			strings.Contains(c.Message, "ForceFailover"), nil
	})
	other := resources.PodName(key.Name, 1)
	answered(t, ask(t, key.Namespace, "other", v1alpha1.RedisHARequestSpec{
		Action: v1alpha1.ActionForceFailover, Pod: other, AcceptDataLoss: true,
	}), v1alpha1.RequestSucceeded, "", "is master by epoch")
	settled(t, key)
	for pod := range pods(t, key) {
		if got := redisCLI(t, key, pod, "get k"); got != "v" {
			t.Errorf("%s: k is %q", pod, got)
		}
	}
}

// Whoever changes their mind, and whenever: what was acknowledged stays.
func TestAChangeOfMindAboutHibernationLosesNothing(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), toDisk(v1alpha1.RedisHASpec{}))
	leadFrom(t, key, 2)
	l := write(t, key, resources.RedisPort, nil, "mind")
	for _, milliseconds := range []int{0, 50, 100, 200, 400, 600, 800, 1000, 1300, 1600, 2000, 2500, 3000, 4000, 6000} {
		pause := time.Duration(milliseconds) * time.Millisecond
		scaleTo(t, key, 0)
		time.Sleep(pause)
		scaleTo(t, key, 3)
		time.Sleep(pause / 2)
	}
	settled(t, key)
	if pods(t, key)[resources.PodName(key.Name, 2)] == "" {
		t.Error("a pod is missing")
	}
	l.stop()
}

func TestASetThatIsToHibernateFinishesTheFailoverThatRuns(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), toDisk(v1alpha1.RedisHASpec{}))
	l := write(t, key, resources.RedisPort, nil, "during")
	time.Sleep(time.Second)
	l.writers.Stop()
	time.Sleep(time.Second) // the replicas have what was written: a killed master may take with it what they have not
	epoch := killMaster(t, key)
	scaleTo(t, key, 0)
	if rha := hibernates(t, key); rha.Status.Failover.Epoch <= epoch {
		t.Errorf("epoch %d after %d", rha.Status.Failover.Epoch, epoch)
	}
	scaleTo(t, key, 3)
	woken(t, key)
	l.stop()
}

// The operator is killed at all sorts of moments, and another goes on.
func TestAnotherOperatorFinishesHibernatingAndWaking(t *testing.T) {
	key := create(t, namespace(t), toDisk(v1alpha1.RedisHASpec{}))
	l := write(t, key, resources.RedisPort, nil, "operators")
	for _, pause := range []time.Duration{100 * time.Millisecond, time.Second, 2500 * time.Millisecond} {
		leadFromAnother(t, key)
		scaleTo(t, key, 0)
		time.Sleep(pause)
		replaceOperator(t)
		hibernates(t, key)
		scaleTo(t, key, 3)
		time.Sleep(pause / 2)
		replaceOperator(t)
		woken(t, key)
	}
	l.stop()
}

// leadFromAnother makes another pod master than the one at ordinal 0, if that is one.
func leadFromAnother(t *testing.T, key client.ObjectKey) {
	t.Helper()
	rha := settled(t, key)
	request := ask(t, key.Namespace, fmt.Sprintf("another-%d", rha.Status.Failover.Epoch), v1alpha1.RedisHARequestSpec{
		Action: v1alpha1.ActionSwitchover, Pod: resources.PodName(key.Name, 1),
	})
	answered(t, request, v1alpha1.RequestSucceeded, "", "is master by epoch")
	settled(t, key)
}

// kubectl scale and autoscalers are refused in the same words as a change of the spec.
func TestASetWhoseDataWouldBeLostIsNotScaledToNone(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	for name, tc := range map[string]struct {
		spec string
		says string // empty: it may
	}{
		"without-a-disk":   {"{}", "create a RedisHA with spec.storage"},
		"keeping-nothing":  {"storage: {}\nconfig: {appendonly: 'no', save: ''}", "remove appendonly, or set save"},
		"with-a-disk":      {"storage: {}", ""},
		"by-its-snapshots": {"storage: {}\nconfig: {appendonly: 'no'}", ""},
		"by-a-file-only":   {"storage: {}\nconfig: {save: ''}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			u := object(t, ns, name, tc.spec)
			if err := bed.Client.Create(t.Context(), u); err != nil {
				t.Fatal(err)
			}
			err := scale(t, client.ObjectKeyFromObject(u), 0)
			if tc.says != "" {
				expectRefusal(t, err, []string{"spec.replicas 0", tc.says})
			} else if err != nil {
				t.Error(err)
			}
			if err := bed.Client.Delete(t.Context(), u); err != nil {
				t.Error(err)
			}
		})
	}
}
