// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// pending takes a pod away that was not started yet; arrive brings it, with what its volume holds.
func (w *world) pending(name string) *failover.Node {
	n := *w.node(name)
	w.node(name).Contact, w.node(name).Sampled, w.node(name).IP, w.node(name).Replication = failover.ContactNone, false, "", failover.Replication{}
	w.node(name).LastAnswer = time.Time{}
	return &n
}

func (w *world) arrive(n *failover.Node, keys int64) {
	n.Contact, n.ContactSince, n.LastAnswer, n.SampledAt = failover.ContactAnswering, w.now, w.now, w.now
	n.Replication.Keys = keys
	*w.node(n.Name) = *n
}

// late is a set with disks whose first master is the empty r-1, since r-0 was not scheduled for longer than it is
// waited for. Then r-0 comes, with keys on its volume.
func late(t *testing.T, keys int64) *world {
	t.Helper()
	w := newWorld(t, 3)
	w.policy.Persistent = true
	restored := w.pending("r-0")
	w.run()
	if w.master() != "" {
		t.Fatalf("master %s, and r-0 was not waited for\n%s", w.master(), w.story())
	}
	w.sleep(bootstrapPatience + time.Second)
	w.run()
	w.pass(2 * time.Second)
	if w.master() != "r-1" || w.progress.State != failover.StateStable {
		t.Fatalf(
			"master %s in state %s: a pod that is never scheduled blocks the set\n%s", w.master(), w.progress.State, w.story(),
		)
	}
	w.write(1000, nil)
	w.arrive(restored, keys)
	w.run()
	w.pass(2 * time.Second)
	return w
}

func (w *world) limit(pod string) failover.Ineligibility {
	for _, k := range w.progress.Nodes {
		if k.Pod == pod {
			return k.Ineligible
		}
	}
	return "unknown"
}

func TestDataThatCameAfterTheFirstMasterWasChosenIsLeftAloneUntilAPersonDecides(t *testing.T) {
	w := late(t, 100)
	if r := w.node("r-0").Replication; r.Keys != 100 || !r.Fenced() {
		t.Errorf("r-0 has %d key(s) and follows %s: its data was wiped unasked\n%s", r.Keys, r.MasterHost, w.story())
	}
	d, _ := w.once()
	for _, says := range []string{"r-0", "request ForceFailover", "Discard"} {
		if d.Reason != failover.ReasonEarlierData || !strings.Contains(d.Message, says) {
			t.Errorf("reason %s does not say %q: %s", d.Reason, says, d.Message)
		}
	}
	if w.limit("r-0") != failover.IneligibleEarlierData || w.limit("r-2") != failover.Eligible {
		t.Errorf("%+v", w.progress.Nodes)
	}
	if writes := w.writes; true {
		w.pass(10 * time.Second)
		if w.writes != writes {
			t.Errorf("%d writes of the progress while nothing changes", w.writes-writes)
		}
	}
	t.Run("discard", func(t *testing.T) {
		w := late(t, 100)
		w.request = &failover.Request{ID: "give up", Verb: failover.VerbDiscard, Target: "r-0"}
		w.run()
		w.pass(3 * time.Second)
		if r := w.node(
			"r-0",
		).Replication; r.Keys == 100 || !r.LinkUp || w.limit("r-0") != failover.Eligible || len(w.progress.UnheardPods) > 0 ||
			w.master() != "r-1" {
			t.Errorf("it does not follow: %+v, unmet %v\n%s", r, w.progress.UnheardPods, w.story())
		}
	})
	t.Run("keep", func(t *testing.T) {
		w := late(t, 100)
		w.request = &failover.Request{ID: "keep", Verb: failover.VerbForce, Target: "r-0"}
		w.run()
		w.pass(3 * time.Second)
		if w.master() != "r-0" || w.node("r-1").Replication.Keys != 100 || w.node("r-2").Replication.Keys != 100 ||
			len(w.progress.UnheardPods) > 0 {
			t.Errorf("master %s, unmet %v\n%s", w.master(), w.progress.UnheardPods, w.story())
		}
	})
}

func TestDataThatIsOlderThanTheFirstMasterIsNotElected(t *testing.T) {
	for name, lose := range map[string]func(w *world){
		"the master is lost":           func(w *world) { w.die("r-1") },
		"all are restarted with disks": func(w *world) { w.restart("r-1", true); w.restart("r-2", true); w.restart("r-0", true) },
		"all are restarted, and no name of the history is kept": func(w *world) {
			for _, pod := range []string{"r-1", "r-2", "r-0"} {
				w.restart(pod, true)
				w.node(pod).Replication.Lineage = failover.Lineage{ReplID: "anew-" + pod, ReplID2: failover.NoReplID, SecondOffset: -1}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := late(t, 100)
			w.node("r-1").Replication.Keys, w.node("r-2").Replication.Keys = 5, 5
			lose(w)
			w.run()
			w.pass(2 * time.Second)
			if w.master() == "r-0" || w.master() == "" || w.node("r-0").Replication.Keys != 100 {
				t.Errorf(
					"master %s in state %s, r-0 has %d key(s)\n%s", w.master(), w.progress.State, w.node("r-0").Replication.Keys,
					w.story(),
				)
			}
		})
	}
}

// A status that is set back to before a pod was met makes its data count as older than the first master; so does a volume
// that a person has restored. Where nothing else is left either is better than nothing (seed 974081262).
func TestWhereAllOthersHaveComeBackEmptyTheEarlierDataIsTheSets(t *testing.T) {
	w := late(t, 100)
	for _, pod := range []string{"r-1", "r-2", "r-0"} {
		w.restart(pod, true)
		w.node(pod).Replication.Lineage = failover.Lineage{
			ReplID:       "anew-" + pod,
			ReplID2:      failover.NoReplID,
			SecondOffset: -1,
		}
	}
	w.node("r-1").Replication.Keys, w.node("r-2").Replication.Keys = 0, 0
	w.run()
	w.pass(2 * time.Second)
	if w.master() != "r-0" || w.node("r-0").Replication.Keys != 100 {
		t.Errorf("master %s in state %s\n%s", w.master(), w.progress.State, w.story())
	}
}

// A pod that comes late is the ordinary case: its volume is empty.
func TestAPodThatComesLateAndEmptyFollowsAndIsOneOfTheSet(t *testing.T) {
	w := late(t, 0)
	if r := w.node("r-0").Replication; !r.LinkUp || len(w.progress.UnheardPods) > 0 {
		t.Fatalf("it does not follow: %+v, unmet %v\n%s", r, w.progress.UnheardPods, w.story())
	}
	w.node("r-1").Replication.Keys, w.node("r-0").Replication.Keys = 5, 5
	w.restart("r-0", true) // an append-only file keeps no name of the history
	w.node("r-0").Replication.Lineage = failover.Lineage{ReplID: "anew", ReplID2: failover.NoReplID, SecondOffset: -1}
	if d := w.run(); d.Reason != failover.ReasonNone || !w.node("r-0").Replication.LinkUp {
		t.Errorf("reason %s: %s", d.Reason, d.Message)
	}
}

func TestAPodThatComesLateAndFollowsBeforeItIsStruckOffIsStruckOff(t *testing.T) {
	w := late(t, 0)
	w.progress.UnheardPods = []string{"r-0", "r-2"} // as if the operator had died right after it had told them to follow
	w.node("r-1").Replication.Keys = 5
	w.run()
	w.pass(time.Second)
	if d, _ := w.once(); d.Reason != failover.ReasonNone || len(w.progress.UnheardPods) > 0 {
		t.Errorf("reason %s, unmet %v", d.Reason, w.progress.UnheardPods)
	}
}

func TestAFreshSetHasNoPodToMeet(t *testing.T) {
	w := newWorld(t, 3)
	w.policy.Persistent = true
	w.run()
	if w.master() != "r-0" || len(w.progress.UnheardPods) > 0 {
		t.Errorf("master %s, unmet %v", w.master(), w.progress.UnheardPods)
	}
}

func TestAPodWhoseVolumeMayHoldDataIsWaitedForUntilItAnswers(t *testing.T) {
	for name, away := range map[string]func(w *world){
		"its pod is pending": func(w *world) { w.pending("r-0"); w.node("r-0").MayHoldData = true },
		"its pod is to come": func(w *world) {
			w.remove("r-0")
			w.absent = []failover.AbsentNode{{Name: "r-0", MayHoldData: true}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			w.policy.Persistent = true
			n := *w.node("r-0")
			away(w)
			w.run()
			w.sleep(time.Hour)
			if d := w.run(); w.master() != "" || d.Reason != failover.ReasonWaitingForData {
				t.Fatalf("master %s, reason %s", w.master(), d.Reason)
			}
			if w.node("r-0") == nil {
				w.absent, w.nodes = nil, slices.Insert(w.nodes, 0, &n)
			}
			w.arrive(&n, 100)
			w.run()
			w.pass(2 * time.Second)
			if w.master() != "r-0" || w.node("r-1").Replication.Keys != 100 {
				t.Errorf("master %s\n%s", w.master(), w.story())
			}
		})
	}
}

func TestWhoIsWaitedForAndCrashesIsSaidToCrash(t *testing.T) {
	w := settled(t, 3)
	w.policy.Persistent = true
	w.withKeys()
	w.die("r-2")
	w.node("r-2").Crashed, w.node("r-2").MayHoldData = true, true
	w.restart("r-0", false)
	w.restart("r-1", false)
	d := w.run()
	if d.Reason != failover.ReasonWaitingForData || !strings.Contains(d.Message, "kubectl logs r-2 --previous") {
		t.Errorf("reason %s: %s", d.Reason, d.Message)
	}
}

// Seed 961016718: the discard of one was not acknowledged for as long as another one had data that was left alone, too.
func TestADiscardIsDoneThoughAnotherPodIsStrange(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.promoteByHand("r-1", 10)
	w.promoteByHand("r-2", 20)
	w.run()
	w.request = &failover.Request{ID: "give up", Verb: failover.VerbDiscard, Target: "r-2"}
	w.run()
	w.pass(2 * time.Second)
	d, _ := w.once()
	if n := w.node("r-2"); n.Replication.Role != failover.RoleReplica || w.request != nil {
		t.Errorf("r-2 is %s, request %v\n%s", n.Replication.Role, w.request, w.story())
	}
	if n := w.node("r-1"); n.Replication.Role != failover.RoleMaster || d.Reason != failover.ReasonDivergentMaster {
		t.Errorf("r-1 is %s: %s\n%s", n.Replication.Role, d.Message, w.story())
	}
}

// Seed 966020743: the status was set back to the first seconds of the set, and an empty node was preferred to the
// living replicas.
func TestAReplicaThatHasHadALinkHoldsNoEarlierDataWhateverAStatusSetBackSays(t *testing.T) {
	p := failover.Progress{Initialized: true, UnheardPods: []string{"r-1"}}
	n := failover.Node{
		Name: "r-1",
		RedisFacts: failover.RedisFacts{
			Replication: failover.Replication{RunID: "run", Keys: 49, Lineage: failover.Lineage{ReplID: "a"}},
		},
	}
	if !p.FoundEarlier(n) {
		t.Error("what it has found on its volume is not seen")
	}
	if n.Heard = (failover.Heard{At: time.Unix(1, 0), RunID: "the process before"}); !p.FoundEarlier(n) {
		t.Error("another process had a link")
	}
	if n.Heard.RunID = "run"; p.FoundEarlier(n) || p.IsForeign(n) {
		t.Error("what it got over its link is taken for found on its volume")
	}
}
