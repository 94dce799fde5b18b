// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"strings"
	"testing"

	"k8s.io/client-go/tools/record"

	"github.com/redisha/redisha/api/v1alpha1"
)

func TestAProcessThatWasStartedAnewIsAnnouncedOnce(t *testing.T) {
	with := func(nodes ...v1alpha1.NodeStatus) *v1alpha1.RedisHA {
		return &v1alpha1.RedisHA{Status: v1alpha1.RedisHAStatus{Nodes: nodes}}
	}
	none, three := v1alpha1.NodeStatus{
		Pod:    "a-0",
		PodUID: "x",
	}, v1alpha1.NodeStatus{
		Pod:             "a-0",
		PodUID:          "x",
		ProcessRestarts: 3,
	}
	anew := v1alpha1.NodeStatus{Pod: "a-0", PodUID: "y"}
	for name, test := range map[string]struct {
		before, now *v1alpha1.RedisHA
		want        bool
	}{
		"started anew":              {with(none), with(three), true},
		"as it was":                 {with(three), with(three), false},
		"a new pod":                 {with(three), with(anew), false},
		"not known before, by name": {with(), with(three), false},
	} {
		events := record.NewFakeRecorder(2)
		r := &Reconciler{Recorder: events}
		r.announceRestarts(t.Context(), test.before, test.now)
		close(events.Events)
		said := <-events.Events
		if want := "Warning RedisRestarted another Redis process runs in pod a-0; 3 have been"; strings.HasPrefix(
			said, want,
		) != test.want ||
			said != "" != test.want {
			t.Errorf("%s: %q", name, said)
		}
	}
}
