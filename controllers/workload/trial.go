// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

// Trial asks a Redis that runs which settings and users it would refuse, and changes none. The failover controller has
// the connections.
type Trial interface {
	TryConfig(
		ctx context.Context, key string, node failover.NodeRef, settings []redisclient.Setting,
	) ([]redisclient.RefusedSetting, error)
	TryUsers(
		ctx context.Context, key string, node failover.NodeRef, users []redisclient.User,
	) ([]redisclient.RefusedUser, error)
}

// triesFor is for how long a change of spec.config waits for a Redis on which it can be tried. A trial is an advance
// warning: where there is none, a rollout stops at the first pod that does not start.
const triesFor = 10 * time.Second

// tryConfig has the settings that are new tried on a Redis that runs, before a pod or the file that its next process
// reads is changed. A refused one holds back the configuration and the StatefulSet (w.refused), until the spec is
// another; nothing else.
func (w *pass) tryConfig(ctx context.Context) error {
	settings, err := w.untried(ctx)
	if err != nil {
		return err
	}
	node := w.triedOn()
	if len(settings) == 0 || node.UID == "" {
		w.known.untried = lasting{}
		return nil
	}
	refused, err := w.Trial.TryConfig(ctx, client.ObjectKeyFromObject(w.rha).String(), node, settings)
	if err != nil && w.known.untried.lasted(w.now()) < triesFor {
		return fmt.Errorf("trying the changed settings on %s: %w", node.Pod, err)
	}
	w.known.untried = lasting{}
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "the changed settings could not be tried; going on without", "pod", node.Pod)
		return nil
	}
	if len(refused) > 0 {
		w.refused = true
		w.later = errors.Join(
			w.later, refuseConfig(node.Pod, refused),
		) // whatever else is refused: nothing of this generation has reached the StatefulSet
	}
	return nil
}

func refuseConfig(pod string, refused []redisclient.RefusedSetting) error {
	return refuse(
		v1alpha1.ReasonConfigRefused,
		"spec.config: tried on %s, which refuses it; no pod was changed, and none is until the spec is mended: %s", pod,
		inRedissWords(refused),
	)
}

func inRedissWords(refused []redisclient.RefusedSetting) string {
	parts := make([]string, 0, len(refused))
	for _, r := range refused {
		parts = append(parts, fmt.Sprintf("%s: %q: %s", r.Name, r.Value, r.Why))
	}
	return strings.Join(parts, "; ")
}

// untried are the settings that were changed since redis.conf was written. With another image none is tried: what runs
// may know less, or more, than what is to run.
func (w *pass) untried(ctx context.Context) ([]redisclient.Setting, error) {
	if w.Trial == nil || w.sts == nil || imageOf(w.sts.Spec.Template.Spec) != w.wantedImage() {
		return nil, nil
	}
	conf, err := w.writtenConf(ctx)
	if conf == "" || err != nil {
		return nil, err
	}
	return settingsFrom(resources.ChangedSettings(w.rha, conf)), nil
}

// writtenConf is the redis.conf that was written last; empty when there is none.
func (w *pass) writtenConf(ctx context.Context) (string, error) {
	cm := &corev1.ConfigMap{}
	err := w.Client.Get(ctx, client.ObjectKey{Namespace: w.rha.Namespace, Name: resources.ConfigMapName(w.rha.Name)}, cm)
	if client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("reading the configuration: %w", err)
	}
	return cm.Data["redis.conf"], nil
}

// settingsFrom are settings in the order of their names.
func settingsFrom(values map[string]string) []redisclient.Setting {
	settings := make([]redisclient.Setting, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		settings = append(settings, redisclient.Setting{Name: name, Value: values[name]})
	}
	return settings
}

func (w *pass) wantedImage() string {
	return imageOf(resources.StatefulSet(w.rha, 1).Spec.Template.Spec)
}

func imageOf(pod corev1.PodSpec) string {
	for i := range pod.Containers {
		if c := &pod.Containers[i]; c.Name == resources.RedisContainer {
			return c.Image
		}
	}
	return ""
}

// triedOn is a Redis that runs what the set runs: a replica in sync, else the master. It is none when no Redis serves.
func (w *pass) triedOn() failover.NodeRef {
	var master failover.NodeRef
	for _, n := range w.rha.Status.Nodes {
		there := slices.ContainsFunc(w.pods, func(pod corev1.Pod) bool {
			return n.PodUID != "" && string(pod.UID) == n.PodUID && pod.DeletionTimestamp.IsZero() && redisReady(&pod)
		})
		ref := failover.NodeRef{Pod: n.Pod, UID: n.PodUID, RunID: n.RunID, IP: n.IP}
		switch {
		case !there:
		case n.Role == v1alpha1.RoleReplica && n.Link == v1alpha1.LinkUp:
			return ref
		case n.Role == v1alpha1.RoleMaster:
			master = ref
		}
	}
	return master
}
