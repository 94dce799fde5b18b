// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/resources"
)

func podOwnedBy(name, uid, owner string) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns",
			Name:      name,
			UID:       types.UID(uid),
			Labels:    resources.SelectorLabels("cache"),
		},
	}
	if owner != "" {
		pod.OwnerReferences = []metav1.OwnerReference{
			{Kind: "StatefulSet", Name: "cache", UID: types.UID(owner), Controller: ptr.To(true)},
		}
	}
	return pod
}

func TestAPodIsANodeByItsOwnerAndNotByItsNameAndLabel(t *testing.T) {
	sts := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "cache", UID: "sts"}}
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "cache"}}
	rha.Status.Nodes = []v1alpha1.NodeStatus{
		{Pod: "cache-1", PodUID: "u1"},
		{Pod: "cache-2", PodUID: "u2"},
		{Pod: "cache-3", PodUID: "u3"},
	}
	relabelled := podOwnedBy("cache-2", "u2", "sts")
	relabelled.Labels = map[string]string{"app": "kept"}
	w := controllertest.New(t, sts, rha, podOwnedBy("cache-0", "u0", "sts"), podOwnedBy("cache-1", "u1", ""), relabelled,
		podOwnedBy("cache-7", "u7", ""), podOwnedBy("cache-8", "u8", "another"))
	reader, clock := &countingReader{Reader: w.Client}, clocktesting.NewFakeClock(time.Now())
	g := &observer{
		client:   w.Client,
		effects:  &kubeEffects{client: w.Client, reader: reader},
		clock:    clock,
		recorder: w.Events,
		seen:     &sight{},
	}
	names := func() (names []string) {
		t.Helper()
		pods, err := g.podsOf(t.Context(), client.ObjectKeyFromObject(rha), rha)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pods {
			names = append(names, p.Name)
		}
		return names
	}
	// cache-0 is the StatefulSet's; cache-1 was known before it was orphaned; cache-2 has lost its label; cache-3 is gone.
	want := []string{"cache-0", "cache-1", "cache-2"}
	for range 5 {
		if got := names(); !slices.Equal(got, want) {
			t.Fatalf("nodes %v, want %v", got, want)
		}
		clock.Step(time.Second)
	}
	if reader.reads != 2 {
		t.Errorf("%d reads past the cache for one pod that lost its label and one that is gone", reader.reads)
	}
	pod := &corev1.Pod{}
	if err := w.Client.Get(t.Context(), client.ObjectKeyFromObject(relabelled), pod); err != nil {
		t.Fatal(err)
	}
	if pod.Labels[v1alpha1.LabelName] != "cache" || pod.Labels["app"] != "kept" {
		t.Errorf("labels %v", pod.Labels)
	}
	if event := <-w.Events.Events; !strings.Contains(event, v1alpha1.EventPodRelabelled) ||
		!strings.Contains(event, "cache-2") {
		t.Errorf("the Event says %q", event)
	}
}

// Seed 960003680: a new leader's cache is late, and shows the pod that had the master's name before.
func TestAPodIsNotGoneBecauseALateCacheShowsTheOneBefore(t *testing.T) {
	sts := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "cache", UID: "sts"}}
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "cache"}}
	rha.Status.Master = &v1alpha1.MasterStatus{NodeRef: v1alpha1.NodeRef{Pod: "cache-0", PodUID: "new"}}
	late, live := controllertest.New(
		t, sts, rha, podOwnedBy("cache-0", "old", "sts"),
	), controllertest.New(
		t,
		podOwnedBy("cache-0", "new", "sts"),
	)
	reader, clock := &countingReader{Reader: live.Client}, clocktesting.NewFakeClock(time.Now())
	g := &observer{
		client:   late.Client,
		effects:  &kubeEffects{client: late.Client, reader: reader},
		clock:    clock,
		recorder: late.Events,
		seen:     &sight{},
	}
	pods, err := g.podsOf(t.Context(), client.ObjectKeyFromObject(rha), rha)
	if err != nil || len(pods) != 1 || pods[0].UID != "new" {
		t.Errorf("pods %v, %v", pods, err)
	}
	rha.Status.Master.PodUID = "older" // it is gone, and another one has its name
	pods, err = g.podsOf(t.Context(), client.ObjectKeyFromObject(rha), rha)
	if err != nil || len(pods) != 1 || pods[0].UID != "old" {
		t.Errorf("pods %v, %v", pods, err)
	}
}
