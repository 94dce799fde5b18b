// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/conditions"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
)

// placement is where the pods of one RedisHA run.
type placement struct {
	rollout
	machines machines
}

// survival answers whether the set outlives the loss of the master's machine, or of its zone. It is nil while that
// cannot be told: while a failover runs, what was said before stays.
func (p placement) survival() *metav1.Condition {
	kind := v1alpha1.ConditionSurvivesMachineLoss
	say := func(is bool, reason, message string) *metav1.Condition {
		c := conditions.New(kind, is, reason, message)
		return &c
	}
	if resources.Hibernates(p.rha) && p.have() == 0 && len(p.pods) == 0 {
		return say(false, v1alpha1.ReasonHibernated, resources.HibernationMessage(p.rha))
	}
	if resources.Replicas(p.rha) == 1 {
		return say(false, v1alpha1.ReasonSingleNode, "spec.replicas is 1; the loss of the machine under it is not survived")
	}
	master := p.masterPod()
	if master == nil || !p.stable() {
		return nil
	}
	attached := p.attached()
	if len(attached) == 0 {
		return say(false, v1alpha1.ReasonNoReplica, "no replica is in sync with master "+master.Name)
	}
	if reason, place := p.together(master, attached); place != "" {
		return say(
			false,
			reason,
			fmt.Sprintf("%s (master) and every replica in sync run %s; the loss of %s is not survived%s",
				master.Name, preposition(reason)+place, place, p.unmoved("another machine is free, and ")),
		)
	}
	if stack := p.stack(); stack != nil && len(p.machines.free) > 0 {
		return say(true, v1alpha1.ReasonNodesStacked, p.stackMessage(stack))
	}
	return say(true, v1alpha1.ReasonNodesSpread, "a replica in sync runs on another machine than the master")
}

func preposition(reason string) string {
	if reason == v1alpha1.ReasonAllInOneZone {
		return "in "
	}
	return "on "
}

// stable reports that no failover is in progress.
func (p placement) stable() bool {
	return p.rha.Status.Failover != nil && p.rha.Status.Failover.State == v1alpha1.StateStable
}

// masterPod is the pod that the status names as master; nil while it has no machine or is not the same pod any more.
func (p placement) masterPod() *corev1.Pod {
	for i := range p.pods {
		if pod := &p.pods[i]; pod.Name == p.master() && string(pod.UID) == p.rha.Status.Master.PodUID &&
			pod.Spec.NodeName != "" {
			return pod
		}
	}
	return nil
}

// attached are the replicas that stay and are in sync, by what the failover controller has seen of them.
func (p placement) attached() []*corev1.Pod {
	var attached []*corev1.Pod
	for i := range p.pods {
		if pod := &p.pods[i]; pod.Name != p.master() && pod.DeletionTimestamp.IsZero() && p.follows(pod) {
			attached = append(attached, pod)
		}
	}
	return attached
}

// follows reports a pod that is known to be in sync. One that the failover controller has said nothing of is not.
func (p placement) follows(pod *corev1.Pod) bool {
	return redisReady(pod) && slices.ContainsFunc(p.rha.Status.Nodes, func(n v1alpha1.NodeStatus) bool {
		return n.PodUID != "" && n.PodUID == string(pod.UID) && n.Role == v1alpha1.RoleReplica && n.Link == v1alpha1.LinkUp
	})
}

// together is the place that the master shares with every replica in sync; empty when one of them runs elsewhere.
func (p placement) together(master *corev1.Pod, attached []*corev1.Pod) (reason, place string) {
	var nodes []failover.Node
	for i := range p.pods {
		nodes = append(nodes, p.node(&p.pods[i]))
	}
	home, sameMachine := p.node(master), true
	for _, pod := range attached {
		n := p.node(pod)
		if failover.Domain(nodes, n) != failover.Domain(nodes, home) {
			return "", ""
		}
		sameMachine = sameMachine && n.Machine == home.Machine
	}
	if sameMachine {
		return v1alpha1.ReasonAllOnOneMachine, home.Machine
	}
	return v1alpha1.ReasonAllInOneZone, "zone " + home.Zone
}

func (p placement) node(pod *corev1.Pod) failover.Node {
	n := failover.Node{Name: pod.Name, PodFacts: failover.PodFacts{Machine: pod.Spec.NodeName}}
	if under := p.machines.under[n.Machine]; under != nil {
		n.Zone = under.Labels[corev1.LabelTopologyZone]
	}
	return n
}

// stack are the pods of the machine whose loss costs most: the one that has the master, else the one that has most of
// the pods.
func (p placement) stack() []*corev1.Pod {
	var worst []*corev1.Pod
	on := shared(p.pods)
	for _, name := range slices.Sorted(maps.Keys(on)) {
		if p.hasMaster(on[name]) {
			return on[name]
		}
		if len(on[name]) > len(worst) {
			worst = on[name]
		}
	}
	return worst
}

func (p placement) hasMaster(pods []*corev1.Pod) bool {
	return slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { return pod.Name == p.master() })
}

func (p placement) stackMessage(stack []*corev1.Pod) string {
	machine := stack[0].Spec.NodeName
	message := fmt.Sprintf("%s run on %s although another machine is free", p.names(stack), machine)
	var left []*corev1.Pod
	for i := range p.pods {
		if pod := &p.pods[i]; pod.Spec.NodeName != machine && (pod.Name == p.master() || p.follows(pod)) {
			left = append(left, pod)
		}
	}
	if len(left) == 1 {
		message += fmt.Sprintf("; the loss of %s leaves %s alone", machine, p.names(left))
	}
	return message + p.unmoved("")
}

// names lists pods, and says which is master.
func (p placement) names(pods []*corev1.Pod) string {
	var names []string
	for _, pod := range pods {
		name := pod.Name
		if name == p.master() {
			name += " (master)"
		}
		names = append(names, name)
	}
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// unmoved says why pods that share a machine stay there, where the operator could do something about it and does not.
func (p placement) unmoved(although string) string {
	if len(p.machines.free) > 0 && p.rha.Spec.Storage != nil {
		return "; " + although + "pods with spec.storage are not moved"
	}
	return ""
}
