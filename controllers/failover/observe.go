// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/maintenance"
	"github.com/redisha/redisha/controllers/podstate"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/prober"
)

// observer merges what Kubernetes shows (the cache) with what Redis says (the prober).
type observer struct {
	client   client.Client
	prober   *prober.Prober
	effects  *kubeEffects
	clock    clock.PassiveClock
	recorder record.EventRecorder

	drainTaints []string

	seen *sight // of the RedisHA that is observed
}

// with is the observer of one RedisHA, of which it remembers seen.
func (g observer) with(seen *sight) *observer {
	g.seen = seen
	return &g
}

// remember fills in what only the turns before tell: since when the master Service has led where it leads, and who has
// gone a moment ago.
func (g *observer) remember(now time.Time, obs *failover.Observation) {
	obs.PublishedSince = g.seen.publishing.Seen(now, obs.Published)
	obs.Departed = g.seen.departures.Seen(now, obs.Nodes)
}

// observe gathers everything one decision is based on.
func (g *observer) observe(ctx context.Context, rha *v1alpha1.RedisHA, pods []corev1.Pod) (sighting, error) {
	key := client.ObjectKeyFromObject(rha)
	probed := map[string]failover.Node{}
	for _, n := range g.prober.Observe(key.String()) {
		probed[n.UID] = n
	}
	sts, err := g.statefulSetOf(ctx, rha, pods)
	if err != nil {
		return sighting{}, err
	}
	now := g.clock.Now()
	obs := sighting{unfinished: unfinishedOf(rha, sts, pods, now), hibernate: hibernateOn(rha, sts)}
	present := map[int]bool{}
	g.seen.exits = g.seen.exits.after(pods, now)
	for i := range pods {
		n := probed[string(pods[i].UID)]
		n.Name, n.UID, n.IP = pods[i].Name, string(pods[i].UID), pods[i].Status.PodIP
		n.Ordinal, _ = resources.Ordinal(rha.Name, pods[i].Name)
		present[n.Ordinal] = true
		if n.PodFacts, err = g.podFacts(ctx, rha, sts, &pods[i], now); err != nil {
			return obs, err
		}
		// A process that has answered since the kubelet's word is not the one that has ended.
		n.Exited = n.Exited && (podstate.HasEnded(&pods[i]) || !n.SampledAt.After(n.ExitedAt))
		if n.Held {
			obs.turns = opens(rha, now)
		}
		obs.Nodes = append(obs.Nodes, n)
	}
	if obs.Absent, err = g.absent(ctx, rha, sts, present); err != nil {
		return obs, err
	}
	slice, found, err := g.effects.masterSlice(ctx, key)
	if err != nil {
		return obs, err
	}
	if found {
		obs.Published = publishedIn(slice, g.effects.ports(key))
	}
	return obs, nil
}

// opens is when a master that is held may be moved, though nothing else is seen.
func opens(rha *v1alpha1.RedisHA, now time.Time) failover.Again {
	windows, err := maintenance.At(rha.Spec.MaintenanceWindows, now)
	if err != nil {
		return failover.OnEvent()
	}
	return failover.After(windows.Turns)
}

// absent are the pods that are to come. One that is to be scaled away comes again for as long as the StatefulSet has a
// place for it, with what is on its volume.
func (g *observer) absent(
	ctx context.Context, rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, present map[int]bool,
) ([]failover.AbsentNode, error) {
	var absent []failover.AbsentNode
	for ordinal := range int(max(resources.Replicas(rha), ptr.Deref(sts.Spec.Replicas, 0))) {
		if present[ordinal] {
			continue
		}
		holds, err := g.mayHoldData(ctx, rha, sts, ordinal, "")
		if err != nil {
			return nil, err
		}
		absent = append(absent, failover.AbsentNode{Name: resources.PodName(rha.Name, ordinal), MayHoldData: holds})
	}
	return absent, nil
}

// statefulSetOf is the StatefulSet as the cache shows it, or as it is where the cache may mislead. A failover does not
// wait for a look past the cache for long, and not for one that fails.
func (g *observer) statefulSetOf(
	ctx context.Context, rha *v1alpha1.RedisHA, pods []corev1.Pod,
) (*appsv1.StatefulSet, error) {
	key := client.ObjectKeyFromObject(rha)
	cached, err := statefulSet(ctx, g.client, key)
	if err != nil || !mayBeEmptied(rha, cached, pods) {
		return cached, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	if live, err := statefulSet(ctx, g.effects.reader, key); err == nil {
		return live, nil
	}
	return cached, nil
}

// statefulSet is the StatefulSet of the Redis pods; an empty one where there is none. It may share memory with the
// cache: it is for reading.
func statefulSet(ctx context.Context, from client.Reader, key client.ObjectKey) (*appsv1.StatefulSet, error) {
	sts := &appsv1.StatefulSet{}
	name := client.ObjectKey{Namespace: key.Namespace, Name: resources.StatefulSetName(key.Name)}
	err := from.Get(ctx, name, sts, client.UnsafeDisableDeepCopy)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the StatefulSet: %w", err)
	}
	return sts, nil
}

// exits are when the operator was first told of the end of the containers that have ended last, by pod. The kubelet
// tells of it late, and of its successor later: a process that has answered since is not the one that has ended.
type exits map[types.UID]exit

// exit is the end of a container, by its ID.
type exit struct {
	container string
	told      time.Time
}

// after returns them as they are when the pods are these.
func (e exits) after(pods []corev1.Pod, now time.Time) exits {
	next := exits{}
	for i := range pods {
		uid, ended := pods[i].UID, endedContainer(&pods[i])
		known := e[uid]
		if ended != "" && known.container != ended {
			known = exit{container: ended, told: now}
		}
		if known.container != "" {
			next[uid] = known
		}
	}
	return next
}

// endedContainer is the ID of the Redis container that has ended last, by the kubelet's word.
func endedContainer(pod *corev1.Pod) string {
	for _, c := range pod.Status.ContainerStatuses {
		switch {
		case c.Name != resources.RedisContainer:
		case c.State.Terminated != nil:
			return c.State.Terminated.ContainerID
		case c.LastTerminationState.Terminated != nil:
			return c.LastTerminationState.Terminated.ContainerID
		}
	}
	return ""
}

// podFacts is what Kubernetes says of a pod: the pod itself, its StatefulSet, the Kubernetes node under it and its
// volume.
func (g *observer) podFacts(
	ctx context.Context, rha *v1alpha1.RedisHA, sts *appsv1.StatefulSet, pod *corev1.Pod, now time.Time,
) (failover.PodFacts, error) {
	facts := failover.PodFacts{
		Ready: podstate.IsReady(
			pod,
		),
		Terminating: pod.DeletionTimestamp != nil,
		RoleLabel:   failover.Role(pod.Labels[v1alpha1.LabelRole]),
		Outdated:    podstate.IsDue(rha, sts, pod),
		Held:        podstate.IsHeld(rha, sts, pod, now),
		Unproven:    !podstate.IsProven(pod, now),
		ExitedAt:    g.seen.exits[pod.UID].told,
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name == resources.RedisContainer {
			facts.Exited = c.State.Terminated != nil || (c.State.Waiting != nil && c.LastTerminationState.Terminated != nil)
			facts.Crashed = failed(c.State.Terminated) || failed(c.LastTerminationState.Terminated)
		}
	}
	facts.Exited = facts.Exited || podstate.HasEnded(pod)
	if err := g.machineFacts(ctx, &facts, pod.Spec.NodeName); err != nil {
		return facts, err
	}
	ordinal, _ := resources.Ordinal(rha.Name, pod.Name)
	var err error
	facts.MayHoldData, err = g.mayHoldData(ctx, rha, sts, ordinal, string(pod.UID))
	return facts, err
}

func failed(end *corev1.ContainerStateTerminated) bool { return end != nil && end.ExitCode != 0 }

// machineFacts fills in what the Kubernetes node under the pod says.
func (g *observer) machineFacts(ctx context.Context, facts *failover.PodFacts, name string) error {
	facts.Machine = name
	if name == "" {
		return nil
	}
	var node corev1.Node
	err := g.client.Get(ctx, client.ObjectKey{Name: name}, &node, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		facts.NodeGone = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading node %s: %w", name, err)
	}
	facts.Cordoned, facts.Zone = podstate.IsLeaving(&node, g.drainTaints), node.Labels[corev1.LabelTopologyZone]
	return nil
}
