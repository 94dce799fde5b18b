// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/resources"
)

// aMachine is a Kubernetes node that has long been ready.
func aMachine(name, zone string) *corev1.Node {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
	if zone != "" {
		node.Labels[corev1.LabelTopologyZone] = zone
	}
	return node
}

// placedPod is a ready pod of the newest template on a machine, as the builders make it.
func placedPod(ordinal int, machine string) corev1.Pod {
	pod := controllertest.RunningPod(resources.PodName("shop", ordinal), "new")
	pod.UID = types.UID("uid-" + pod.Name)
	for key, value := range resources.SelectorLabels("shop") {
		pod.Labels[key] = value
	}
	pod.Spec = resources.StatefulSet(controllertest.Shop(nil), 1).Spec.Template.Spec
	pod.Spec.NodeName = machine
	return pod
}

// placed is a set that is well, with a pod on each of the machines, in that order; the first is master.
func placed(machinesOf ...string) spread {
	r := aRollout(nil)
	r.rha.Spec.Replicas = ptr.To(int32(len(machinesOf)))
	r.sts.Spec.Replicas = r.rha.Spec.Replicas
	r.pods = nil
	s := spread{placement: placement{machines: machines{under: map[string]*corev1.Node{}}}, moves: map[string]move{}}
	for ordinal, machine := range machinesOf {
		r.pods = append(r.pods, placedPod(ordinal, machine))
		role, link := v1alpha1.RoleReplica, v1alpha1.LinkUp
		if ordinal == 0 {
			role, link = v1alpha1.RoleMaster, ""
		}
		inStatus(&r, ordinal, role, link)
		s.machines.under[machine] = aMachine(machine, "")
	}
	r.rha.Status.Master.PodUID = string(r.pods[0].UID)
	s.rollout = r
	return s
}

func (s *spread) addFree(name string) {
	s.machines.free = append(s.machines.free, aMachine(name, ""))
}

func (s *spread) zone(machine, zone string) { s.machines.under[machine] = aMachine(machine, zone) }

func (s *spread) link(ordinal int, link string) { s.rha.Status.Nodes[ordinal].Link = link }

func TestTheConditionSaysWhichMachineTheSetDoesNotSurvive(t *testing.T) {
	tests := map[string]struct {
		on     []string
		change func(*spread)
		status metav1.ConditionStatus // empty: what was said before stays
		reason string
		says   []string
		not    string
	}{
		"three on three": {on: []string{"w1", "w2", "w3"}, status: metav1.ConditionTrue, reason: v1alpha1.ReasonNodesSpread},
		"two on two":     {on: []string{"w1", "w2"}, status: metav1.ConditionTrue, reason: v1alpha1.ReasonNodesSpread},
		"three on two, and nothing free": {
			on: []string{"w1", "w2", "w2"}, status: metav1.ConditionTrue, reason: v1alpha1.ReasonNodesSpread,
		},
		"two replicas together though a machine is free": {
			on:     []string{"w1", "w2", "w2"},
			change: func(s *spread) { s.addFree("w3") },
			status: metav1.ConditionTrue,
			reason: v1alpha1.ReasonNodesStacked,
			says: []string{
				"shop-1 and shop-2 run on w2 although another machine is free",
				"the loss of w2 leaves shop-0 (master) alone",
			},
			not: "w3",
		},
		"the master and a replica together though a machine is free": {
			on: []string{"w1", "w2", "w1"}, change: func(s *spread) { s.addFree("w3") },
			status: metav1.ConditionTrue, reason: v1alpha1.ReasonNodesStacked,
			says: []string{"shop-0 (master) and shop-2 run on w1 although", "the loss of w1 leaves shop-1 alone"},
		},
		"stacked, and enough elsewhere": {
			on:     []string{"w1", "w2", "w3", "w3"},
			change: func(s *spread) { s.addFree("w4") },
			status: metav1.ConditionTrue,
			reason: v1alpha1.ReasonNodesStacked,
			says:   []string{"shop-2 and shop-3 run on w3"},
			not:    "alone",
		},
		"stacked with disks": {
			on: []string{
				"w1",
				"w2",
				"w2",
			},
			change: func(s *spread) { s.addFree("w3"); s.rha.Spec.Storage = &v1alpha1.StorageSpec{} },
			status: metav1.ConditionTrue,
			reason: v1alpha1.ReasonNodesStacked,
			says:   []string{"pods with spec.storage are not moved"},
		},
		"all on one": {
			on: []string{"w1", "w1", "w1"}, status: metav1.ConditionFalse, reason: v1alpha1.ReasonAllOnOneMachine,
			says: []string{"shop-0 (master) and every replica in sync run on w1; the loss of w1 is not survived"},
		},
		"a pair on one, with disks, and a machine is free": {
			on: []string{"w1", "w1"}, change: func(s *spread) { s.addFree("w2"); s.rha.Spec.Storage = &v1alpha1.StorageSpec{} },
			status: metav1.ConditionFalse, reason: v1alpha1.ReasonAllOnOneMachine,
			says: []string{"another machine is free, and pods with spec.storage are not moved"},
		},
		"the replica elsewhere is not in sync": {
			on: []string{"w1", "w1", "w2"}, change: func(s *spread) { s.link(2, v1alpha1.LinkDown) },
			status: metav1.ConditionFalse, reason: v1alpha1.ReasonAllOnOneMachine, says: []string{"on w1"},
		},
		"the replica elsewhere leaves": {
			on:     []string{"w1", "w1", "w2"},
			change: func(s *spread) { s.pods[2].DeletionTimestamp = ptr.To(metav1.Now()) },
			status: metav1.ConditionFalse, reason: v1alpha1.ReasonAllOnOneMachine,
		},
		"of the replica elsewhere nothing was heard yet": {
			on: []string{"w1", "w1", "w2"}, change: func(s *spread) { s.pods[2].UID = "another" },
			status: metav1.ConditionFalse, reason: v1alpha1.ReasonAllOnOneMachine,
		},
		"several zones, and those in sync are in one": {
			on: []string{"w1", "w2", "w3"}, change: func(s *spread) {
				s.zone("w1", "a")
				s.zone("w2", "a")
				s.zone("w3", "b")
				s.link(2, v1alpha1.LinkDown)
			},
			status: metav1.ConditionFalse, reason: v1alpha1.ReasonAllInOneZone,
			says: []string{"run in zone a; the loss of zone a is not survived"},
		},
		"several zones": {
			on: []string{"w1", "w2", "w3"}, change: func(s *spread) {
				s.zone("w1", "a")
				s.zone("w2", "a")
				s.zone("w3", "b")
			},
			status: metav1.ConditionTrue, reason: v1alpha1.ReasonNodesSpread,
		},
		"no replica in sync": {
			on: []string{"w1", "w2"}, change: func(s *spread) { s.link(1, v1alpha1.LinkDown) },
			status: metav1.ConditionFalse, reason: v1alpha1.ReasonNoReplica, says: []string{"shop-0"},
		},
		"a single pod": {on: []string{"w1"}, status: metav1.ConditionFalse, reason: v1alpha1.ReasonSingleNode},
		"while a failover runs, what was said stays": {
			on: []string{"w1", "w1"}, change: func(s *spread) { s.rha.Status.Failover.State = v1alpha1.StatePromoting },
		},
		"before there is a master": {on: []string{"w1", "w1"}, change: func(s *spread) { s.rha.Status.Master = nil }},
		"while the master's pod is another one": {
			on: []string{"w1", "w1"}, change: func(s *spread) { s.pods[0].UID = "another" },
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := placed(tc.on...)
			if tc.change != nil {
				tc.change(&s)
			}
			got := s.survival()
			if got == nil {
				got = &metav1.Condition{}
			}
			if got.Status != tc.status || got.Reason != tc.reason {
				t.Errorf("%s, %s: %s; want %s, %s", got.Status, got.Reason, got.Message, tc.status, tc.reason)
			}
			for _, part := range tc.says {
				if !strings.Contains(got.Message, part) {
					t.Errorf("%q does not say %q", got.Message, part)
				}
			}
			if tc.not != "" && strings.Contains(got.Message, tc.not) {
				t.Errorf("%q says %q", got.Message, tc.not)
			}
		})
	}
}
