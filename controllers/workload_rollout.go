package controllers

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
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
}

// replaceable are the pods to delete now, so that the StatefulSet creates them
// anew from its current template, and what the others wait for. It is pure.
//
// One at a time, replicas from the highest ordinal down and the master last, each
// only while every other node is ready and no failover is in progress. An outdated
// pod that runs no Redis guards nothing and is replaced at once, and so are all
// before the first promotion: a bad image must not wedge the good one after it.
func (r rollout) replaceable() ([]corev1.Pod, podProgress) {
	if r.sts.Status.ObservedGeneration < r.sts.Generation {
		return nil, podProgress{v1alpha1.ReasonRollingOut, "waiting for the StatefulSet controller"}
	}
	outdated := r.outdated()
	if len(outdated) == 0 {
		return nil, r.settling()
	}
	if idle := r.idle(outdated); len(idle) > 0 {
		return idle, podProgress{v1alpha1.ReasonRollingOut, "replacing " + podNames(idle) + ", where no data is served"}
	}
	if r.rha.Spec.Failover.Mode == v1alpha1.ModePaused {
		return nil, podProgress{v1alpha1.ReasonRolloutPaused, podNames(outdated) + " outdated; spec.failover.mode is Paused"}
	}
	return r.next(outdated)
}

// next picks one of the outdated pods, all of which run.
func (r rollout) next(outdated []corev1.Pod) ([]corev1.Pod, podProgress) {
	candidate := r.pick(outdated)
	if waiting := r.unreadyBeside(candidate.Name); waiting != "" {
		return nil, podProgress{
			v1alpha1.ReasonWaitingForNodes,
			fmt.Sprintf("%d outdated, next is %s; waiting for %s", len(outdated), candidate.Name, waiting),
		}
	}
	if failover := r.rha.Status.Failover; failover == nil || failover.State != v1alpha1.StateStable {
		return nil, podProgress{
			v1alpha1.ReasonWaitingForNodes,
			fmt.Sprintf("%d outdated, next is %s; waiting for the failover state Stable", len(outdated), candidate.Name),
		}
	}
	if candidate.Name == r.master() && ptr.Deref(r.sts.Spec.Replicas, 1) > 1 {
		return nil, podProgress{
			v1alpha1.ReasonWaitingForHandover,
			candidate.Name + " is outdated and master; waiting for the handover",
		}
	}
	return []corev1.Pod{candidate}, podProgress{
		v1alpha1.ReasonRollingOut,
		fmt.Sprintf("replacing %s, %d outdated", candidate.Name, len(outdated)),
	}
}

// pick prefers pods that are not ready, then the highest ordinal; the master comes last.
func (r rollout) pick(outdated []corev1.Pod) corev1.Pod {
	best := outdated[0]
	for _, pod := range outdated[1:] {
		switch {
		case best.Name == r.master():
			best = pod
		case pod.Name == r.master(), podReady(&best) != podReady(&pod) && podReady(&pod):
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
		if pod := &r.pods[i]; pod.DeletionTimestamp.IsZero() && isOutdated(r.rha, r.sts, pod) {
			outdated = append(outdated, *pod)
		}
	}
	return outdated
}

// idle are those that can be replaced without asking anybody: they run no Redis,
// or there has never been a master and they are not ready. (A ready pod without a
// recorded master means that the status was lost, not that there is no data.)
func (r rollout) idle(outdated []corev1.Pod) []corev1.Pod {
	var idle []corev1.Pod
	for _, pod := range outdated {
		if !runsRedis(&pod) || r.rha.Status.Master == nil && !podReady(&pod) {
			idle = append(idle, pod)
		}
	}
	return idle
}

// unreadyBeside names a node, other than the one given, that is missing, leaving
// or not in sync; empty when all are in sync.
func (r rollout) unreadyBeside(except string) string {
	byName := map[string]*corev1.Pod{}
	for i := range r.pods {
		byName[r.pods[i].Name] = &r.pods[i]
	}
	for ordinal := range int(ptr.Deref(r.sts.Spec.Replicas, 1)) {
		name := resources.PodName(r.rha.Name, ordinal)
		if pod := byName[name]; name != except && (pod == nil || !pod.DeletionTimestamp.IsZero() || !r.inSync(pod)) {
			return name
		}
	}
	return ""
}

// settling describes a set without outdated pods.
func (r rollout) settling() podProgress {
	wanted, have := resources.Replicas(r.rha), ptr.Deref(r.sts.Spec.Replicas, 1)
	switch {
	case have > wanted && r.leavingMaster():
		return podProgress{v1alpha1.ReasonWaitingForHandover, r.master() + " leaves and is master; waiting for the handover"}
	case have > wanted && r.replicas() == have:
		return podProgress{v1alpha1.ReasonWaitingForNodes, fmt.Sprintf("to go from %d pods to %d; waiting for those that stay to be in sync", have, wanted)}
	case have != wanted || len(r.pods) > int(wanted):
		return podProgress{v1alpha1.ReasonScaling, fmt.Sprintf("from %d pods to %d", len(r.pods), wanted)}
	}
	if waiting := r.unreadyBeside(""); waiting != "" {
		return podProgress{v1alpha1.ReasonCreating, "waiting for " + waiting + " to be ready"}
	}
	return podProgress{v1alpha1.ReasonUpToDate, "every pod runs what the spec wants"}
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
	return ok && ordinal >= int(resources.Replicas(r.rha))
}

// replicas is what the StatefulSet shall have: the spec's, except that a
// scale-down waits until the master's pod stays, no failover is in progress, and
// those that stay hold the data as well: whoever goes may be the last one that does.
func (r rollout) replicas() int32 {
	wanted := resources.Replicas(r.rha)
	if r.sts == nil {
		return wanted
	}
	have := ptr.Deref(r.sts.Spec.Replicas, 1)
	if wanted >= have || r.rha.Status.Master == nil {
		return wanted
	}
	failover := r.rha.Status.Failover
	if r.leavingMaster() || failover == nil || failover.State != v1alpha1.StateStable || !r.redundantBelow(int(wanted)) {
		return have
	}
	return wanted
}

// redundantBelow: of the replicas that stay at least one is in sync; under Strict, which counts on every one of them, all are. A pod that
// will never start must not keep others from leaving, or nobody could make room for it.
func (r rollout) redundantBelow(wanted int) bool {
	ready, staying := 0, 0
	for i := range r.pods {
		pod := &r.pods[i]
		if ordinal, ok := resources.Ordinal(r.rha.Name, pod.Name); !ok || ordinal >= wanted || pod.Name == r.master() {
			continue
		}
		staying++
		if pod.DeletionTimestamp.IsZero() && r.inSync(pod) {
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

// inSync says whether a pod serves as master or follows it. Readiness alone does not: a process that was started anew inside its
// container leaves the pod ready until the next probes.
func (r rollout) inSync(pod *corev1.Pod) bool {
	for _, n := range r.rha.Status.Nodes {
		if n.PodUID != "" && n.PodUID == string(pod.UID) && n.Role != v1alpha1.RoleMaster && n.Link != linkUp {
			return false
		}
	}
	return podReady(pod)
}

// runsRedis says whether the Redis container of the pod is running.
func runsRedis(pod *corev1.Pod) bool {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == resources.RedisContainer {
			return status.State.Running != nil
		}
	}
	return false
}

func podReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
