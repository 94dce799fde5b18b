// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/sandbox"
)

// rollOut changes the template of the pods.
func rollOut(ctx context.Context, r *round) error {
	return r.changePods(ctx, func(spec *v1alpha1.RedisHASpec) {
		spec.PodTemplate = &v1alpha1.PodTemplateSpec{
			Annotations: map[string]string{"example.com/round": fmt.Sprint(r.number)},
		}
	})
}

// changeSettings changes what Redis is told while it runs: room for more than any round writes.
func changeSettings(ctx context.Context, r *round) error {
	old, err := r.bed.PodUIDs(ctx, r.key)
	if err != nil {
		return err
	}
	wanted := map[string]v1alpha1.ConfigValue{"maxmemory": v1alpha1.ConfigValue(fmt.Sprintf("%dmb", 500+r.number))}
	if err := r.change(ctx, func(spec *v1alpha1.RedisHASpec) { spec.Config = wanted }); err != nil {
		return err
	}
	record := resources.RecordOf(&v1alpha1.RedisHA{Spec: v1alpha1.RedisHASpec{Config: wanted}}).String()
	return sandbox.WaitFor(ctx, "every Redis to be told", func(ctx context.Context) (bool, error) {
		pods, err := r.bed.Pods(ctx, r.key)
		for i := range pods {
			if old[pods[i].Name] != string(pods[i].UID) {
				return false, fmt.Errorf("pod %s was replaced", pods[i].Name)
			}
			if pods[i].Annotations[v1alpha1.AnnotationSettings] != record {
				return false, err
			}
		}
		return len(pods) == len(old), err
	})
}

// limited has a limit of memory, which maxmemory follows.
func limited(_ *set, spec *v1alpha1.RedisHASpec) {
	spec.Resources = memory("256Mi")
}

// memory is a limit of it, and a request that is lower.
func memory(limit string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)},
		Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")},
	}
}

// resize gives every pod more memory while it runs, and then less, with room for more than any round writes.
func resize(ctx context.Context, r *round) error {
	for _, limit := range []string{"512Mi", "256Mi"} {
		old, err := r.bed.PodUIDs(ctx, r.key)
		if err != nil {
			return err
		}
		if err := r.change(ctx, func(spec *v1alpha1.RedisHASpec) { spec.Resources = memory(limit) }); err != nil {
			return err
		}
		err = sandbox.WaitFor(ctx, "every pod to have "+limit, func(ctx context.Context) (bool, error) {
			pods, err := r.bed.Pods(ctx, r.key)
			for i := range pods {
				if old[pods[i].Name] != string(pods[i].UID) {
					return false, fmt.Errorf("pod %s was replaced", pods[i].Name)
				}
				want := resource.MustParse(limit)
				if resources.MemoryLimit(&pods[i]) != want.Value() {
					return false, err
				}
			}
			return len(pods) == len(old), err
		})
		if err != nil {
			return err
		}
		if _, err := r.bed.WaitUpToDate(ctx, r.key); err != nil {
			return fmt.Errorf("with %s: %w", limit, err)
		}
	}
	return nil
}

// changePods changes the spec in a way that replaces every pod.
func (r *round) changePods(ctx context.Context, edit func(*v1alpha1.RedisHASpec)) error {
	old, err := r.bed.PodUIDs(ctx, r.key)
	if err != nil {
		return err
	}
	if err := r.change(ctx, edit); err != nil {
		return err
	}
	return r.allReplaced(ctx, old)
}

// leadByLast makes the pod master that leaves first when there are fewer.
func leadByLast(ctx context.Context, r *round) error {
	last := resources.PodName(r.key.Name, int(v1alpha1.DefaultReplicas-1))
	if r.before.Status.Master.Pod == last {
		return nil
	}
	return r.request(ctx, v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover, Pod: last})
}

// scale has the number of pods go through all that matters: from one, and to one, and by more than one at once.
func scale(ctx context.Context, r *round) error {
	for _, replicas := range []int32{1, 3, 5, 2, 1, v1alpha1.DefaultReplicas} {
		err := r.change(ctx, func(spec *v1alpha1.RedisHASpec) { spec.Replicas = ptr.To(replicas) })
		if err != nil {
			return err
		}
		if _, err := r.bed.WaitUpToDate(ctx, r.key); err != nil {
			return fmt.Errorf("with %d replicas: %w", replicas, err)
		}
	}
	return nil
}

// onDisk has the RedisHA keep its data on volumes.
func onDisk(_ *set, spec *v1alpha1.RedisHASpec) { spec.Storage = &v1alpha1.StorageSpec{} }

// hibernate has no pod run for a while, and then three again.
func hibernate(ctx context.Context, r *round) error {
	if err := r.change(ctx, func(spec *v1alpha1.RedisHASpec) { spec.Replicas = ptr.To[int32](0) }); err != nil {
		return err
	}
	err := sandbox.WaitFor(ctx, "no Redis to run", func(ctx context.Context) (bool, error) {
		rha, err := r.bed.Get(ctx, r.key)
		if err != nil {
			return false, err
		}
		ready := meta.FindStatusCondition(rha.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.Reason == v1alpha1.ReasonHibernated && rha.Status.Replicas == 0, nil
	})
	if err != nil {
		return err
	}
	if err := sandbox.Sleep(ctx, calm); err != nil {
		return err
	}
	woken := time.Now()
	if err := r.change(ctx, func(spec *v1alpha1.RedisHASpec) {
		spec.Replicas = ptr.To(v1alpha1.DefaultReplicas)
	}); err != nil {
		return err
	}
	first, err := r.load.firstAck(ctx, woken)
	r.waking = first.Sub(woken)
	return err
}
