// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// outcomes plays on, and returns the first outcome of each request.
func (w *world) outcomes(d time.Duration) map[string]failover.Handled {
	w.t.Helper()
	told := map[string]failover.Handled{}
	for step := 50 * time.Millisecond; d > 0; d -= step {
		w.sleep(step)
		decision, _ := w.once()
		if h := decision.Handled; h != nil {
			if _, again := told[h.ID]; !again {
				told[h.ID] = *h
			}
		}
	}
	return told
}

func TestARequestHasOneOutcome(t *testing.T) {
	tests := map[string]struct {
		request   failover.Request
		before    func(w *world)
		amid      func(w *world, a failover.Action) bool // whether the action is carried out
		succeeded bool
		reason    failover.Reason
		says      string
	}{
		"switchover": {
			request:   failover.Request{Verb: failover.VerbSwitchover, Target: "r-1"},
			succeeded: true,
			says:      "r-1 is master by epoch 2",
		},
		"to who is master already": {
			request: failover.Request{Verb: failover.VerbSwitchover, Target: "r-0"}, succeeded: true, says: "r-0 is master",
		},
		"to a pod that there is not": {
			request: failover.Request{
				Verb:   failover.VerbSwitchover,
				Target: "r-9",
			},
			reason: failover.ReasonRequestedNodeIneligible,
			says:   "there is no replica r-9",
		},
		"no replica is in sync": {
			request: failover.Request{Verb: failover.VerbSwitchover}, reason: failover.ReasonNoCandidate,
			before: func(w *world) { w.hang("r-1"); w.hang("r-2") },
		},
		"the candidate does not catch up": {
			request: failover.Request{Verb: failover.VerbSwitchover, Target: "r-1"}, says: "did not",
			amid: func(_ *world, a failover.Action) bool { _, drains := a.(failover.Drain); return !drains },
		},
		"nothing to discard": {request: failover.Request{Verb: failover.VerbDiscard, Target: "r-1"}, succeeded: true},
		"forced": {
			request: failover.Request{
				Verb:   failover.VerbForce,
				Target: "r-2",
			},
			succeeded: true,
			says:      "r-2 is master by epoch 2",
		},
		"another pod has become master": {
			request: failover.Request{Verb: failover.VerbSwitchover, Target: "r-1"}, says: "r-2 is master",
			amid: func(w *world, a failover.Action) bool {
				if p, promotes := a.(failover.Promote); promotes && p.Node.Pod == "r-1" {
					w.die("r-1")
					w.die("r-0")
					return false
				}
				return true
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.write(1000, nil)
			if tc.before != nil {
				tc.before(w)
			}
			if tc.amid != nil {
				w.onAction = func(a failover.Action) bool { return tc.amid(w, a) }
			}
			tc.request.ID = "asked"
			w.request = &tc.request
			told := w.outcomes(30 * time.Second)
			got, over := told["asked"]
			if !over || len(told) != 1 {
				t.Fatalf("outcomes: %v\n%s", told, w.story())
			}
			if got.Succeeded != tc.succeeded || got.Reason != tc.reason || !strings.Contains(got.Message, tc.says) {
				t.Errorf("%+v, want %v (%s): %s\n%s", got, tc.succeeded, tc.reason, tc.says, w.story())
			}
		})
	}
}

// A person forces a failover to a pod that does not answer: that is over when the pod was promoted, and not before.
func TestAForcedFailoverThatIsBlockedIsNotOver(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	for _, name := range []string{"r-1", "r-2"} {
		w.hang(name)
	}
	w.die("r-0")
	w.pass(5 * time.Second)
	w.request = &failover.Request{ID: "asked", Verb: failover.VerbForce, Target: "r-1"}
	if told := w.outcomes(5 * time.Second); len(told) > 0 || w.request != nil {
		t.Fatalf("told %v; the request is still there: %v\n%s", told, w.request != nil, w.story())
	}
	w.heard("r-1", failover.ContactAnswering)
	got := w.outcomes(5 * time.Second)["asked"]
	if !got.Succeeded || w.master() != "r-1" {
		t.Errorf("%+v, master %q\n%s", got, w.master(), w.story())
	}
}
