// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

func TestOfADeadMasterTheIntentAndTheChoiceAreOneStep(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, map[string]int64{"r-1": 10})
	w.die("r-0")
	d, _ := w.once()
	if d.Next.State != failover.StatePromoting || d.Next.Candidate == nil || d.Next.Candidate.Pod != "r-2" ||
		d.Next.Epoch != 2 {
		t.Fatalf("%s", w.story())
	}
	if len(d.Actions) != 1 {
		t.Errorf("%d actions, want the promotion alone\n%s", len(d.Actions), w.story())
	}
	if promote, ok := d.Actions[0].(failover.Promote); !ok || promote.Node.Pod != "r-2" {
		t.Errorf("%T(%s)", d.Actions[0], d.Actions[0].Target().Pod)
	}
	for _, name := range []string{failover.StepEvidence, failover.StepIntent, failover.StepDetached} {
		if !slices.ContainsFunc(d.Next.Steps, func(s failover.Step) bool { return s.Name == name }) {
			t.Errorf("step %s is missing of %+v", name, d.Next.Steps)
		}
	}
	for _, part := range []string{"master r-0 refuses connections", "r-2 has the most data"} {
		if !strings.Contains(d.Next.Message, part) {
			t.Errorf("%q does not say %q", d.Next.Message, part)
		}
	}
	if w.run(); w.master() != "r-2" || w.progress.State != failover.StateStable ||
		!w.node("r-1").Follows(w.node("r-2").IP) {
		t.Errorf("master %s, state %s\n%s", w.master(), w.progress.State, w.story())
	}
}

func TestAMasterThatWasStartedAnewAndIsFencedIsReplacedInOneStep(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.die("r-0")
	w.reboot("r-0", 0)
	if d, _ := w.once(); d.Diagnosis != failover.DiagnosisMasterRestarted || d.Next.State != failover.StatePromoting ||
		d.Next.Epoch != 2 {
		t.Fatalf("%s", w.story())
	}
}

func TestWhoMayStillGetDataIsFencedBeforeAnybodyIsChosen(t *testing.T) {
	for name, happen := range map[string]func(w *world){
		"a replica does not answer":       func(w *world) { w.node("r-1").Contact = failover.ContactSilent },
		"a replica was not heard since":   func(w *world) { w.node("r-1").Stale = true },
		"a replica is in a full sync":     func(w *world) { w.node("r-1").Replication.Syncing = true },
		"a replica follows another Redis": func(w *world) { w.node("r-1").Replication.MasterHost = "10.9.9.9" },
		"a replica was heard before the death": func(w *world) {
			w.node("r-1").SampledAt = w.now.Add(-time.Second)
			w.node("r-0").Exited = true
		},
		"a person has made the new process of the old master a master": func(w *world) {
			n := w.node("r-0")
			n.Contact, n.ContactSince, n.SampledAt = failover.ContactAnswering, w.now, w.now
			n.Replication = failover.Replication{RunID: "again", Role: failover.RoleMaster, Lineage: failover.Lineage{ReplID: "another", ReplID2: failover.NoReplID, SecondOffset: -1}}
		},
		"the link of a replica is up": func(w *world) {
			w.node("r-1").Replication.LinkUp = true
			w.node("r-0").Exited = true
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.write(1000, nil)
			w.sleep(5 * time.Second)
			w.die("r-0")
			happen(w)
			d := Decide(w.now, w.policy, w.observe(), w.progress, nil)
			if d.Next.State != failover.StateFencing || d.Next.Epoch != 2 {
				t.Fatalf("%+v", d)
			}
			for _, a := range d.Actions {
				if _, ok := a.(failover.Detach); !ok {
					t.Errorf("%T before everybody was told to detach", a)
				}
			}
		})
	}
}

func TestACandidateThatReplicatesAgainIsNotPromoted(t *testing.T) {
	// What looked dead was not: a filter had reset the connections to it, and was taken away before the choice could be
	// acted on.
	w := settled(t, 3)
	w.write(1000, nil)
	w.die("r-0")
	w.onAction = func(failover.Action) bool { return false }
	w.once()
	for _, name := range []string{"r-1", "r-2"} {
		w.node(name).Replication.LinkUp = true
	}
	d, _ := w.once()
	if d.Next.State != failover.StateFencing || d.Next.Epoch != 3 || d.Next.Candidate != nil {
		t.Errorf("state %s, epoch %d: %s", d.Next.State, d.Next.Epoch, d.Message)
	}
	for _, a := range d.Actions {
		if _, ok := a.(failover.Promote); ok {
			t.Errorf("%s is promoted all the same", a.Target().Pod)
		}
	}
}

func TestANewMasterThatDiesBeforeItIsWrittenDownIsReplacedAtOnce(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.die("r-0")
	for range 50 {
		if w.pub.Pod != "r-0" {
			break
		}
		w.once()
	}
	first := w.pub.Pod
	if w.once(); w.progress.State != failover.StatePromoting {
		t.Fatalf("%s is written down before its clients had their time\n%s", first, w.story())
	}
	died := w.now
	w.die(first)
	w.run()
	if w.master() == first || w.master() == "r-0" || w.progress.State != failover.StateStable || w.progress.Epoch != 3 {
		t.Errorf("master %s by epoch %d, state %s\n%s", w.master(), w.progress.Epoch, w.progress.State, w.story())
	}
	if took := w.node(w.master()).RoleSince.Sub(died); took > 200*time.Millisecond {
		t.Errorf("its successor is master after %s", took)
	}
}
