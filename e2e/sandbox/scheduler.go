// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	schedulinghelpers "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// scheduler binds pods to nodes: never to one that is cordoned, tainted or excluded by selector, affinity or required
// anti-affinity, else to the one with the fewest pods of the same owner, then the fewest pods.
type scheduler struct {
	client kubernetes.Interface
	events record.EventRecorder
	log    *slog.Logger
	pods   corelisters.PodLister
	nodes  corelisters.NodeLister
	claims corelisters.PersistentVolumeClaimLister
	wake   chan struct{}
	bound  map[types.UID]string // bindings that the informer may not show yet
}

func newScheduler(
	client kubernetes.Interface, events record.EventRecorder, log *slog.Logger, factory informers.SharedInformerFactory,
) *scheduler {
	core := factory.Core().V1()
	s := &scheduler{
		client: client,
		events: events,
		log:    log,
		pods:   core.Pods().Lister(),
		nodes:  core.Nodes().Lister(),
		claims: core.PersistentVolumeClaims().Lister(),
		wake:   make(chan struct{}, 1),
		bound:  map[types.UID]string{},
	}
	for _, informer := range []cache.SharedIndexInformer{
		core.Pods().Informer(), core.Nodes().Informer(), core.PersistentVolumeClaims().Informer(),
	} {
		_, _ = informer.AddEventHandler(wakeOn(s.wake))
	}
	return s
}

// wakeOn makes a handler that says only that something changed.
func wakeOn(wake chan struct{}) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify(wake) },
		UpdateFunc: func(_, _ any) { notify(wake) },
		DeleteFunc: func(any) { notify(wake) },
	}
}

func (s *scheduler) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			if !s.scheduleAll(ctx) {
				time.AfterFunc(200*time.Millisecond, func() { notify(s.wake) })
			}
		}
	}
}

// scheduleAll returns false when a request failed and all should be tried again.
func (s *scheduler) scheduleAll(ctx context.Context) bool {
	pods, err := s.pods.List(labels.Everything())
	if err != nil {
		return false
	}
	current := map[types.UID]string{}
	for _, pod := range pods {
		if node := s.bound[pod.UID]; node != "" && pod.Spec.NodeName == "" {
			current[pod.UID] = node
		}
	}
	s.bound = current
	ok := true
	for _, pod := range pods {
		if pod.Spec.NodeName == "" && s.bound[pod.UID] == "" && pod.DeletionTimestamp == nil &&
			len(pod.Spec.SchedulingGates) == 0 {
			ok = s.schedule(ctx, pod, pods) && ok
		}
	}
	return ok
}

func (s *scheduler) schedule(ctx context.Context, pod *corev1.Pod, pods []*corev1.Pod) bool {
	ctx, cancel := requestContext(ctx)
	defer cancel()
	if claim := s.unboundClaim(pod); claim != "" {
		if time.Since(pod.CreationTimestamp.Time) < claimPatience {
			return false // most likely being provisioned
		}
		return s.reportUnschedulable(ctx, pod, "pod has unbound immediate PersistentVolumeClaims: "+claim) == nil
	}
	node, refusals := s.choose(pod, pods)
	if node == "" {
		slices.Sort(refusals) // the same message each time, as the real scheduler has it
		return s.reportUnschedulable(ctx, pod, strings.Join(refusals, ", ")) == nil
	}
	binding := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: node},
	}
	if err := s.client.CoreV1().Pods(pod.Namespace).Bind(ctx, binding, metav1.CreateOptions{}); err != nil {
		s.log.Warn("bind", "pod", binding.Name, "node", node, "error", err)
		return isGone(err)
	}
	s.bound[pod.UID] = node
	return true
}

// claimPatience is how long a claim may be unbound before the pod's status tells.
const claimPatience = 3 * time.Second

// unboundClaim returns the name of a claim that the pod uses and that has no volume yet.
func (s *scheduler) unboundClaim(pod *corev1.Pod) string {
	for _, volume := range pod.Spec.Volumes {
		if volume.PersistentVolumeClaim == nil {
			continue
		}
		name := volume.PersistentVolumeClaim.ClaimName
		if claim, err := s.claims.PersistentVolumeClaims(pod.Namespace).
			Get(name); err != nil ||
			claim.Status.Phase != corev1.ClaimBound {
			return name
		}
	}
	return ""
}

func (s *scheduler) choose(pod *corev1.Pod, pods []*corev1.Pod) (string, []string) {
	nodes, _ := s.nodes.List(labels.Everything())
	byName := map[string]*corev1.Node{}
	for _, node := range nodes {
		byName[node.Name] = node
	}
	best, bestScore := "", 0
	var refusals []string
	for _, node := range nodes {
		if reason := s.refusal(pod, node, pods, byName); reason != "" {
			refusals = append(refusals, node.Name+": "+reason)
			continue
		}
		score := s.crowding(pod, node, pods)
		if best == "" || score < bestScore || score == bestScore && node.Name < best {
			best, bestScore = node.Name, score
		}
	}
	return best, refusals
}

// crowding ranks nodes: the fewer pods the better, and one of the same owner outweighs any number of other pods.
func (s *scheduler) crowding(pod *corev1.Pod, node *corev1.Node, pods []*corev1.Pod) int {
	score := 0
	for _, other := range pods {
		if s.nodeOf(other) != node.Name || other.DeletionTimestamp != nil {
			continue
		}
		score++
		if sameOwner(pod, other) {
			score += 10000
		}
	}
	return score
}

func (s *scheduler) nodeOf(pod *corev1.Pod) string {
	if pod.Spec.NodeName != "" {
		return pod.Spec.NodeName
	}
	return s.bound[pod.UID]
}

func sameOwner(a, b *corev1.Pod) bool {
	x, y := metav1.GetControllerOf(a), metav1.GetControllerOf(b)
	return x != nil && y != nil && x.UID == y.UID
}

// refusal says why the pod can't run on the node, in the words of the real scheduler.
func (s *scheduler) refusal(
	pod *corev1.Pod, node *corev1.Node, pods []*corev1.Pod, nodes map[string]*corev1.Node,
) string {
	if node.Spec.Unschedulable {
		return "node(s) were unschedulable"
	}
	blocking := func(t *corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule }
	if taint, untolerated := schedulinghelpers.FindMatchingUntoleratedTaint(
		node.Spec.Taints, pod.Spec.Tolerations, blocking,
	); untolerated {
		return fmt.Sprintf("node(s) had untolerated taint {%s: %s}", taint.Key, taint.Value)
	}
	if match, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); err != nil || !match {
		return "node(s) didn't match Pod's node affinity/selector"
	}
	if s.repelled(pod, node, pods, nodes) {
		return "node(s) didn't match pod anti-affinity rules"
	}
	return ""
}

// repelled reports whether a pod that this one must not be near is in the same place as the node.
func (s *scheduler) repelled(
	pod *corev1.Pod, node *corev1.Node, pods []*corev1.Pod, nodes map[string]*corev1.Node,
) bool {
	if pod.Spec.Affinity == nil || pod.Spec.Affinity.PodAntiAffinity == nil {
		return false
	}
	for _, term := range pod.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
		selector, err := metav1.LabelSelectorAsSelector(term.LabelSelector)
		if err != nil { // the API server has checked it
			return true
		}
		for _, other := range pods {
			there := nodes[s.nodeOf(other)]
			if there != nil && other.Namespace == pod.Namespace && selector.Matches(labels.Set(other.Labels)) &&
				there.Labels[term.TopologyKey] == node.Labels[term.TopologyKey] {
				return true
			}
		}
	}
	return false
}

func (s *scheduler) reportUnschedulable(ctx context.Context, pod *corev1.Pod, why string) error {
	message := "0 nodes are available: " + why + "."
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Message == message {
			return nil
		}
	}
	s.events.Event(pod, corev1.EventTypeWarning, "FailedScheduling", message)
	condition := corev1.PodCondition{
		Type:               corev1.PodScheduled,
		Status:             corev1.ConditionFalse,
		Reason:             corev1.PodReasonUnschedulable,
		Message:            message,
		LastTransitionTime: metav1.Now(),
	}
	patch, err := json.Marshal(
		map[string]any{
			"metadata": map[string]any{"uid": pod.UID},
			"status":   map[string]any{"conditions": []corev1.PodCondition{condition}},
		},
	)
	if err != nil {
		return err
	}
	_, err = s.client.CoreV1().
		Pods(pod.Namespace).
		Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil && isGone(err) {
		return nil
	}
	return err
}
