// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/redisha/redisha/api/v1alpha1"
)

// apply makes the live object as desired wants it, by server-side apply, and only
// if it is not so already. Fields that others added are left alone, except where
// they would change what Redis or a Service does (exclusiveFields).
func (w *workloadPass) apply(ctx context.Context, desired client.Object) error {
	if err := controllerutil.SetControllerReference(w.rha, desired, w.Client.Scheme()); err != nil {
		return err
	}
	want, err := applyConfiguration(desired)
	if err != nil {
		return err
	}
	live, err := w.liveObject(ctx, desired)
	if err != nil {
		return err
	}
	kind, name := desired.GetObjectKind().GroupVersionKind().Kind, desired.GetName()
	if live == nil {
		_, err = w.send(ctx, want)
		return err
	}
	if !w.mayTake(live) {
		return refuse(v1alpha1.ReasonNotOwned, "%s %q exists and %s", kind, name, whose(live, kind))
	}
	if live.GetDeletionTimestamp() != nil {
		w.later = firstError(w.later, refuse(v1alpha1.ReasonBeingDeleted, "%s %q is being deleted; it is created anew when it is gone", kind, name))
		return nil
	}
	return w.repair(ctx, want, live)
}

// repair makes up to three writes, and none when nothing differs. What the spec no
// longer wants goes first and in one write; then what others added; then what is
// still missing.
func (w *workloadPass) repair(ctx context.Context, want, live *unstructured.Unstructured) error {
	var err error
	if appliedHash(live) != appliedHash(want) {
		if live, err = w.send(ctx, want); err != nil {
			return err
		}
	}
	if patch := exclusivePatch(want, live); patch != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("removing foreign fields", "kind", want.GetKind(), "object", want.GetName())
		patched := live.DeepCopy()
		err := w.Client.Patch(ctx, patched, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(workloadFieldOwner))
		if err != nil {
			return applyFailure(want, err)
		}
		live = patched
		w.renewed = w.renewed || want.GetKind() == "StatefulSet"
	}
	if !contains(live.Object, want.Object) {
		_, err = w.send(ctx, want)
	}
	return err
}

// send applies want and returns the object as it is then.
func (w *workloadPass) send(ctx context.Context, want *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if err := w.stillWanted(ctx); err != nil {
		return nil, err
	}
	ctrl.LoggerFrom(ctx).V(1).Info("applying", "kind", want.GetKind(), "object", want.GetName())
	sent := want.DeepCopy() // the answer is written into it
	err := w.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(sent),
		client.FieldOwner(workloadFieldOwner), client.ForceOwnership)
	w.renewed = w.renewed || want.GetKind() == "StatefulSet"
	return sent, applyFailure(want, err)
}

// stillWanted looks at the RedisHA past the cache before the first write of a pass. When it is being deleted and its
// objects are to be orphaned, an owner reference that is added back to them is their end.
func (w *workloadPass) stillWanted(ctx context.Context) error {
	if w.wanted {
		return nil
	}
	live := &v1alpha1.RedisHA{}
	err := w.APIReader.Get(ctx, client.ObjectKeyFromObject(w.rha), live)
	switch {
	case apierrors.IsNotFound(err), err == nil && (live.UID != w.rha.UID || live.DeletionTimestamp != nil):
		return errNotWanted
	case err != nil:
		return fmt.Errorf("reading the RedisHA past the cache: %w", err)
	}
	w.wanted = true
	return nil
}

// errNotWanted ends a pass: the RedisHA is gone or going.
var errNotWanted = errors.New("the RedisHA is being deleted")

// applyFailure turns what retrying cannot mend into a refusal.
func applyFailure(want *unstructured.Unstructured, err error) error {
	if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) {
		return refuse(v1alpha1.ReasonApplyFailed, "%s %q: %v", want.GetKind(), want.GetName(), err)
	}
	if err != nil {
		return fmt.Errorf("applying %s %q: %w", want.GetKind(), want.GetName(), err)
	}
	return nil
}

// liveObject is the object as it is; nil when there is none. What the cache does
// not hold is looked up at the API server, because the cache may be behind or
// limited to labelled objects.
func (w *workloadPass) liveObject(ctx context.Context, desired client.Object) (*unstructured.Unstructured, error) {
	gvk := desired.GetObjectKind().GroupVersionKind()
	empty, err := w.Client.Scheme().New(gvk)
	if err != nil {
		return nil, err
	}
	typed, ok := empty.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T is not an object", empty)
	}
	key := client.ObjectKeyFromObject(desired)
	err = w.Client.Get(ctx, key, typed)
	if apierrors.IsNotFound(err) {
		err = w.APIReader.Get(ctx, key, typed)
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s %q: %w", gvk.Kind, key.Name, err)
	}
	typed.GetObjectKind().SetGroupVersionKind(gvk)
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	return &unstructured.Unstructured{Object: content}, err
}

// whose says to whom an object belongs that is not ours, and what a person may do. To delete what another needs is no
// advice.
func whose(live client.Object, kind string) string {
	if owner := metav1.GetControllerOf(live); owner != nil {
		return fmt.Sprintf("belongs to %s %q: leave it, and choose another name for this RedisHA", owner.Kind, owner.Name)
	}
	if other := live.GetLabels()[v1alpha1.LabelName]; other != "" {
		return fmt.Sprintf("belongs to RedisHA %q, by its label %s: leave it, and choose another name for this RedisHA", other, v1alpha1.LabelName)
	}
	return fmt.Sprintf("does not belong to this RedisHA: choose another name for this RedisHA, or delete the %s if nothing uses it", kind)
}

// mayTake says whether the live object is ours: controlled by this RedisHA, or by
// no owner and marked as ours (a person removed the owner reference).
func (w *workloadPass) mayTake(live client.Object) bool {
	if owner := metav1.GetControllerOf(live); owner != nil {
		return owner.UID == w.rha.UID
	}
	return live.GetLabels()[v1alpha1.LabelName] == w.rha.Name
}
