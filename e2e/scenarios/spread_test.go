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
	uncordon := cordon(t, sandbox.NodeName(1), sandbox.NodeName(2))
	s := begin(t, "all on one node, then two more", v1alpha1.RedisHASpec{})
	s.condition(v1alpha1.ConditionSurvivesMachineLoss, metav1.ConditionFalse, v1alpha1.ReasonAllOnOneMachine)
	s.fault()
	uncordon()
	s.condition(v1alpha1.ConditionSurvivesMachineLoss, metav1.ConditionTrue, v1alpha1.ReasonNodesSpread)
	s.announced("PodMoved")
	s.end(0)
	s.unmoved()
	if s.row.gap > time.Second {
		t.Errorf("no write for %s", s.row.gap)
	}
	pods := &corev1.PodList{}
	if err := play.Client.List(s.ctx, pods, client.InNamespace(s.key.Namespace), client.MatchingLabels(resources.SelectorLabels(s.key.Name))); err != nil {
		t.Fatal(err)
	}
	on := map[string]string{}
	for _, pod := range pods.Items {
		if other, taken := on[pod.Spec.NodeName]; taken {
			t.Errorf("%s and %s both run on %s", pod.Name, other, pod.Spec.NodeName)
		}
		on[pod.Spec.NodeName] = pod.Name
	}
}
