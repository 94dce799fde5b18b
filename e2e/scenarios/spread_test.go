// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/sandbox"
)

func TestPodsThatShareAMachineAreSpreadWithoutAnOutage(t *testing.T) {
	// While the replica of a pair is away, its master has to be told first that it may write alone.
	tests := map[string]struct {
		replicas int32
		gap      time.Duration
	}{
		"three on one node, then two more":  {3, time.Second},
		"a pair on one node, then two more": {2, 3 * time.Second},
	}
	for title, tc := range tests {
		t.Run(title, func(t *testing.T) {
			uncordon := cordon(t, sandbox.NodeName(1), sandbox.NodeName(2))
			s := begin(t, title, v1alpha1.RedisHASpec{Replicas: &tc.replicas})
			s.Condition(v1alpha1.ConditionSurvivesMachineLoss, metav1.ConditionFalse, v1alpha1.ReasonAllOnOneMachine)
			s.fault()
			uncordon()
			s.Condition(v1alpha1.ConditionSurvivesMachineLoss, metav1.ConditionTrue, v1alpha1.ReasonNodesSpread)
			s.Announced("PodMoved")
			s.end(0)
			s.Unmoved()
			if s.row.gap > tc.gap {
				t.Errorf("no write for %s, at most %s is meant", s.row.gap, tc.gap)
			}
			s.apart()
		})
	}
}

// apart checks that no two pods share a node.
func (s *scene) apart() {
	s.t.Helper()
	pods := &corev1.PodList{}
	if err := bed.Client.List(
		s.Ctx, pods, client.InNamespace(s.Key.Namespace), client.MatchingLabels(resources.SelectorLabels(s.Key.Name)),
	); err != nil {
		s.t.Fatal(err)
	}
	on := map[string]string{}
	for _, pod := range pods.Items {
		if other, taken := on[pod.Spec.NodeName]; taken {
			s.t.Errorf("%s and %s both run on %s", pod.Name, other, pod.Spec.NodeName)
		}
		on[pod.Spec.NodeName] = pod.Name
	}
}
