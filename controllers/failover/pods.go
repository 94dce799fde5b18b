// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

// podsOf lists the Redis pods of a RedisHA, by ordinal: those that its StatefulSet owns, and those that were its
// before, though a person has edited their labels or their owner away. A pod that is merely named and labelled like one
// is none: it is given no password and has no vote. rha is nil when there is none any more. The pods share memory with
// the cache: they are for reading.
func (g *observer) podsOf(ctx context.Context, key client.ObjectKey, rha *v1alpha1.RedisHA) ([]corev1.Pod, error) {
	var list corev1.PodList
	ours := client.MatchingLabels(resources.SelectorLabels(key.Name))
	if err := g.client.List(
		ctx, &list, client.InNamespace(key.Namespace), ours, client.UnsafeDisableDeepCopy,
	); err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	sts, err := statefulSet(ctx, g.client, key)
	if err != nil {
		return nil, err
	}
	known := knownPods(rha)
	pods := slices.DeleteFunc(list.Items, func(p corev1.Pod) bool {
		_, named := resources.Ordinal(key.Name, p.Name)
		return !named || (rha != nil && known[p.UID] == "" && !ownedBy(&p, key.Name, sts.UID))
	})
	unlisted, err := g.unlisted(ctx, key, rha, known, pods)
	if err != nil {
		return nil, err
	}
	pods = slices.DeleteFunc(pods, func(p corev1.Pod) bool {
		return slices.ContainsFunc(unlisted, func(newer corev1.Pod) bool { return newer.Name == p.Name })
	})
	pods = append(pods, unlisted...)
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		x, _ := resources.Ordinal(key.Name, a.Name)
		y, _ := resources.Ordinal(key.Name, b.Name)
		return x - y
	})
	for i := range pods {
		if newest, ok := g.effects.pods.Newest(client.ObjectKeyFromObject(&pods[i]), &pods[i], true); ok {
			pods[i] = *newest
		}
	}
	return pods, nil
}

// knownPods are the pods that the status names, by UID.
func knownPods(rha *v1alpha1.RedisHA) map[types.UID]string {
	known := map[types.UID]string{}
	if rha == nil {
		return known
	}
	for _, n := range rha.Status.Nodes {
		known[types.UID(n.PodUID)] = n.Pod
	}
	if m := rha.Status.Master; m != nil {
		known[types.UID(m.PodUID)] = m.Pod
	}
	delete(known, "")
	return known
}

// ownedBy says whether the StatefulSet of that name controls the pod. Its UID is empty while the cache does not show it
// yet.
func ownedBy(pod *corev1.Pod, name string, uid types.UID) bool {
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.Kind == "StatefulSet" && owner.Name == resources.StatefulSetName(name) &&
		(uid == "" || owner.UID == uid)
}

// unlisted are the pods that the status names, that are not listed by their label, and that are there nevertheless. A
// pod that left the cache may have lost its label only; its Redis goes on taking writes. And a cache that is late may
// show the pod that had its name before. So it is looked up before it is called gone.
func (g *observer) unlisted(
	ctx context.Context, key client.ObjectKey, rha *v1alpha1.RedisHA, known map[types.UID]string, listed []corev1.Pod,
) ([]corev1.Pod, error) {
	var pods []corev1.Pod
	for uid, name := range known {
		if slices.ContainsFunc(listed, func(p corev1.Pod) bool { return p.UID == uid }) {
			continue
		}
		pod, err := g.lookUp(ctx, client.ObjectKey{Namespace: key.Namespace, Name: name}, uid)
		if err != nil {
			return nil, err
		}
		if pod != nil {
			g.putLabelBack(ctx, rha, pod)
			pods = append(pods, *pod)
		}
	}
	return pods, nil
}

// putLabelBack writes the label by which a pod is found.
func (g *observer) putLabelBack(ctx context.Context, rha *v1alpha1.RedisHA, pod *corev1.Pod) {
	if pod.Labels[v1alpha1.LabelName] == rha.Name {
		return // the cache will show it in a moment
	}
	patch, err := json.Marshal(
		map[string]any{"metadata": map[string]any{"uid": pod.UID, "labels": resources.SelectorLabels(rha.Name)}},
	)
	if err == nil {
		err = g.client.Patch(ctx, pod.DeepCopy(), client.RawPatch(types.MergePatchType, patch))
	}
	if err != nil {
		log.FromContext(ctx).
			Error(err, "a pod has lost its label, and it cannot be put back", "pod", pod.Name, "label", v1alpha1.LabelName)
		return
	}
	g.recorder.Event(rha, corev1.EventTypeWarning, v1alpha1.EventPodRelabelled, fmt.Sprintf(
		"pod %s had lost the label %s, by which its Services and the operator find it; it was put back", pod.Name,
		v1alpha1.LabelName,
	))
}

// lookEvery is the least time between two looks past the cache at a pod that it does not show.
const lookEvery = 250 * time.Millisecond

// missingPod is what became of a pod that the cache does not show, so that each is looked up once if it is gone.
type missingPod struct {
	looked time.Time
	pod    *corev1.Pod // nil: it is gone for good
}

// lookUp reads a pod past the cache; nil when it is gone, or another has its name.
func (g *observer) lookUp(ctx context.Context, name client.ObjectKey, uid types.UID) (*corev1.Pod, error) {
	now := g.clock.Now()
	last, looked := g.seen.missing[uid]
	if looked && (last.pod == nil || now.Sub(last.looked) < lookEvery) {
		return last.pod, nil
	}
	pod := &corev1.Pod{}
	err := g.effects.reader.Get(ctx, name, pod)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("looking for pod %s, which is not listed: %w", name.Name, err)
	}
	if err != nil || pod.UID != uid {
		pod = nil
	}
	if g.seen.missing == nil {
		g.seen.missing = map[types.UID]missingPod{}
	}
	g.seen.missing[uid] = missingPod{looked: now, pod: pod}
	return pod, nil
}
