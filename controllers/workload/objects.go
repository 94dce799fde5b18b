// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/apply"
	"github.com/redisha/redisha/controllers/podstate"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/controllers/tenancy"
)

func (w *pass) applyNetwork(ctx context.Context) error {
	objects := []client.Object{
		resources.HeadlessService(w.rha, w.encryption), resources.MasterService(w.rha, w.encryption),
		resources.ReplicasService(w.rha, w.encryption),
	}
	if pdb := resources.PodDisruptionBudget(w.rha); pdb != nil {
		objects = append(objects, pdb)
	}
	return w.putOff(w.applyAll(ctx, objects...)) // pods can be made without any of them
}

// applyAuth keeps a refusal for the end of the pass when a password is in force:
// a Secret of the user's that went missing must not stop anything else.
func (w *pass) applyAuth(ctx context.Context) error {
	inForce, err := w.users(ctx)
	if err != nil {
		if inForce.Default.Current == "" {
			return err
		}
		w.later = errors.Join(w.later, err)
	}
	owned := []client.Object{resources.UsersSecret(w.rha, inForce)}
	if w.generatesPassword() {
		owned = append(owned, resources.GeneratedSecret(w.rha, inForce.Default.Current))
	}
	if err := w.putOff(w.applyAll(ctx, owned...)); err != nil {
		return err
	}
	state, err := w.nextEncryption(ctx)
	if err != nil {
		return err
	}
	return w.applyAll(ctx, resources.MountSecret(w.rha, inForce, state, w.known.encrypted.before))
}

// applyMounted makes what the pods mount. Without one of it they cannot start, and must not be replaced; the rest is
// made all the same.
func (w *pass) applyMounted(ctx context.Context) error {
	auth := w.applyAuth(ctx)
	if errors.Is(auth, apply.ErrOwnerGone) {
		return auth
	}
	if w.refused {
		return auth
	}
	return errors.Join(auth, w.applyAll(ctx, resources.ConfigMap(w.rha)))
}

// putOff keeps a failure for the end of the pass, unless it ends the pass.
func (w *pass) putOff(err error) error {
	if errors.Is(err, apply.ErrOwnerGone) {
		return err
	}
	w.later = errors.Join(w.later, err)
	return nil
}

func (w *pass) applyStatefulSet(ctx context.Context) error {
	if w.refused {
		return nil
	}
	sts := resources.StatefulSet(w.rha, w.rollout().replicas())
	if known := podstate.Adopted(w.rha, w.sts); known != "" {
		sts.Annotations = map[string]string{v1alpha1.AnnotationAdopted: known}
	}
	if w.sts != nil && len(w.sts.Spec.VolumeClaimTemplates) > 0 && len(sts.Spec.VolumeClaimTemplates) > 0 {
		// The template is immutable; keepClaims sees to the claims themselves. One that was orphaned names the RedisHA it was
		// made for.
		sts.Spec.VolumeClaimTemplates[0].Annotations = w.sts.Spec.VolumeClaimTemplates[0].Annotations
		sts.Spec.VolumeClaimTemplates[0].Spec.Resources = w.sts.Spec.VolumeClaimTemplates[0].Spec.Resources
		sts.Spec.VolumeClaimTemplates[0].Labels = w.sts.Spec.VolumeClaimTemplates[0].Labels
	}
	return w.applyAll(ctx, sts)
}

// applyAll applies every object: one that cannot be applied does not hold the others up.
func (w *pass) applyAll(ctx context.Context, objects ...client.Object) error {
	var failures []error
	for _, object := range objects {
		err := w.apply(ctx, object)
		if errors.Is(err, apply.ErrOwnerGone) || tenancy.PauseFor(err) > 0 {
			return err
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// removeUnwanted deletes what an earlier spec asked for and this one does not.
func (w *pass) removeUnwanted(ctx context.Context) error {
	if resources.PodDisruptionBudget(w.rha) == nil {
		pdb := &policyv1.PodDisruptionBudget{}
		if err := w.remove(ctx, pdb, w.rha.Name); err != nil {
			return err
		}
	}
	if !w.generatesPassword() {
		if err := w.removeSecret(ctx, resources.GeneratedSecretName(w.rha.Name)); err != nil {
			return err
		}
		return w.removeSecret(ctx, resources.FormerSecretName(w.rha.Name))
	}
	if resources.FormerSecretIsInTheWay(w.rha.Name) {
		return w.removeSecret(ctx, resources.FormerSecretName(w.rha.Name)) // what it holds is in the new one by now
	}
	return nil // applications may read it
}

// removeSecret deletes a Secret of ours, unless the spec names it.
func (w *pass) removeSecret(ctx context.Context, name string) error {
	if w.isUsers(name) {
		return nil
	}
	return w.remove(ctx, &corev1.Secret{}, name)
}

// remove deletes the object called name if this RedisHA owns it.
func (w *pass) remove(ctx context.Context, object client.Object, name string) error {
	err := w.Client.Get(ctx, client.ObjectKey{Namespace: w.rha.Namespace, Name: name}, object)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !metav1.IsControlledBy(object, w.rha) || !object.GetDeletionTimestamp().IsZero() {
		return nil
	}
	uid := object.GetUID()
	return client.IgnoreNotFound(w.Client.Delete(ctx, object, client.Preconditions{UID: ptr.To(uid)}))
}
