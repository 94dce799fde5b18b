// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
)

// This file is about a set with spec.replicas 0. It goes to one pod first, as with 1: the failover controller has the
// master switch over to it, the others go. The last one goes when all the data is on its volume, or will be when its
// Redis has ended.

// target is how many pods there are to be: those of the spec, but one for as long as the last one may not go.
func (r rollout) target() int32 {
	if resources.Hibernates(r.rha) && r.awake() != "" {
		return 1
	}
	return resources.Replicas(r.rha)
}

// have is how many pods the StatefulSet is to make; for want of one, how many it would have to take over.
func (r rollout) have() int32 {
	if r.sts != nil {
		return ptr.Deref(r.sts.Spec.Replicas, 1)
	}
	var have int32
	for i := range r.pods {
		if ordinal, ok := resources.Ordinal(r.rha.Name, r.pods[i].Name); ok {
			have = max(have, int32(ordinal)+1) //nolint:gosec // at most a handful of pods
		}
	}
	return have
}

// awake is what a set that is to hibernate waits for; empty when its last pods may go, or have gone. That of a set that
// has never had a master, or has none since it has hibernated, have taken no writes.
func (r rollout) awake() string {
	f := r.rha.Status.Failover
	switch {
	case r.have() == 0, !r.everPromoted() && (f == nil || !f.Internal.Initialized):
		return ""
	case r.rha.Spec.Failover.Mode == v1alpha1.ModePaused:
		return "spec.failover.mode is Paused"
	case f == nil:
		return "waiting for the failover controller"
	case f.State == v1alpha1.StateHibernated,
		f.State == v1alpha1.StateBootstrapping && f.Cause == string(failover.CauseWoken):
		return ""
	case f.State != v1alpha1.StateStable:
		return "waiting for the failover state Stable"
	}
	return r.last()
}

// last is what the last pod waits for: it is the master, alone, serves, and writes what it has to its volume.
func (r rollout) last() string {
	name := resources.PodName(r.rha.Name, 0)
	switch {
	case r.master() != name:
		return fmt.Sprintf("waiting for %s to be master", name)
	case r.have() > 1 || len(r.pods) > 1:
		return fmt.Sprintf("waiting for the pods beside %s to be gone", name)
	case len(r.pods) == 0, string(r.pods[0].UID) != r.rha.Status.Master.PodUID, !r.pods[0].DeletionTimestamp.IsZero(),
		!r.serves(&r.pods[0]):
		return fmt.Sprintf("waiting for %s to serve", name)
	}
	if !r.persists {
		return fmt.Sprintf("waiting for %s to write to its volume what would be lost: is the volume full?", name)
	}
	return ""
}

// persists reports that the Redis of the pod at ordinal 0 writes what it has to its volume, as far as it has said.
func (w *pass) persists() bool {
	if w.Persists == nil || !resources.Hibernates(w.rha) {
		return true
	}
	for _, node := range w.runningNodes() {
		if node.Pod == resources.PodName(w.rha.Name, 0) {
			return w.Persists(client.ObjectKeyFromObject(w.rha).String(), node, resources.HasAOF(w.rha))
		}
	}
	return false
}

// hibernating describes a set that hibernates, or has one pod left and is to.
func (r rollout) hibernating() podProgress {
	if waiting := r.awake(); waiting != "" {
		return podProgress{v1alpha1.ReasonScaling, fmt.Sprintf("to go from %d pods to 0; %s", r.have(), waiting)}
	}
	return podProgress{v1alpha1.ReasonHibernated, resources.HibernationMessage(r.rha)}
}
