// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/apply"
)

// exclusiveFields are where something that others add would change what Redis or a Service does: a selector on the
// master's Service would publish every pod as master.
var exclusiveFields = map[string][]apply.Field{
	"Service":             {{Path: []string{"spec", "selector"}}, {Path: []string{"spec", "ports"}, Key: "port"}},
	"ConfigMap":           {{Path: []string{"data"}}, {Path: []string{"binaryData"}}},
	"Secret":              {{Path: []string{"data"}}},
	"PodDisruptionBudget": {{Path: []string{"spec", "minAvailable"}}, {Path: []string{"spec", "selector", "matchLabels"}}},
	"StatefulSet": {
		{Path: []string{"spec", "template", "spec", "containers"}, Key: "name"},
		{Path: []string{"spec", "template", "spec", "initContainers"}, Key: "name"},
		{Path: []string{"spec", "template", "spec", "volumes"}, Key: "name"},
	},
}

// objectsOf begins the pass over the objects of a RedisHA.
func (r *Reconciler) objectsOf(rha *v1alpha1.RedisHA) *apply.Pass {
	return apply.Applier{
		Client: r.Client, Live: r.APIReader, FieldOwner: fieldOwner,
		HashAnnotation: v1alpha1.AnnotationAppliedHash, NameLabel: v1alpha1.LabelName, Exclusive: exclusiveFields,
	}.For(rha)
}

// apply makes the live object as desired wants it, and turns what a person has to mend into a refusal.
func (w *pass) apply(ctx context.Context, desired client.Object) error {
	wrote, err := w.objects.Apply(ctx, desired)
	if _, is := desired.(*appsv1.StatefulSet); is && wrote {
		w.renewed = true
	}
	var other *apply.NotOwnedError
	var going *apply.BeingDeletedError
	var refused *apply.RefusedError
	switch {
	case errors.As(err, &other):
		return refuse(v1alpha1.ReasonNotOwned, "%s %q exists and %s", other.Kind, other.Name, whose(other.Live, other.Kind))
	case errors.As(err, &going):
		w.later = cmp.Or[error](w.later, refuse(v1alpha1.ReasonBeingDeleted,
			"%s %q is being deleted; it is created anew when it is gone", going.Kind, going.Name))
		return nil
	case errors.As(err, &refused):
		return refuse(v1alpha1.ReasonApplyFailed, "%s %q: %v", refused.Kind, refused.Name, refused.Err)
	}
	return err
}

// whose says to whom an object belongs that is not ours, and what a person may do. To delete what another needs is no
// advice.
func whose(live client.Object, kind string) string {
	if owner := metav1.GetControllerOf(live); owner != nil {
		return fmt.Sprintf("belongs to %s %q: leave it, and choose another name for this RedisHA", owner.Kind, owner.Name)
	}
	if other := live.GetLabels()[v1alpha1.LabelName]; other != "" {
		return fmt.Sprintf(
			"belongs to RedisHA %q, by its label %s: leave it, and choose another name for this RedisHA", other,
			v1alpha1.LabelName,
		)
	}
	return fmt.Sprintf(
		"does not belong to this RedisHA: choose another name for this RedisHA, or delete the %s if nothing uses it", kind,
	)
}
