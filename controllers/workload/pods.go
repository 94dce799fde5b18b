// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/maintenance"
	"github.com/redisha/redisha/controllers/resources"
)

// listPods are the Redis pods by ordinal.
func (w *pass) listPods(ctx context.Context) ([]corev1.Pod, error) {
	list := &corev1.PodList{}
	err := w.Client.List(
		ctx, list, client.InNamespace(w.rha.Namespace), client.MatchingLabels(resources.SelectorLabels(w.rha.Name)),
	)
	if err != nil {
		return nil, fmt.Errorf("listing the pods: %w", err)
	}
	ordinal := func(pod corev1.Pod) int {
		n, _ := resources.Ordinal(w.rha.Name, pod.Name)
		return n
	}
	pods := slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool {
		_, ok := resources.Ordinal(w.rha.Name, pod.Name)
		return !ok
	})
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return cmp.Compare(ordinal(a), ordinal(b)) })
	return pods, nil
}

func (w *pass) rollout() rollout {
	return rollout{rha: w.rha, sts: w.sts, pods: w.pods, now: w.now(), persists: w.persists()}
}

func (w *pass) placement() placement {
	return placement{rollout: w.rollout(), machines: w.machines}
}

// replacePods deletes the outdated pods whose turn it is.
func (w *pass) replacePods(ctx context.Context) error {
	if w.sts == nil {
		w.progress = podProgress{v1alpha1.ReasonCreating, "waiting for the StatefulSet"}
		return nil
	}
	if w.renewed {
		w.progress = podProgress{v1alpha1.ReasonRollingOut, "waiting for the StatefulSet controller"}
		return nil
	}
	r := w.rollout()
	pods, progress := r.replaceable()
	w.progress, w.proven = progress, r.provenIn()
	if why := r.whyNotResized(); why != "" {
		w.progress.message += "; " + why
	}
	if resources.Hibernates(w.rha) && r.awake() != "" {
		w.lookAgain(tellsAgain) // that Redis can write to its volume again wakes nothing
	}
	for i := range pods {
		pod := &pods[i]
		err := w.Client.Delete(ctx, pod, client.Preconditions{UID: ptr.To(pod.UID)})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			continue // the cache was behind; the pod has been replaced already
		}
		if err != nil {
			return fmt.Errorf("replacing pod %q: %w", pod.Name, err)
		}
		ctrl.LoggerFrom(ctx).Info("replacing an outdated pod", "pod", pod.Name)
		w.Recorder.Eventf(w.rha, corev1.EventTypeNormal, v1alpha1.EventPodReplaced, "Replacing outdated pod %s", pod.Name)
	}
	return nil
}

// readWindows tells of maintenance windows that cannot be used, which holds nothing else up, and has a pass begin when
// one begins or ends.
func (w *pass) readWindows(context.Context) error {
	windows, err := maintenance.At(w.rha.Spec.MaintenanceWindows, w.now())
	if err != nil {
		w.later = errors.Join(w.later, refuse(v1alpha1.ReasonMaintenanceWindowInvalid,
			"%v: mend it, or remove it; until then a master that serves is moved only when a person requests it", err))
	}
	if windows.Turns > 0 {
		w.lookAgain(windows.Turns)
	}
	return nil
}

func podNames(pods []corev1.Pod) string {
	names := make([]string, 0, len(pods))
	for i := range pods {
		names = append(names, pods[i].Name)
	}
	return strings.Join(names, ", ")
}

// keepClaims sees to what the immutable template of the claims cannot. A claim that cannot be enlarged is reported and
// stops nothing else.
func (w *pass) keepClaims(ctx context.Context) error {
	if w.rha.Spec.Storage == nil {
		return nil
	}
	claims := &corev1.PersistentVolumeClaimList{}
	err := w.Client.List(
		ctx, claims, client.InNamespace(w.rha.Namespace), client.MatchingLabels(resources.SelectorLabels(w.rha.Name)),
	)
	if err != nil {
		return fmt.Errorf("listing the claims: %w", err)
	}
	for i := range claims.Items {
		if err := w.relabelClaim(ctx, &claims.Items[i]); err != nil {
			return err
		}
		err := w.growClaim(ctx, &claims.Items[i])
		var refused *refusal
		if errors.As(err, &refused) {
			w.later = cmp.Or(w.later, err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// relabelClaim takes from a claim what makes it look like an application's. The template of a StatefulSet that an
// earlier version made still puts it on new claims.
func (w *pass) relabelClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	label, is := resources.LooksLikeAnApps(claim, w.rha.Name)
	if !is || !claim.DeletionTimestamp.IsZero() {
		return nil
	}
	before := claim.DeepCopy()
	delete(claim.Labels, label)
	err := w.Client.Patch(ctx, claim, client.MergeFrom(before), client.FieldOwner(fieldOwner))
	return client.IgnoreNotFound(err)
}

// growClaim enlarges a claim that is smaller than the spec wants.
func (w *pass) growClaim(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	want := resources.StorageSize(w.rha.Spec.Storage)
	have := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if !claim.DeletionTimestamp.IsZero() || have.Cmp(want) >= 0 {
		return nil
	}
	grown := claim.DeepCopy()
	grown.Spec.Resources.Requests[corev1.ResourceStorage] = want
	err := w.Client.Patch(ctx, grown, client.MergeFrom(claim), client.FieldOwner(fieldOwner))
	if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
		return refuse(v1alpha1.ReasonExpansionRefused,
			"spec.storage.size: claim %q cannot grow to %s: set the size back, or use a storage class that allows expansion: %v",
			claim.Name, want.String(), err)
	}
	return client.IgnoreNotFound(err)
}
