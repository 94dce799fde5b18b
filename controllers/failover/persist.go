// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/tenancy"
	"github.com/redisha/redisha/failover"
)

// fieldOwner is the field manager of what the failover controller writes.
const fieldOwner = "redisha.io/failover"

// errLeaseLost means that another operator may lead by now. Nothing was written.
var errLeaseLost = errors.New("the leader lease is not certainly ours any more")

// persist writes the decision's progress, if it moved, by compare-and-swap, and the conditions if they changed. It
// reports whether the progress moved. While a failover runs that is no older than tellAfter, or one may be about to,
// conditions wait.
func (r *Reconciler) persist(
	ctx context.Context, rha *v1alpha1.RedisHA, d failover.Decision, obs sighting,
) (*v1alpha1.RedisHA, bool, error) {
	next, known := rha.DeepCopy(), r.memory.Of(client.ObjectKeyFromObject(rha))
	applyDecision(next, d)
	moved := r.schema.differ(&rha.Status, &next.Status)
	if moved {
		if r.Lease.Left() <= 0 {
			return rha, false, errLeaseLost
		}
		if err := r.swap(ctx, rha, next); err != nil {
			if !known.refusals.ordinary() {
				_, _ = r.writeConditions(ctx, rha, d, obs) // so that people see why nothing happens; what is wrong is told by err
			}
			return rha, false, fmt.Errorf("persisting %s: %w", d.Next.State, err)
		}
		known.refusals = refusals{}
		r.statuses.Wrote(next)
		r.announce(ctx, next, rha.Status.Failover, d)
		r.announceRestarts(ctx, rha, next)
		if r.OnPersisted != nil {
			r.OnPersisted(d.Next.State)
		}
	}
	write, delayed := known.telling.due(d, r.Clock.Now())
	if delayed {
		r.tellDelay(next, d)
	}
	if !write {
		return next, moved, nil
	}
	next, err := r.writeConditions(ctx, next, d, obs)
	return next, moved, err
}

// writeConditions applies the failover controller's conditions if they changed, and leaves those
// of others alone. They inform people; nothing is decided on them.
func (r *Reconciler) writeConditions(
	ctx context.Context, rha *v1alpha1.RedisHA, d failover.Decision, obs sighting,
) (*v1alpha1.RedisHA, error) {
	now := r.Clock.Now()
	telling := &r.memory.Of(client.ObjectKeyFromObject(rha)).telling
	possible := telling.settled(rha, possibleCondition(rha, d, obs.Observation, now), now)
	own, changed := mergeConditions(rha, append(conditionsOf(rha, d, obs, possible), r.compatibleCondition(rha, d)))
	telling.waits = 0
	held := telling.holdsBack(changed && onlyReworded(rha, own), now)
	if !changed || held {
		return rha, nil
	}
	body, err := conditionsBody(rha, own)
	if err != nil {
		return rha, err
	}
	next := rha.DeepCopy()
	err = r.Client.Status().Patch(tenancy.Telling(ctx), next, client.RawPatch(types.ApplyPatchType, body),
		client.FieldOwner(fieldOwner+"-conditions"), client.ForceOwnership)
	if telling.waits = tenancy.PauseFor(err); telling.waits > 0 {
		return rha, nil // what is decided does not wait for what is told
	}
	if err != nil {
		return rha, fmt.Errorf("writing the conditions: %w", err)
	}
	r.statuses.Wrote(next)
	r.announceRefusal(rha, next, d)
	r.tellWrites(rha, next)
	return next, nil
}

// mergeConditions gives the wanted conditions the transition times they have, and reports whether any differs.
func mergeConditions(rha *v1alpha1.RedisHA, wanted []metav1.Condition) (own []metav1.Condition, changed bool) {
	merged := append([]metav1.Condition(nil), rha.Status.Conditions...)
	for _, c := range wanted {
		c.ObservedGeneration = rha.Generation
		changed = meta.SetStatusCondition(&merged, c) || changed
		own = append(own, *meta.FindStatusCondition(merged, c.Type))
	}
	return own, changed
}

// onlyReworded reports conditions that say the same as before in other words.
func onlyReworded(rha *v1alpha1.RedisHA, conditions []metav1.Condition) bool {
	return !slices.ContainsFunc(conditions, func(c metav1.Condition) bool {
		was := meta.FindStatusCondition(rha.Status.Conditions, c.Type)
		return was == nil || was.Status != c.Status || was.Reason != c.Reason ||
			was.ObservedGeneration != c.ObservedGeneration
	})
}

// announceRefusal records an Event when a refusal is new. A state Blocked has announced itself.
func (r *Reconciler) announceRefusal(before, after *v1alpha1.RedisHA, d failover.Decision) {
	if d.Next.State == failover.StateBlocked ||
		!meta.IsStatusConditionTrue(after.Status.Conditions, v1alpha1.ConditionBlocked) {
		return
	}
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionBlocked)
	if was == nil || was.Reason != string(d.Reason) {
		r.Recorder.Event(after, corev1.EventTypeWarning, v1alpha1.EventRefused, fmt.Sprintf("%s: %s", d.Reason, d.Message))
	}
}

// conditionsBody is the apply configuration of the conditions and nothing else: whatever else it
// named would become ours.
func conditionsBody(rha *v1alpha1.RedisHA, conditions []metav1.Condition) ([]byte, error) {
	body, err := json.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "RedisHA",
		"metadata": map[string]any{"namespace": rha.Namespace, "name": rha.Name},
		"status":   map[string]any{"conditions": conditions},
	})
	if err != nil {
		return nil, fmt.Errorf("building the conditions: %w", err)
	}
	return body, nil
}
