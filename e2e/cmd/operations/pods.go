// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/sandbox"
)

// asksAgain is after how long an eviction that was refused is asked for again.
const asksAgain = time.Second

// master names the pod that was master when the round began.
func (r *round) master() *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: r.key.Namespace, Name: r.before.Status.Master.Pod}}
}

// masterReplaced waits until another pod has the place of the master's.
func (r *round) masterReplaced(ctx context.Context) error {
	was := r.before.Status.Master
	return sandbox.WaitFor(ctx, was.Pod+" to be replaced", func(ctx context.Context) (bool, error) {
		uids, err := r.bed.PodUIDs(ctx, r.key)
		return uids[was.Pod] != "" && uids[was.Pod] != was.PodUID, err
	})
}

func deleteMaster(ctx context.Context, r *round) error {
	if err := r.bed.Client.Delete(ctx, r.master()); err != nil {
		return err
	}
	return r.masterReplaced(ctx)
}

func evictMaster(ctx context.Context, r *round) error {
	err := r.bed.Evict(ctx, client.ObjectKeyFromObject(r.master()))
	for apierrors.IsTooManyRequests(err) { // the disruption budget has not seen yet that all is well
		if err := sandbox.Sleep(ctx, asksAgain); err != nil {
			return err
		}
		err = r.bed.Evict(ctx, client.ObjectKeyFromObject(r.master()))
	}
	if err != nil {
		return err
	}
	return r.masterReplaced(ctx)
}

// drainMaster drains the worker that carries the master, and lets it take pods again.
func drainMaster(ctx context.Context, r *round) error {
	pod := r.master()
	if err := r.bed.Client.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
		return err
	}
	worker := pod.Spec.NodeName
	drained := r.kubectl(ctx, "drain", worker, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=4m")
	if drained == nil {
		drained = r.masterReplaced(ctx)
	}
	// A worker that is left cordoned would spoil what is played later.
	if err := r.kubectl(context.WithoutCancel(ctx), "uncordon", worker); err != nil {
		return err
	}
	return drained
}

func switchOver(ctx context.Context, r *round) error {
	if err := r.request(ctx, v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover}); err != nil {
		return err
	}
	return sandbox.WaitFor(ctx, "another pod to be master", func(ctx context.Context) (bool, error) {
		rha, err := r.bed.Get(ctx, r.key)
		return err == nil && rha.Status.Master.PodUID != r.before.Status.Master.PodUID, err
	})
}

func restart(ctx context.Context, r *round) error {
	old, err := r.bed.PodUIDs(ctx, r.key)
	if err != nil {
		return err
	}
	if err := r.request(ctx, v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionRestart}); err != nil {
		return err
	}
	return r.allReplaced(ctx, old)
}

// request makes a request object and waits until it was carried out.
func (r *round) request(ctx context.Context, what v1alpha1.RedisHARequestSpec) error {
	what.RedisHA = r.key.Name
	request := &v1alpha1.RedisHARequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.key.Namespace, Name: fmt.Sprintf("%s-%d", r.key.Name, r.number)},
		Spec:       what,
	}
	if err := r.bed.Client.Create(ctx, request); err != nil {
		return err
	}
	return sandbox.WaitFor(ctx, "the request to be carried out", func(ctx context.Context) (bool, error) {
		if err := r.bed.Client.Get(ctx, client.ObjectKeyFromObject(request), request); err != nil {
			return false, err
		}
		told := request.Status
		if told.State.IsOver() && told.State != v1alpha1.RequestSucceeded {
			return false, fmt.Errorf("it is %s (%s): %s", told.State, told.Reason, told.Message)
		}
		return told.State.IsOver(), nil
	})
}

// allReplaced waits until no pod is left of those with these UIDs.
func (r *round) allReplaced(ctx context.Context, old map[string]string) error {
	return sandbox.WaitFor(ctx, "every pod to be replaced", func(ctx context.Context) (bool, error) {
		now, err := r.bed.PodUIDs(ctx, r.key)
		for name, uid := range now {
			if old[name] == uid {
				return false, err
			}
		}
		return len(now) == len(old), err
	})
}
