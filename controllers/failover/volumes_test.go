// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/resources"
)

// claimsWorld is a RedisHA with disks and its StatefulSet, and an observer whose cache shows claims with the set's
// label only.
func claimsWorld(
	t *testing.T, claims ...client.Object,
) (*observer, *v1alpha1.RedisHA, *appsv1.StatefulSet, *countingReader, *clocktesting.FakeClock) {
	t.Helper()
	rha := &v1alpha1.RedisHA{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "cache", UID: "now", CreationTimestamp: metav1.Now()},
	}
	rha.Spec.Storage = &v1alpha1.StorageSpec{}
	var cached []client.Object
	for _, c := range claims {
		if c.GetLabels()[v1alpha1.LabelName] != "" {
			cached = append(cached, c)
		}
	}
	reader, clock := &countingReader{
		Reader: controllertest.New(t, claims...).Client,
	}, clocktesting.NewFakeClock(
		time.Now(),
	)
	g := &observer{
		client:  controllertest.New(t, cached...).Client,
		effects: &kubeEffects{reader: reader},
		clock:   clock,
		seen:    &sight{},
	}
	return g, rha, resources.StatefulSet(rha, 3), reader, clock
}

// claimOf is a claim of ordinal 0, made as the StatefulSet controller makes it from the template, and then changed.
func claimOf(change func(c *corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "cache", UID: "now"}}
	rha.Spec.Storage = &v1alpha1.StorageSpec{}
	c := resources.StatefulSet(rha, 3).Spec.VolumeClaimTemplates[0].DeepCopy()
	c.Namespace, c.Name, c.CreationTimestamp = "ns", resources.ClaimName("cache", 0), metav1.Now()
	change(c)
	return c
}

func TestAClaimThatWasNotMadeForThisRedisHAMayHoldData(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(c *corev1.PersistentVolumeClaim)
		want   bool
	}{
		"made by the StatefulSet":                                   {func(*corev1.PersistentVolumeClaim) {}, false},
		"restored by a person, without a label, in the same second": {func(c *corev1.PersistentVolumeClaim) { c.Labels, c.Annotations = nil, nil }, true},
		"made by a person, with the labels, in the same second":     {func(c *corev1.PersistentVolumeClaim) { c.Annotations = nil }, true},
		"restored by a backup tool as it was": {func(c *corev1.PersistentVolumeClaim) {
			c.Annotations[v1alpha1.AnnotationMadeFor] = "before"
			c.CreationTimestamp = metav1.NewTime(time.Now().Add(time.Minute))
		}, true},
		"filled from a snapshot": {func(c *corev1.PersistentVolumeClaim) {
			c.Spec.DataSource = &corev1.TypedLocalObjectReference{Kind: "VolumeSnapshot", Name: "s"}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			g, rha, sts, _, _ := claimsWorld(t, claimOf(tc.change))
			for _, pod := range []string{"", "uid"} {
				holds, err := g.mayHoldData(t.Context(), rha, sts, 0, pod)
				if err != nil || holds != tc.want {
					t.Errorf("pod %q: it may hold data: %t (%v), want %t", pod, holds, err, tc.want)
				}
			}
		})
	}
}

func TestAClaimOfAnEarlierVersionIsToldByItsLabelAndItsTime(t *testing.T) {
	older := func(c *corev1.PersistentVolumeClaim) {
		c.Annotations, c.CreationTimestamp = nil, metav1.NewTime(time.Now().Add(-time.Hour))
	}
	for name, tc := range map[string]struct {
		change func(c *corev1.PersistentVolumeClaim)
		want   bool
	}{
		"made by the StatefulSet":  {func(c *corev1.PersistentVolumeClaim) { c.Annotations = nil }, false},
		"older than the RedisHA":   {older, true},
		"restored without a label": {func(c *corev1.PersistentVolumeClaim) { c.Labels, c.Annotations = nil, nil }, true},
	} {
		g, rha, sts, _, _ := claimsWorld(t, claimOf(tc.change))
		sts.Spec.VolumeClaimTemplates[0].Annotations = nil
		rha.CreationTimestamp = metav1.NewTime(time.Now().Add(-time.Minute))
		if holds, err := g.mayHoldData(t.Context(), rha, sts, 0, "uid"); err != nil || holds != tc.want {
			t.Errorf("%s: it may hold data: %t (%v), want %t", name, holds, err, tc.want)
		}
	}
}

func TestAFreshSetIsNotLookedAtPastTheCacheAndOneThatWaitsSeldom(t *testing.T) {
	g, rha, sts, reader, clock := claimsWorld(t, claimOf(func(*corev1.PersistentVolumeClaim) {}))
	look := func(ordinal int, pod string) {
		t.Helper()
		if _, err := g.mayHoldData(t.Context(), rha, sts, ordinal, pod); err != nil {
			t.Fatal(err)
		}
	}
	look(0, "uid")
	if reader.reads != 0 {
		t.Errorf("%d reads past the cache for a claim that it shows", reader.reads)
	}
	for range 36000 { // an hour without the claim of ordinal 1
		look(1, "")
		clock.Step(100 * time.Millisecond)
	}
	if reader.reads < 10 || reader.reads > 200 {
		t.Errorf("%d reads past the cache in an hour", reader.reads)
	}
	before := reader.reads
	look(1, "uid")
	if reader.reads != before+1 {
		t.Error("a pod that comes, and so its claim, is not looked at")
	}
	rha.Status.Failover = &v1alpha1.FailoverStatus{Internal: v1alpha1.FailoverInternal{Initialized: true}}
	look(1, "uid")
	if reader.reads != before+1 {
		t.Error("a set with a master is looked at past the cache for a pod that is there")
	}
}
