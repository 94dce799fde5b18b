// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/maintenance"
	"github.com/redisha/redisha/controllers/podstate"
	"github.com/redisha/redisha/controllers/resources"
)

// podProgress says what the pods are waiting for: a reason of the condition
// Progressing and a sentence. The zero value means it is not known.
type podProgress struct {
	reason  string
	message string
}

// rollout is what the decision which pods to replace depends on.
type rollout struct {
	rha  *v1alpha1.RedisHA
	sts  *appsv1.StatefulSet
	pods []corev1.Pod // by ordinal
	now  time.Time
	// persists: the Redis at ordinal 0 writes what it has to its volume; asked of a set that is to hibernate only.
	persists bool
}

// replaceable are the pods to delete now, so that the StatefulSet creates them
// anew from its current template, and what the others wait for. It is pure.
//
// One at a time: replicas whose Redis does not serve first, then from the highest
// ordinal down, and the master last. Each only when every pod that has the change
// already is well and stays so, every other Redis serves, and no failover is in
// progress. An outdated pod that runs no Redis guards nothing and is replaced at
// once, and so are all before the first promotion: a bad spec must not wedge the
// good one after it.
func (r rollout) replaceable() ([]corev1.Pod, podProgress) {
	if r.sts.Status.ObservedGeneration < r.sts.Generation {
		return nil, podProgress{v1alpha1.ReasonRollingOut, "waiting for the StatefulSet controller"}
	}
	all := r.outdated()
	if len(all) == 0 || r.have() == 0 {
		return nil, r.settling()
	}
	outdated := slices.DeleteFunc(slices.Clone(all), func(pod corev1.Pod) bool {
		return !podstate.IsDue(r.rha, r.sts, &pod) || r.isHeld(&pod)
	})
	if len(outdated) == 0 {
		return nil, r.left(all)
	}
	if idle := r.idle(outdated); len(idle) > 0 {
		return idle, podProgress{v1alpha1.ReasonRollingOut, "replacing " + podNames(idle) + ", where no data is served"}
	}
	if r.rha.Spec.Failover.Mode == v1alpha1.ModePaused {
		return nil, podProgress{v1alpha1.ReasonRolloutPaused, podNames(outdated) + " outdated; spec.failover.mode is Paused"}
	}
	return r.next(outdated)
}

// left is what a person, or the next maintenance window, is waited for: none of the outdated pods is replaced before
// without being asked for.
func (r rollout) left(outdated []corev1.Pod) podProgress {
	if r.rha.Spec.UpdateStrategy.Type == v1alpha1.UpdateOnDelete {
		return podProgress{v1alpha1.ReasonWaitingForDeletion, fmt.Sprintf(
			"%s outdated; spec.updateStrategy.type is OnDelete: delete a pod, or request a restart of all", podNames(outdated),
		)}
	}
	if pod := r.unproven(); pod != nil {
		return r.doubt(pod)
	}
	if waiting := r.lacking(r.master(), r.serves); waiting != "" {
		return podProgress{v1alpha1.ReasonWaitingForNodes, "waiting for " + waiting}
	}
	if r.rha.Spec.UpdateStrategy.Type != v1alpha1.UpdateSupervised {
		return r.held("is outdated")
	}
	return podProgress{v1alpha1.ReasonWaitingForApproval, fmt.Sprintf(
		"master %s is outdated; spec.updateStrategy.type is Supervised: %s when it suits", r.master(), r.remedy(),
	)}
}

// remedy is what has the master replaced at once.
func (r rollout) remedy() string {
	if ptr.Deref(r.sts.Spec.Replicas, 1) == 1 {
		return "request a restart"
	}
	return "request a switchover"
}

// isHeld reports a pod that is not to be moved before the next maintenance window.
func (r rollout) isHeld(pod *corev1.Pod) bool { return podstate.IsHeld(r.rha, r.sts, pod, r.now) }

// held says until when the master stays, though it is to go.
func (r rollout) held(because string) podProgress {
	windows, err := maintenance.At(r.rha.Spec.MaintenanceWindows, r.now)
	until := "the next maintenance window begins at " + windows.Opens.UTC().Format("2006-01-02 15:04 UTC")
	if err != nil {
		until = fmt.Sprintf("no maintenance window comes, because of %v", err)
	}
	return podProgress{v1alpha1.ReasonWaitingForMaintenanceWindow, fmt.Sprintf(
		"master %s %s; %s: to have it now, %s, or remove spec.maintenanceWindows", r.master(), because, until, r.remedy(),
	)}
}

// next picks one of the outdated pods, all of which run.
func (r rollout) next(outdated []corev1.Pod) ([]corev1.Pod, podProgress) {
	candidate := r.pick(outdated)
	if progress := r.holds(&candidate); progress.reason != "" {
		progress.message = fmt.Sprintf("%d outdated, next is %s; %s", len(outdated), candidate.Name, progress.message)
		return nil, progress
	}
	if candidate.Name == r.master() && ptr.Deref(r.sts.Spec.Replicas, 1) > 1 {
		return nil, podProgress{
			v1alpha1.ReasonWaitingForSwitchover,
			candidate.Name + " is outdated and master; waiting for the switchover",
		}
	}
	return []corev1.Pod{candidate}, podProgress{
		v1alpha1.ReasonRollingOut,
		fmt.Sprintf("replacing %s, %d outdated", candidate.Name, len(outdated)),
	}
}

// holds is what a pod that runs has to wait for; the zero value when it may be replaced. A replica whose Redis does not
// serve holds nothing that its master does not have, so it waits for no other, except that a master has to serve.
func (r rollout) holds(candidate *corev1.Pod) podProgress {
	if pod := r.unproven(); pod != nil {
		return r.doubt(pod)
	}
	if failover := r.rha.Status.Failover; failover == nil || failover.State != v1alpha1.StateStable {
		return podProgress{v1alpha1.ReasonWaitingForNodes, "waiting for the failover state Stable"}
	}
	wanted := r.serves
	if r.broken(candidate) {
		wanted = func(pod *corev1.Pod) bool { return pod.Name != r.master() || r.serves(pod) }
	}
	if waiting := r.lacking(candidate.Name, wanted); waiting != "" {
		return podProgress{v1alpha1.ReasonWaitingForNodes, "waiting for " + waiting}
	}
	return podProgress{}
}

// broken reports a replica whose Redis the kubelet calls not ready. That its link is down is not enough: the links of
// all are, in the moment in which the master is lost, and one of them is the next.
func (r rollout) broken(pod *corev1.Pod) bool {
	return r.master() != "" && pod.Name != r.master() && !redisReady(pod)
}

// pick prefers replicas whose Redis does not serve, then the highest ordinal; the master comes last.
func (r rollout) pick(outdated []corev1.Pod) corev1.Pod {
	best := outdated[0]
	for _, pod := range outdated[1:] {
		switch {
		case best.Name == r.master():
			best = pod
		case pod.Name == r.master(), r.broken(&best) && !r.broken(&pod):
		default:
			best = pod
		}
	}
	return best
}

// outdated are the outdated pods that are not being deleted yet.
func (r rollout) outdated() []corev1.Pod {
	var outdated []corev1.Pod
	for i := range r.pods {
		if pod := &r.pods[i]; pod.DeletionTimestamp.IsZero() && podstate.IsOutdated(r.rha, r.sts, pod) {
			outdated = append(outdated, *pod)
		}
	}
	return outdated
}

// idle are those that can be replaced without asking anybody: they run no Redis,
// or there has never been a master and their Redis is not ready. (A Redis that is
// ready, without a recorded master, means that the status was lost, not that there
// is no data; so does a pod that was told its role.) While it is not known that the
// change is good, a pod that only is being started, or started anew, is left to come
// back as it was.
func (r rollout) idle(outdated []corev1.Pod) []corev1.Pod {
	var idle []corev1.Pod
	doubtful := r.doubtful()
	for _, pod := range outdated {
		gone := !podstate.RedisRuns(&pod) && (!doubtful || stuck(&pod))
		if gone || !r.everPromoted() && !redisReady(&pod) {
			idle = append(idle, pod)
		}
	}
	return idle
}

// doubtful reports a set in which a pod that has the change is not well, or is to come.
func (r rollout) doubtful() bool {
	return r.unproven() != nil || r.lacking("", func(*corev1.Pod) bool { return true }) != ""
}

// everPromoted reports a set that has had a master. The labels of the pods tell what a lost status does not.
func (r rollout) everPromoted() bool {
	return r.rha.Status.Master != nil ||
		slices.ContainsFunc(r.pods, func(pod corev1.Pod) bool { return pod.Labels[v1alpha1.LabelRole] != "" })
}

// lacking names a node, other than the one given, that is missing, leaving or not
// as wanted; empty when all are.
func (r rollout) lacking(except string, wanted func(*corev1.Pod) bool) string {
	byName := map[string]*corev1.Pod{}
	for i := range r.pods {
		byName[r.pods[i].Name] = &r.pods[i]
	}
	for ordinal := range int(ptr.Deref(r.sts.Spec.Replicas, 1)) {
		name := resources.PodName(r.rha.Name, ordinal)
		if pod := byName[name]; name != except && (pod == nil || !pod.DeletionTimestamp.IsZero() || !wanted(pod)) {
			return name
		}
	}
	return ""
}

// settling describes a set without outdated pods.
func (r rollout) settling() podProgress {
	wanted, have := r.target(), r.have()
	switch {
	case have > wanted && r.leavingMaster():
		return r.leaving()
	case have > wanted && r.replicas() == have:
		return podProgress{
			v1alpha1.ReasonWaitingForNodes,
			fmt.Sprintf(
				"to go from %d pods to %d; waiting for those that stay to be in sync", have, resources.Replicas(r.rha),
			),
		}
	case have != wanted || len(r.pods) > int(wanted):
		return podProgress{
			v1alpha1.ReasonScaling, fmt.Sprintf("from %d pods to %d", len(r.pods), resources.Replicas(r.rha)),
		}
	}
	if resources.Hibernates(r.rha) {
		return r.hibernating()
	}
	if progress := r.resizing(); progress.reason != "" {
		return progress
	}
	ready := func(pod *corev1.Pod) bool { return podstate.IsReady(pod) && r.serves(pod) }
	if waiting := r.lacking("", ready); waiting != "" {
		return podProgress{v1alpha1.ReasonCreating, "waiting for " + waiting + " to be ready"}
	}
	return podProgress{v1alpha1.ReasonUpToDate, "every pod runs what the spec wants"}
}

// leaving is what a master is waited for that the spec has no place for.
func (r rollout) leaving() podProgress {
	if slices.ContainsFunc(r.pods, func(pod corev1.Pod) bool { return r.isHeld(&pod) }) {
		return r.held("will be removed")
	}
	return podProgress{
		v1alpha1.ReasonWaitingForSwitchover,
		r.master() + " will be removed and is master; waiting for the switchover",
	}
}

func (r rollout) master() string {
	if r.rha.Status.Master == nil {
		return ""
	}
	return r.rha.Status.Master.Pod
}

// leavingMaster: the master's pod is one that the spec has no place for.
func (r rollout) leavingMaster() bool {
	ordinal, ok := resources.Ordinal(r.rha.Name, r.master())
	return ok && ordinal >= int(max(1, resources.Replicas(r.rha)))
}

// replicas is what the StatefulSet shall have: the spec's, except that a
// scale-down waits until the master's pod stays, no failover is in progress, and
// those that stay hold the data as well: whoever goes may be the last one that does.
func (r rollout) replicas() int32 {
	wanted, have := r.target(), r.have()
	switch {
	case wanted >= have, wanted == 0: // the last one has been waited for
		return wanted
	case r.rha.Status.Master == nil && resources.Hibernates(r.rha): // there was one
		return have
	case r.rha.Status.Master == nil:
		return wanted
	}
	failover := r.rha.Status.Failover
	if r.leavingMaster() || failover == nil || failover.State != v1alpha1.StateStable || !r.redundantBelow(int(wanted)) {
		return have
	}
	return wanted
}

// redundantBelow: of the replicas that stay at least one is in sync; under Strict, which counts on every one of them,
// all are. A pod that will never start must not keep others from leaving, or no room could be made for it.
func (r rollout) redundantBelow(wanted int) bool {
	ready, staying := 0, 0
	for i := range r.pods {
		pod := &r.pods[i]
		if ordinal, ok := resources.Ordinal(r.rha.Name, pod.Name); !ok || ordinal >= wanted || pod.Name == r.master() {
			continue
		}
		staying++
		if pod.DeletionTimestamp.IsZero() && r.serves(pod) {
			ready++
		}
	}
	switch {
	case wanted < 2:
		return true
	case r.rha.Spec.Failover.Consistency == v1alpha1.ConsistencyStrict:
		return staying == wanted-1 && ready == staying
	}
	return ready > 0
}

// serves says whether the Redis of a pod serves as master or follows it, whatever runs beside it. Readiness alone does
// not: a process that was started anew inside its container leaves it ready until the next probes.
func (r rollout) serves(pod *corev1.Pod) bool {
	for _, n := range r.rha.Status.Nodes {
		if n.PodUID != "" && n.PodUID == string(pod.UID) && n.Role != v1alpha1.RoleMaster && n.Link != v1alpha1.LinkUp {
			return false
		}
	}
	return redisReady(pod)
}
