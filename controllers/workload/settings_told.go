// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

// settingsEvery is after how long a process is asked again whether it has the settings that it was told.
const settingsEvery = time.Minute

// dataGoesIn is after how long a process is told a maxmemory again that its data did not fit in.
const dataGoesIn = 10 * time.Second

// toldSettings is what became of the last try to tell a process its settings.
type toldSettings struct {
	taken
	redisclient.ToldSettings
	at time.Time
}

// has reports a process that has the settings, as far as it can while it runs.
func (t toldSettings) has(node failover.NodeRef, generation string) bool {
	return t.of(node, generation) && t.err == nil && len(t.Refused) == 0
}

// again is after how long the process is told again, or asked.
func (t toldSettings) again() time.Duration {
	if t.err != nil {
		return tellsAgain
	}
	if len(t.Spared) > 0 {
		return dataGoesIn
	}
	return settingsEvery
}

// of reports that it was this process that was told, and of those settings.
func (t toldSettings) of(node failover.NodeRef, generation string) bool {
	return t.runID == node.RunID && t.generation == generation
}

// tellNode tells a process once, and then asks it from time to time.
func (w *pass) tellNode(
	ctx context.Context, node failover.NodeRef, want []redisclient.Setting, before toldSettings,
) toldSettings {
	generation := fmt.Sprint(want)
	if before.of(node, generation) {
		left := before.again() - w.now().Sub(before.at)
		switch {
		case len(before.Refused) > 0:
			return before
		case left > 0:
			w.lookAgain(left)
			return before
		case before.err == nil && len(before.Spared) == 0:
			w.lookAgain(settingsEvery)
			return w.setBack(ctx, node, before)
		}
	}
	told, err := w.Teller.SetSettings(ctx, client.ObjectKeyFromObject(w.rha).String(), node, want)
	t := toldSettings{
		taken: taken{runID: node.RunID, generation: generation, err: err}, ToldSettings: told, at: w.now(),
	}
	w.lookAgain(t.again())
	return t
}

// setBack sets back what was changed on a process after it was told, and says so. A process that does not answer is
// asked at the next time.
func (w *pass) setBack(ctx context.Context, node failover.NodeRef, before toldSettings) toldSettings {
	told, err := w.Teller.SetSettings(
		ctx, client.ObjectKeyFromObject(w.rha).String(), node, settingsFrom(before.After),
	)
	before.at = w.now()
	if err != nil {
		return before
	}
	for _, name := range slices.Sorted(maps.Keys(before.After)) {
		was, is := told.Before[name], told.After[name]
		if was != is {
			w.Recorder.Eventf(w.rha, corev1.EventTypeWarning, v1alpha1.EventSettingSetBack,
				"%s of pod %s was changed to %q by other means than the spec, and is set back to %q", name, node.Pod, was, is)
		}
	}
	return before
}
