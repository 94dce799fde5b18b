// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

type settings = map[string]v1alpha1.ConfigValue

// configure changes the settings of the spec, and waits until all is well with it.
func configure(t *testing.T, key client.ObjectKey, config settings) *v1alpha1.RedisHA {
	t.Helper()
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Config = config })
	return settled(t, key)
}

// setting is what CONFIG GET says on a pod.
func setting(t *testing.T, key client.ObjectKey, pod, name string) string {
	t.Helper()
	value, err := settingNow(t, key, pod, name)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// settingNow is setting where the pod may not run, or not answer.
func settingNow(t *testing.T, key client.ObjectKey, pod, name string) (string, error) {
	t.Helper()
	out, err := asOperator(t, key, pod, "config get "+name)
	_, value, found := strings.Cut(out, name+"\n")
	if err == nil && !found {
		err = fmt.Errorf("config get %s on %s: %s", name, pod, out)
	}
	return strings.TrimSpace(value), err
}

// becomes waits until a setting is so on a pod.
func becomes(t *testing.T, key client.ObjectKey, pod, name, want string, limit time.Duration) {
	t.Helper()
	eventually(t, name+" of "+pod+" to be "+want, limit, func(context.Context) (bool, error) {
		got, err := settingNow(t, key, pod, name)
		return err == nil && got == want, nil
	})
}

// everywhere expects a setting on every pod.
func everywhere(t *testing.T, key client.ObjectKey, name, want string) {
	t.Helper()
	for _, pod := range slices.Sorted(maps.Keys(pods(t, key))) {
		if got := setting(t, key, pod, name); got != want {
			t.Errorf("%s on %s is %q, want %q", name, pod, got, want)
		}
	}
}

func TestASettingIsChangedUnderLoadAndNoPodIsReplaced(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), v1alpha1.RedisHASpec{Config: settings{"hz": "12"}})
	before, uids := settled(t, key), pods(t, key)
	l := write(t, key, resources.RedisPort, nil, "settings")
	after := configure(t, key, settings{
		"hz": "15", "maxmemory": "100mb", "maxmemory-policy": "noeviction",
		"client-output-buffer-limit": "replica 128mb 64mb 60",
	})
	short(t, "while settings changed", l.stop())
	everywhere(t, key, "hz", "15")
	everywhere(t, key, "maxmemory", "104857600")
	if diff := cmp.Diff(uids, pods(t, key)); diff != "" || after.Status.Master.Epoch != before.Status.Master.Epoch {
		t.Errorf("epoch %d after %d; pods:\n%s", after.Status.Master.Epoch, before.Status.Master.Epoch, diff)
	}
	replica := resources.PodName(key.Name, 2)
	time.Sleep(6 * time.Second) // one that dies younger ends its container
	t.Log("a process that is started anew in its pod has what the pod was made with, and is told again")
	if err := bed.Sandbox.Signal(key.Namespace, replica, resources.RedisContainer, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	becomes(t, key, replica, "hz", "15", time.Minute)
	t.Log("what is changed by hand is set back")
	if out, err := asOperator(t, key, replica, "config set hz 99"); err != nil {
		t.Fatal(out, err)
	}
	becomes(t, key, replica, "hz", "15", 90*time.Second)
	eventually(t, "an Event about it", 10*time.Second, func(ctx context.Context) (bool, error) {
		events := &corev1.EventList{}
		err := bed.Client.List(ctx, events, client.InNamespace(key.Namespace))
		return slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
			return e.Reason == v1alpha1.EventSettingSetBack &&
				strings.Contains(e.Message, `hz of pod cache-2 was changed to "99"`)
		}), err
	})
}

func TestASettingThatOnlyAStartChangesReplacesThePodsAndSoDoesItsRemoval(t *testing.T) {
	key := create(t, namespace(t), v1alpha1.RedisHASpec{})
	former := podUIDs(t, key)
	epoch := epochOf(t, key)
	configure(t, key, settings{"databases": "32", "hz": "15"})
	if n := left(t, key, former); n != 0 {
		t.Errorf("%d pods were not replaced for databases", n)
	}
	if now := epochOf(t, key); now != epoch+1 {
		t.Errorf("epoch %d became %d, want one switchover", epoch, now)
	}
	everywhere(t, key, "databases", "32")

	former = podUIDs(t, key)
	configure(t, key, settings{"databases": "32", "hz": "15", "tcp-keepalive": "60"})
	everywhere(t, key, "tcp-keepalive", "60")
	configure(t, key, settings{"databases": "32", "hz": "15"})
	everywhere(t, key, "tcp-keepalive", "30")
	if n := left(t, key, former); n != 3 {
		t.Errorf("%d of 3 pods are left, though the operator has a default", n)
	}
	configure(t, key, settings{"hz": "15", "slowlog-max-len": "50"})
	if n := left(t, key, former); n != 0 {
		t.Errorf("%d pods still have databases", n)
	}
	everywhere(t, key, "databases", "16")

	former = podUIDs(t, key)
	replaceOperator(t)
	configure(t, key, settings{"slowlog-max-len": "60"})
	if n := left(t, key, former); n != 0 {
		t.Errorf("%d pods still have hz, which another operator had told them", n)
	}
	everywhere(t, key, "hz", "10")
	everywhere(t, key, "slowlog-max-len", "60")
}

// A number of clients that the machine has no files for is refused when it is to take effect, and not before. Redis tries
// one limit of files after the other, so a far greater number would keep it busy for seconds.
func TestASettingThatTheMachineRefusesLeavesEveryProcessAsItWas(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), v1alpha1.RedisHASpec{Config: settings{"hz": "12"}})
	uids := pods(t, key)
	written := inventory(t.Context(), t, key)["ConfigMap cache-config"].GetResourceVersion()
	change(t, key, func(rha *v1alpha1.RedisHA) {
		rha.Spec.Config = settings{"hz": "15", "maxclients": "2000000", "slowlog-max-len": "50"}
	})
	eventually(t, "the condition has Redis's words", 20*time.Second, func(context.Context) (bool, error) {
		c := conditionOf(t, key, v1alpha1.ConditionReconciled)
		return c.Reason == v1alpha1.ReasonConfigRefused &&
			strings.Contains(c.Message, "not able to handle the specified number"), nil
	})
	time.Sleep(12 * time.Second) // the pass after it may not try again
	everywhere(t, key, "hz", "12")
	everywhere(t, key, "slowlog-max-len", "128")
	if inventory(t.Context(), t, key)["ConfigMap cache-config"].GetResourceVersion() != written {
		t.Error("redis.conf was written")
	}
	configure(t, key, settings{"hz": "15"})
	everywhere(t, key, "hz", "15")
	if diff := cmp.Diff(uids, pods(t, key)); diff != "" {
		t.Errorf("pods were replaced:\n%s", diff)
	}
}

// In the middle of changes the master is killed, and then the operator.
func TestAChangeOfSettingsSurvivesWhatHappensMeanwhile(t *testing.T) {
	key := create(t, namespace(t), v1alpha1.RedisHASpec{Replicas: ptr.To[int32](3)})
	uids := pods(t, key)
	l := write(t, key, resources.RedisPort, nil, "settings")
	for round := range 3 {
		want := fmt.Sprint(20 + round)
		change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Config = settings{"hz": v1alpha1.ConfigValue(want)} })
		rha, err := bed.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(round*50) * time.Millisecond)
		if err := bed.Sandbox.Signal(
			key.Namespace, rha.Status.Master.Pod, resources.RedisContainer, syscall.SIGKILL,
		); err != nil {
			t.Fatal(err)
		}
		settled(t, key)
		for pod := range uids {
			becomes(t, key, pod, "hz", want, 30*time.Second)
		}
	}
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.Config = settings{"hz": "30", "slowlog-max-len": "60"} })
	replaceOperator(t)
	settled(t, key)
	everywhere(t, key, "hz", "30")
	everywhere(t, key, "slowlog-max-len", "60")
	if gap := l.stop(); gap > 15*time.Second { // no other operator stood by: the lease had to end first
		t.Errorf("nothing was written for %s", gap)
	}
	if diff := cmp.Diff(uids, pods(t, key)); diff != "" {
		t.Errorf("pods were replaced:\n%s", diff)
	}
}
