// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"context"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/scenes"
	"github.com/redisha/redisha/failover"
)

// cordon makes nodes unschedulable while the scene goes on, and returns what makes them schedulable again.
func (s *scene) cordon(nodes ...string) (uncordon func()) {
	s.t.Helper()
	s.fault()
	return cordon(s.t, nodes...)
}

// cordon makes nodes unschedulable, as kubectl cordon does, and returns what makes them schedulable again; that happens
// in any case.
func cordon(t *testing.T, nodes ...string) (uncordon func()) {
	t.Helper()
	return patchNodes(t, `{"spec":{"unschedulable":true}}`, `{"spec":{"unschedulable":false}}`, nodes...)
}

// patchNodes patches the nodes, and undoes it when the function that it returns is called, or the test ends.
func patchNodes(t *testing.T, do, undo string, nodes ...string) (undone func()) {
	t.Helper()
	patch := func(patch string) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for _, name := range nodes {
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
			if err := bed.Client.Patch(ctx, node, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
				t.Error(err)
			}
		}
	}
	undone = sync.OnceFunc(func() { patch(undo) })
	t.Cleanup(undone)
	patch(do)
	return undone
}

func TestACordonedNodeIsLeftWithoutLoss(t *testing.T) {
	begin(t, "master's node cordoned", v1alpha1.RedisHASpec{}).MasterNodeIsLeft(func(node string) error {
		cordon(t, node)
		return nil
	})
}

// The cluster autoscaler does not make a node unschedulable that it removes.
func TestANodeThatAnAutoscalerHasChosenIsLeftWithoutLoss(t *testing.T) {
	begin(t, "master's node tainted for removal", v1alpha1.RedisHASpec{}).MasterNodeIsLeft(func(node string) error {
		patchNodes(
			t, `{"spec":{"taints":[{"key":"ToBeDeletedByClusterAutoscaler","value":"1","effect":"NoSchedule"}]}}`,
			`{"spec":{"taints":null}}`, node,
		)
		return nil
	})
}

// All machines are upgraded: no replica is on one that stays, and the eviction waits for none.
func TestAMasterThatIsEvictedWhileEveryNodeIsCordonedIsLeftWithoutLoss(t *testing.T) {
	s := begin(t, "every node cordoned, master's pod evicted", v1alpha1.RedisHASpec{})
	nodes := []string{sandbox.NodeName(0), sandbox.NodeName(1), sandbox.NodeName(2)}
	last := s.MasterPod().Spec.NodeName // cordoned before the others, it would be left at once
	uncordon := s.cordon(append(slices.DeleteFunc(nodes, func(n string) bool { return n == last }), last)...)
	s.Refusal(string(failover.ReasonNoCandidate))
	if err := bed.Evict(s.Ctx, client.ObjectKeyFromObject(s.MasterPod())); err != nil {
		t.Fatal(err)
	}
	s.Promotion(v1alpha1.HistorySwitchover, string(failover.DiagnosisMasterTerminating))
	uncordon()
	s.end(0)
}

func TestAMasterWhosePodIsDeletedSwitchesOverFirst(t *testing.T) {
	begin(t, "master's pod deleted", v1alpha1.RedisHASpec{}).MasterPodIsDeleted()
}

func TestAMasterWhosePodIsDeletedByForceIsReplaced(t *testing.T) {
	begin(t, "master's pod deleted by force", v1alpha1.RedisHASpec{}).MasterPodIsDeletedByForce()
}

// dryRun asks what would be.
var dryRun = client.DryRunAll

func TestAPendingReplicaDoesNotHoldAFailoverUp(t *testing.T) {
	// Four pods that must not share a node, and three nodes.
	s := create(t, "one pod unschedulable, master killed", v1alpha1.RedisHASpec{
		Replicas: ptr.To[int32](4),
		PodTemplate: &v1alpha1.PodTemplateSpec{Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
				TopologyKey:   corev1.LabelHostname,
				LabelSelector: &metav1.LabelSelector{MatchLabels: resources.SelectorLabels("cache")},
			}},
		}}},
	})
	s.Before = s.Eventually("a master and two replicas", func(rha *v1alpha1.RedisHA) bool {
		attached := 0
		for _, n := range rha.Status.Nodes {
			if n.Link == "up" {
				attached++
			}
		}
		return rha.Status.Failover != nil && rha.Status.Failover.State == v1alpha1.StateStable && attached == 2
	})
	s.Condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonUnschedulable)
	s.Condition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, v1alpha1.ReasonUnschedulable)
	s.Condition(v1alpha1.ConditionFailoverPossible, metav1.ConditionTrue, v1alpha1.ReasonCandidateAvailable)
	s.write()
	s.Signal(s.Master(), syscall.SIGKILL)
	s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
	s.Epochs(s.Before, 1)
	s.scale(3) // there is room for that
	s.end(unreplicated)
}

func (s *scene) scale(replicas int32) {
	s.t.Helper()
	s.Change(func(rha *v1alpha1.RedisHA) { rha.Spec.Replicas = ptr.To(replicas) })
}

func TestAPairStaysWritableThroughTheLossOfEither(t *testing.T) {
	s := begin(t, "pair: replica killed, then master killed", v1alpha1.RedisHASpec{
		Replicas: ptr.To[int32](2), Auth: granted(),
	})
	s.minReplicas(s.Master(), "1")
	// The replica's container goes: its process alone would be back before the master can do without it.
	s.fault()
	if err := bed.Sandbox.SignalContainer(
		s.Key.Namespace, s.Replicas()[0], resources.RedisContainer, syscall.SIGKILL,
	); err != nil {
		t.Fatal(err)
	}
	s.minReplicas(s.Master(), "0")
	s.acknowledged(time.Now())
	s.Settle()
	s.Unmoved()
	s.minReplicas(s.Master(), "1")
	victim := s.Master()
	s.Signal(victim, syscall.SIGKILL)
	entry := s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
	s.acknowledged(time.Now())
	s.Settle()
	s.minReplicas(entry.To, "1")
	s.end(unreplicated)
	if s.row.gap > 5*time.Second {
		t.Errorf("no write for %s", s.row.gap)
	}
}

// minReplicas waits until a master demands so many replicas.
func (s *scene) minReplicas(pod, want string) {
	s.t.Helper()
	got := ""
	c := s.redis(pod)
	s.Eventually("min-replicas-to-write "+want+" at "+pod, func(*v1alpha1.RedisHA) bool {
		values, err := c.ConfigGet(s.Ctx, "min-replicas-to-write").Result()
		got = values["min-replicas-to-write"]
		return err == nil && got == want
	})
}
