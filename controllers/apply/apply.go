// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// Applier says how objects are applied.
type Applier struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads past the cache, which may be behind or limited to labelled objects.
	Live client.Reader
	// FieldOwner is the field manager of what is applied.
	FieldOwner client.FieldOwner
	// HashAnnotation holds the hash of what was last applied to an object.
	HashAnnotation string
	// NameLabel holds the owner's name. An object that no other controls and that has it is taken over: a person
	// removed the owner reference.
	NameLabel string
	// Exclusive are, by kind, the fields in which others may add nothing.
	Exclusive map[string][]Field
}

// Pass applies objects of one owner. It is for one goroutine, and for a moment: that the owner is not being deleted is
// looked up once.
type Pass struct {
	Applier

	owner  client.Object
	wanted bool
	wrote  bool // during this Apply
}

// For begins a pass.
func (a Applier) For(owner client.Object) *Pass { return &Pass{Applier: a, owner: owner} }

// Apply makes the live object as desired wants it, if it is not so already, and says whether it wrote anything. Fields
// that others added are left alone, but for the exclusive ones. The error is ErrOwnerGone, a *NotOwnedError, a
// *BeingDeletedError or a *RefusedError where it is no use to try again at once.
func (p *Pass) Apply(ctx context.Context, desired client.Object) (wrote bool, err error) {
	p.wrote = false
	if err := controllerutil.SetControllerReference(p.owner, desired, p.Client.Scheme()); err != nil {
		return false, err
	}
	want, err := p.configuration(desired)
	if err != nil {
		return false, err
	}
	live, err := p.read(ctx, desired)
	if err != nil {
		return false, err
	}
	what := object{Kind: want.GetKind(), Name: want.GetName()}
	switch {
	case live == nil:
		_, err = p.send(ctx, want)
	case !p.Owns(live):
		err = &NotOwnedError{object: what, Live: live}
	case live.GetDeletionTimestamp() != nil:
		err = &BeingDeletedError{object: what}
	default:
		err = p.repair(ctx, want, live)
	}
	return p.wrote, err
}

// Owns says whether the live object is the owner's: controlled by it, or by none and labelled with its name.
func (p *Pass) Owns(live client.Object) bool {
	if controller := metav1.GetControllerOf(live); controller != nil {
		return controller.UID == p.owner.GetUID()
	}
	return live.GetLabels()[p.NameLabel] == p.owner.GetName()
}

// repair makes up to three writes, and none when nothing differs. What is no longer wanted goes first and in one write;
// then what others added; then what is still missing.
func (p *Pass) repair(ctx context.Context, want, live *unstructured.Unstructured) (err error) {
	if p.appliedHash(live) != p.appliedHash(want) {
		if live, err = p.send(ctx, want); err != nil {
			return err
		}
	}
	if patch := exclusivePatch(p.Exclusive[want.GetKind()], want, live); patch != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("removing foreign fields", "kind", want.GetKind(), "object", want.GetName())
		live = live.DeepCopy() // the answer is written into it
		p.wrote = true
		if err := p.Client.Patch(ctx, live, client.RawPatch(types.MergePatchType, patch), p.FieldOwner); err != nil {
			return failure(want, err)
		}
	}
	if !contains(live.Object, want.Object) {
		_, err = p.send(ctx, want)
	}
	return err
}

// send applies want and returns the object as it is then.
func (p *Pass) send(ctx context.Context, want *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if err := p.stillWanted(ctx); err != nil {
		return nil, err
	}
	ctrl.LoggerFrom(ctx).V(1).Info("applying", "kind", want.GetKind(), "object", want.GetName())
	sent := want.DeepCopy() // the answer is written into it
	p.wrote = true
	err := p.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(sent), p.FieldOwner, client.ForceOwnership)
	return sent, failure(want, err)
}

// stillWanted looks at the owner past the cache before the first write of a pass. When it is being deleted and its
// objects are to be orphaned, an owner reference that is added back to them is their end.
func (p *Pass) stillWanted(ctx context.Context) error {
	if p.wanted {
		return nil
	}
	gvk, err := apiutil.GVKForObject(p.owner, p.Client.Scheme())
	if err != nil {
		return err
	}
	live, err := p.empty(gvk)
	if err != nil {
		return err
	}
	err = p.Live.Get(ctx, client.ObjectKeyFromObject(p.owner), live)
	switch {
	case apierrors.IsNotFound(err),
		err == nil && (live.GetUID() != p.owner.GetUID() || live.GetDeletionTimestamp() != nil):
		return ErrOwnerGone
	case err != nil:
		return fmt.Errorf("reading the %s past the cache: %w", gvk.Kind, err)
	}
	p.wanted = true
	return nil
}

// read is the object as it is; nil when there is none. What the cache does not hold is looked up at the API server.
func (p *Pass) read(ctx context.Context, desired client.Object) (*unstructured.Unstructured, error) {
	gvk := desired.GetObjectKind().GroupVersionKind()
	typed, err := p.empty(gvk)
	if err != nil {
		return nil, err
	}
	key := client.ObjectKeyFromObject(desired)
	err = p.Client.Get(ctx, key, typed)
	if apierrors.IsNotFound(err) {
		err = p.Live.Get(ctx, key, typed)
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

func (p *Pass) empty(gvk schema.GroupVersionKind) (client.Object, error) {
	empty, err := p.Client.Scheme().New(gvk)
	if err != nil {
		return nil, err
	}
	typed, ok := empty.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T is not an object", empty)
	}
	return typed, nil
}
