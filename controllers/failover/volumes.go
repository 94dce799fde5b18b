// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

// mayHoldData reports whether the volume of an ordinal may hold data that matters: any volume once there has been a
// master; before that, only one that was not made for this RedisHA; and of a set that wakes, none that was made for it
// since it has hibernated. pod is the UID of the pod of that ordinal, empty
// when there is none.
func (g *observer) mayHoldData(
	ctx context.Context, rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, ordinal int, pod string,
) (bool, error) {
	initialized := rha.Status.Failover != nil && rha.Status.Failover.Internal.Initialized
	switch {
	case rha.Spec.Storage == nil:
		return false, nil
	case isWaking(rha):
		return g.wasKept(ctx, rha, sts, ordinal, pod)
	case initialized && pod != "":
		return true, nil // a pod has a volume; a failover does not wait for a look at it
	}
	claim, err := g.claim(ctx, rha, ordinal, pod, initialized)
	if err != nil && initialized {
		return true, nil // what cannot be read may hold data, and a failover does not wait for it
	}
	return claim != nil && (initialized || fromBefore(rha, sts, claim)), err
}

// claim reads the claim of an ordinal; nil when there is none. A hurried look past the cache is given up soon.
func (g *observer) claim(
	ctx context.Context, rha *v1alpha1.RedisHA, ordinal int, pod string, hurried bool,
) (*corev1.PersistentVolumeClaim, error) {
	key := client.ObjectKey{Namespace: rha.Namespace, Name: resources.ClaimName(rha.Name, ordinal)}
	claim := &corev1.PersistentVolumeClaim{}
	err := g.client.Get(ctx, key, claim)
	if apierrors.IsNotFound(err) {
		if hurried {
			limited, cancel := context.WithTimeout(ctx, lookWithin)
			defer cancel()
			ctx = limited
		}
		claim, err = g.lookUpClaim(ctx, key, pod)
	}
	if err != nil {
		return nil, fmt.Errorf("reading claim %s: %w", key.Name, err)
	}
	return claim, nil
}

// fromBefore reports a claim that was not made for this RedisHA by its StatefulSet, or not empty: a person or a backup
// tool has made it, or another RedisHA of that name has left it. A StatefulSet of an earlier version of the operator
// does not tell; then the label and the time of its creation, in whole seconds, do.
func fromBefore(rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, claim *corev1.PersistentVolumeClaim) bool {
	if claim.Spec.DataSource != nil || claim.Spec.DataSourceRef != nil {
		return true
	}
	for _, template := range sts.Spec.VolumeClaimTemplates {
		if _, tells := template.Annotations[v1alpha1.AnnotationMadeFor]; !tells {
			return claim.Labels[v1alpha1.LabelName] != rha.Name || claim.CreationTimestamp.Before(&rha.CreationTimestamp)
		}
	}
	return claim.Annotations[v1alpha1.AnnotationMadeFor] != string(rha.UID)
}

// unlistedClaim is a claim that the cache does not show, because it is not there or lacks the label of the set: a claim
// that a person has restored has whatever labels that person gave it.
type unlistedClaim struct {
	pod           string // UID of the pod that had it; one that comes is a reason to look again
	first, looked time.Time
	claim         *corev1.PersistentVolumeClaim // nil: there is none
}

// Bounds of the time between two looks at a claim past the cache; sets that wait for long are looked at less and less
// often.
const (
	claimLookLeast = time.Second
	claimLookMost  = 30 * time.Second
)

// lookWithin bounds a look past the cache that a failover may wait for.
const lookWithin = 100 * time.Millisecond

// due reports whether it is time to look again.
func (c unlistedClaim) due(now time.Time, pod string) bool {
	pause := min(max(c.looked.Sub(c.first)/2, claimLookLeast), claimLookMost)
	return c.pod != pod || now.Sub(c.looked) >= pause
}

// lookUpClaim reads a claim past the cache; nil when there is none.
func (g *observer) lookUpClaim(
	ctx context.Context, name client.ObjectKey, pod string,
) (*corev1.PersistentVolumeClaim, error) {
	now := g.clock.Now()
	last, looked := g.seen.volumes[name.Name]
	if looked && !last.due(now, pod) {
		return last.claim, nil
	}
	claim := &corev1.PersistentVolumeClaim{}
	err := g.effects.reader.Get(ctx, name, claim)
	if apierrors.IsNotFound(err) {
		claim, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	seen := unlistedClaim{pod: pod, first: now, looked: now, claim: claim}
	if looked && last.pod == pod {
		seen.first = last.first
	}
	if g.seen.volumes == nil {
		g.seen.volumes = map[string]unlistedClaim{}
	}
	g.seen.volumes[name.Name] = seen
	return claim, nil
}
