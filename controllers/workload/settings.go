// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/podstate"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

// knownSettings is what is known of the settings that processes have.
type knownSettings struct {
	uid     types.UID               // of the RedisHA
	told    map[string]toldSettings // by the UID of the pod
	refusal refusedConf
	waiting lasting // for a process to answer
}

// refusedConf is a redis.conf that was given up, because a process refused a setting of it.
type refusedConf struct {
	conf string
	by   failover.NodeRef
	at   time.Time
	why  *refusal
	// kept are the values of the process that refused. It has those from before, which redis.conf need not name.
	kept map[string]string
}

// settingsChange is a change of redis.conf on its way to the processes.
type settingsChange struct {
	written string // the redis.conf from before; empty when there is none
	wanted  string
}

func (c settingsChange) pending() bool { return c.written != "" && c.written != c.wanted }

// tellSettings has every process take the settings of the spec, before a process starts with them. What one of them
// refuses goes back to what it was on all, and holds back the configuration and the StatefulSet (w.refused).
func (w *pass) tellSettings(ctx context.Context) error {
	if w.known.settings.uid != w.rha.UID {
		w.known.settings = knownSettings{uid: w.rha.UID}
	}
	if w.Teller == nil || w.sts == nil || w.rha.Spec.Failover.Mode == v1alpha1.ModePaused {
		return nil
	}
	written, err := w.writtenConf(ctx)
	if err != nil {
		return err
	}
	change := settingsChange{written: written, wanted: resources.RedisConf(w.rha)}
	w.recallRefusal(change)
	if refused := w.tellNodes(ctx, change); refused != nil {
		w.known.settings.refusal = *refused
		w.giveUp(refused.why)
		w.tellNodes(ctx, change)
	}
	if w.refused {
		return nil
	}
	if err := w.awaitSettings(ctx, change); err != nil {
		return err
	}
	return w.recordSettings(ctx, change)
}

// recallRefusal gives a change up that was refused before, for as long as the process runs that refused it: what
// another one says of it is not known.
func (w *pass) recallRefusal(change settingsChange) {
	refusal := &w.known.settings.refusal
	switch {
	case refusal.conf != change.wanted || !slices.Contains(w.runningNodes(), refusal.by),
		refusal.why.reason == v1alpha1.ReasonDataInTheWay && w.now().Sub(refusal.at) >= dataGoesIn:
		*refusal = refusedConf{}
	case !w.refused:
		w.giveUp(refusal.why)
	}
}

func (w *pass) giveUp(why *refusal) {
	w.refused = true
	w.later = errors.Join(w.later, why)
}

// tellNodes tells every process that has not been told, the master last, and sets back what was changed by other means.
// While a change is pending it ends at the first process that refuses it, and returns what that said.
func (w *pass) tellNodes(ctx context.Context, change settingsChange) *refusedConf {
	known := &w.known.settings
	before := known.told
	known.told = map[string]toldSettings{}
	var refused *refusedConf
	for _, node := range w.masterLast() {
		pod := w.podOf(node)
		if t, is := before[node.UID]; is && refused != nil {
			known.told[node.UID] = t
		}
		if refused != nil {
			continue
		}
		t := w.tellNode(ctx, node, w.settingsFor(pod, change), before[node.UID])
		known.told[node.UID] = t
		held := change.pending() && !w.refused
		switch why := w.objection(node, t, held); {
		case why == nil:
		case held:
			refused = &refusedConf{conf: change.wanted, by: node, at: w.now(), kept: t.Before, why: why}
		default:
			w.later = errors.Join(w.later, why)
		}
	}
	return refused
}

// objection is what a process has against the settings that it was told; nil when it has nothing. A change that is held
// back for it reaches no process.
func (w *pass) objection(node failover.NodeRef, t toldSettings, held bool) *refusal {
	if len(t.Spared) > 0 {
		return refuse(v1alpha1.ReasonDataInTheWay,
			"spec.resources.limits.memory: %s holds more data than a limit of %s has room for, so every Redis and every pod "+
				"keeps what it has: delete keys, set a higher limit, or set spec.config.maxmemory, by which Redis evicts keys",
			node.Pod, w.rha.Spec.Resources.Limits.Memory())
	}
	if len(t.Refused) == 0 || !w.judges(w.podOf(node)) {
		return nil
	}
	keeps := "and keeps the settings that it had"
	if held {
		keeps = "so every Redis keeps the settings that it had, until the spec is mended"
	}
	return refuse(
		v1alpha1.ReasonConfigRefused, "spec.config: %s refuses it, %s: %s", node.Pod, keeps, inRedissWords(t.Refused),
	)
}

// awaitSettings waits for the processes that may answer yet, for a while: those that are away are told when they are
// back.
func (w *pass) awaitSettings(ctx context.Context, change settingsChange) error {
	waiting := w.untold(change)
	if waiting == nil || !change.pending() {
		w.known.settings.waiting = lasting{}
		return nil
	}
	if w.known.settings.waiting.lasted(w.now()) < triesFor {
		return waiting
	}
	ctrl.LoggerFrom(ctx).Error(waiting, "the changed settings could not be told; going on without")
	return nil
}

// untold is why a process does not have the settings that answers, or why none has; nil when all is well.
func (w *pass) untold(change settingsChange) error {
	took, asked := false, false
	for _, node := range w.masterLast() {
		pod, t := w.podOf(node), w.known.settings.told[node.UID]
		has := t.has(node, fmt.Sprint(w.settingsFor(pod, change)))
		took = took || has
		if !w.judges(pod) {
			continue
		}
		asked = true
		if t.err != nil && !t.away() {
			return fmt.Errorf("telling %s the changed settings: %w", node.Pod, t.err)
		}
	}
	if asked && !took {
		return errors.New("telling the changed settings: no Redis answers")
	}
	return nil
}

// recordSettings writes on the pods what their processes have been told, and what only a start can give them.
func (w *pass) recordSettings(ctx context.Context, change settingsChange) error {
	for _, node := range w.masterLast() {
		pod, t := w.podOf(node), w.known.settings.told[node.UID]
		if !t.has(node, fmt.Sprint(w.settingsFor(pod, change))) {
			continue
		}
		annotations := podstate.AfterTelling(w.rha, w.sts, pod, t.Fixed, t.After)
		if annotations == nil {
			continue
		}
		if err := w.annotate(ctx, pod, annotations); err != nil {
			return err
		}
	}
	return nil
}

// settingsFor are those that the process of a pod is to have: of the spec, or those from before where the spec's are
// refused.
func (w *pass) settingsFor(pod *corev1.Pod, change settingsChange) []redisclient.Setting {
	wanted := resources.LiveSettings(w.rha, pod, w.pods...)
	if !w.refused {
		settings := settingsFrom(wanted)
		for i := range settings {
			settings[i].SparesData = resources.FollowsMemory(w.rha, settings[i].Name)
		}
		return settings
	}
	former := resources.FormerSettings(w.rha, pod, change.written, w.pods...)
	for name := range wanted {
		value, known := w.known.settings.refusal.kept[name]
		if _, is := former[name]; known && !is {
			former[name] = value
		}
	}
	return settingsFrom(former)
}

// judges reports a pod whose Redis is the one that the spec wants. Another one may know less, or more. The image of a
// pod may be written otherwise than in the spec that it was made from.
func (w *pass) judges(pod *corev1.Pod) bool {
	return podstate.IsOfSpec(w.rha, w.sts, pod) || imageOf(pod.Spec) == w.wantedImage()
}

// masterLast are the processes that run, the master last: what one of them refuses has not reached it then.
func (w *pass) masterLast() []failover.NodeRef {
	master := w.rollout().master()
	nodes := w.runningNodes()
	slices.SortStableFunc(nodes, func(a, b failover.NodeRef) int {
		switch {
		case a.Pod == master && b.Pod != master:
			return 1
		case b.Pod == master && a.Pod != master:
			return -1
		}
		return 0
	})
	return nodes
}

// podOf is the pod in which one of [pass.runningNodes] runs.
func (w *pass) podOf(node failover.NodeRef) *corev1.Pod {
	i := slices.IndexFunc(w.pods, func(pod corev1.Pod) bool { return string(pod.UID) == node.UID })
	return &w.pods[i]
}
