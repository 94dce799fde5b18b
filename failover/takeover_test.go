// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"strings"
	"testing"
	"time"
)

// takeOver replaces the operator: the successor watches every node and has heard none.
func (w *world) takeOver(after time.Duration) {
	w.now = w.now.Add(after)
	for _, n := range w.nodes {
		n.Contact, n.ContactSince, n.LastAnswer, n.WatchedSince = ContactNone, w.now, time.Time{}, w.now
		n.Sampled, n.Stale = false, false
		if n.Heard = (Heard{}); !n.LinkSince.IsZero() && !n.Replication.LinkUp {
			n.Heard = Heard{Master: n.Replication.MasterHost, At: n.LinkSince, RunID: n.Replication.RunID} // a link that has ended tells when, and no more
		}
	}
}

// heard lets the successor hear from a node.
func (w *world) heard(name string, contact Contact) {
	n := w.node(name)
	n.Contact, n.ContactSince = contact, w.now
	w.sample(0)
}

func TestASuccessorHearsEverybodyBeforeItJudges(t *testing.T) {
	// The lease lasts longer than any step may take: a patience that began with the predecessor is over already.
	for _, state := range []State{StateFencing, StatePromoting} {
		t.Run(string(state), func(t *testing.T) {
			w := settled(t, 3)
			w.write(1000, map[string]int64{"r-1": 10})
			w.die("r-0")
			w.node("r-1").Stale = state == StateFencing // with everybody heard there is nothing to be fenced
			w.onAction = func(Action) bool { return state != StateFencing && w.progress.State != StatePromoting }
			for w.progress.State != state {
				w.once()
			}
			w.onAction = nil
			w.takeOver(7 * time.Second)
			for range 3 {
				w.once()
			}
			if w.progress.State != state || w.progress.Epoch != 2 {
				t.Fatalf("before anybody was heard: %s, epoch %d\n%s", w.progress.State, w.progress.Epoch, strings.Join(w.log, "\n"))
			}
			for _, who := range []struct {
				name    string
				contact Contact
			}{{"r-1", ContactAnswering}, {"r-0", ContactRefused}, {"r-2", ContactAnswering}} {
				w.now = w.now.Add(20 * time.Millisecond)
				w.heard(who.name, who.contact)
				w.once()
			}
			w.run()
			if w.master() != "r-2" || w.progress.Epoch != 2 || w.progress.State != StateStable {
				t.Errorf("master %q by epoch %d, state %s; want r-2, which has the most data, by the epoch begun\n%s",
					w.master(), w.progress.Epoch, w.progress.State, strings.Join(w.log, "\n"))
			}
			if strings.Contains(strings.Join(w.log, "\n"), "→"+string(StateBlocked)) {
				t.Errorf("it was blocked on the way:\n%s", strings.Join(w.log, "\n"))
			}
		})
	}
}

// Its predecessor's clock was an hour ahead.
func TestASuccessorCountsFromItsOwnClock(t *testing.T) {
	for _, state := range []State{StateFencing, StatePromoting, StateReattaching} {
		t.Run(string(state), func(t *testing.T) {
			w := settled(t, 3)
			w.write(1000, nil)
			w.die("r-0")
			w.node("r-1").Stale = true // else there is nothing to be fenced
			w.onAction = func(Action) bool { return w.progress.State != state }
			for range 100 {
				if w.once(); w.progress.State == state {
					break
				}
				w.sleep(10 * time.Millisecond)
			}
			w.onAction = nil
			w.progress.Since = w.progress.Since.Add(time.Hour)
			w.takeOver(time.Second)
			w.heard("r-0", ContactRefused)
			w.heard("r-1", ContactSilent) // it has to be waited for, for as long as it may take
			w.heard("r-2", ContactAnswering)
			w.deaf["r-1"] = true
			w.pass(5 * time.Second)
			if w.progress.State != StateStable && w.progress.Reason == ReasonNone {
				t.Errorf("state %s: %s\n%s", w.progress.State, w.progress.Message, w.story())
			}
		})
	}
}

func TestASuccessorDoesNotWaitForeverForTheCandidate(t *testing.T) {
	w := settled(t, 3)
	w.die("r-0")
	w.onAction = func(Action) bool { return w.progress.State != StatePromoting }
	for w.progress.State != StatePromoting {
		w.once()
	}
	w.onAction = nil
	candidate, other := w.progress.Candidate.Pod, "r-1"
	if candidate == other {
		other = "r-2"
	}
	w.takeOver(7 * time.Second)
	w.heard("r-0", ContactRefused)
	w.heard(other, ContactAnswering)
	w.heard(candidate, ContactSilent)
	w.once()
	w.sleep(PromoteWithin)
	w.run()
	if w.master() != other || w.progress.Epoch != 3 {
		t.Errorf("master %q by epoch %d, want %s by 3\n%s", w.master(), w.progress.Epoch, other, strings.Join(w.log, "\n"))
	}
}

// publishedUnnamed is a set of which a candidate was published by an operator that died before the status named it, and then fell
// silent; and its sibling.
func publishedUnnamed(t *testing.T) (w *world, candidate, sibling *Node) {
	t.Helper()
	w = settled(t, 3)
	w.restart("r-0", false)
	w.onAction = func(a Action) bool { _, publishes := a.(Publish); return !publishes }
	for range 20 {
		w.once()
	}
	if w.progress.State != StatePromoting || w.node(w.progress.Candidate.Pod).Replication.Role != RoleMaster {
		t.Fatalf("state %s\n%s", w.progress.State, strings.Join(w.log, "\n"))
	}
	w.onAction = nil
	candidate, sibling = w.node(w.progress.Candidate.Pod), w.node("r-1")
	if candidate == sibling {
		sibling = w.node("r-2")
	}
	w.pub = Published{Pod: candidate.Name, UID: candidate.UID, IP: candidate.IP, Epoch: w.progress.Epoch}
	return w, candidate, sibling
}

func TestAPublishedCandidateIsGivenUpOnlyForWhatAMasterIsGivenUpFor(t *testing.T) {
	tests := map[string]struct {
		happen    func(w *world, candidate, sibling *Node)
		kept      bool
		reason    Reason
		diagnosis Diagnosis
	}{
		"silent without a witness": {func(w *world, c, s *Node) {
			w.hang(c.Name)
			w.remove(s.Name)
			w.remove("r-0")
		}, true, ReasonMasterUnreachableNoWitness, DiagnosisMasterUnreachableNoWitness},
		"silent, and a replica still replicates from it": {func(w *world, c, _ *Node) {
			w.hang(c.Name)
		}, true, ReasonMasterUnreachableButReplicating, DiagnosisMasterUnreachableButReplicating},
		"silent together with a replica of its": {func(w *world, c, s *Node) {
			w.hang(c.Name)
			w.hang(s.Name)
		}, true, ReasonMasterUnreachableWithReplicas, DiagnosisMasterUnreachableWithReplicas},
		"silent for less than down-after": {func(w *world, c, _ *Node) {
			w.hang(c.Name)
			w.policy.DownAfter = time.Minute
		}, true, ReasonNone, DiagnosisHealthy},
		"it refuses our password": {func(w *world, c, _ *Node) {
			w.hang(c.Name)
			c.Contact = ContactDenied
		}, true, ReasonMasterAccessDenied, DiagnosisMasterAccessDenied},
		"silent, as every replica says": {func(w *world, c, _ *Node) { w.hang(c.Name) }, false, ReasonNone, ""},
		"many are silent at once": {func(w *world, c, _ *Node) {
			w.hang(c.Name)
			w.sick = true
		}, true, ReasonObserverSuspect, DiagnosisMasterDown},
		"its process ended": {func(w *world, c, _ *Node) {
			w.die(c.Name)
			c.Exited = true
		}, false, ReasonNone, ""},
		"its pod is gone": {func(w *world, c, _ *Node) { w.remove(c.Name) }, false, ReasonNone, ""},
		"silent, but a person says so": {func(w *world, c, s *Node) {
			w.hang(c.Name)
			w.request = &Request{ID: "f", Verb: VerbForce, Target: s.Name}
		}, false, ReasonNone, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w, candidate, sibling := publishedUnnamed(t)
			epoch := w.progress.Epoch
			test.happen(w, candidate, sibling)
			w.sleep(10 * time.Second)
			if test.reason == ReasonMasterUnreachableButReplicating {
				sibling.Replication.LastIO = time.Second
			}
			d, _ := w.once()
			if kept := d.Next.Epoch == epoch; kept != test.kept || kept && (d.Reason != test.reason || d.Diagnosis != test.diagnosis) {
				t.Fatalf("kept %v, reason %q, diagnosis %q\n%s", kept, d.Reason, d.Diagnosis, strings.Join(w.log, "\n"))
			}
			if w.run(); !test.kept && (w.progress.State != StateStable || w.master() == candidate.Name) {
				t.Errorf("master %q in state %s\n%s", w.master(), w.progress.State, strings.Join(w.log, "\n"))
			}
		})
	}
}

func TestASilentCandidateIsKeptWhileClientsAreStillLedToItFromBefore(t *testing.T) {
	for name, test := range map[string]struct {
		published bool
		keeps     bool
	}{
		"its pod was the master's, and is still published": {true, true},
		"no client is led to it":                           {false, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 2) // both lose their memory: the one that is promoted has no replica, and accepts writes alone
			w.die("r-1")
			w.restart("r-0", false)
			w.onAction = func(a Action) bool { _, publishes := a.(Publish); return !publishes }
			for range 20 {
				w.once()
			}
			w.onAction = nil
			if w.progress.State != StatePromoting || w.progress.Candidate.Pod != "r-0" || w.node("r-0").Replication.MinReplicas != 0 {
				t.Fatalf("state %s\n%s", w.progress.State, strings.Join(w.log, "\n"))
			}
			if !test.published {
				w.pub = Published{}
			}
			epoch := w.progress.Epoch
			w.hang("r-0")
			w.restart("r-1", false)
			w.sleep(10 * time.Second)
			w.run()
			if keeps := w.progress.Epoch == epoch; keeps != test.keeps {
				t.Errorf("epoch %d after %d: master %q\n%s", w.progress.Epoch, epoch, w.master(), strings.Join(w.log, "\n"))
			}
		})
	}
}

func TestNothingIsDoneOnEvidenceThatHasGrownOldWhileItWasPersisted(t *testing.T) {
	w := settled(t, 2)
	w.restart("r-0", true)
	w.onAction = func(Action) bool { return false }
	d, _ := w.once()
	if len(d.Actions) == 0 || len(d.ActionsAfter(ActWithin-1)) != len(d.Actions) {
		t.Errorf("of %d action(s) %d are left in time", len(d.Actions), len(d.ActionsAfter(ActWithin-1)))
	}
	if late := d.ActionsAfter(ActWithin); len(late) > 0 {
		t.Errorf("too late, and done all the same: %v", late)
	}
	if again, _ := w.once(); len(again.Actions) != len(d.Actions) {
		t.Errorf("made anew it asks for %v, not for %v: %s", again.Actions, d.Actions, again.Message)
	}
}

func TestASuccessorDoesNotFinishAFailoverOnAGuessWhoseWitnessMayHaveGoneBack(t *testing.T) {
	tests := map[string]struct {
		happen func(w *world)
		master string
		reason Reason
	}{
		"the master and a replica are out of reach": {func(*world) {}, "", ReasonMasterUnreachableWithReplicas},
		"and the replica is heard again": {func(w *world) {
			w.sleep(time.Second)
			w.heard("r-2", ContactAnswering)
		}, "r-1", ReasonNone},
		"and the replica's pod is gone": {func(w *world) { w.remove("r-2") }, "", ReasonMasterMayStillWrite},
		"and the replica's pod has been gone for as long as the master may write": {func(w *world) {
			w.remove("r-2")
			w.run()
			w.sleep(GuardMaxLag + 2*time.Second)
		}, "r-1", ReasonNone},
		"and nothing listens at the master any more": {func(w *world) { w.heard("r-0", ContactRefused) }, "r-1", ReasonNone},
		"and a person accepts the loss": {func(w *world) {
			w.request = &Request{ID: "1", Verb: VerbForce, Target: "r-1"}
		}, "r-1", ReasonNone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.write(1000, map[string]int64{"r-2": 10})
			w.hang("r-0")
			w.sleep(4 * time.Second)
			w.onAction = func(Action) bool { return false }
			w.until(StateFencing)
			w.onAction = nil
			w.takeOver(7 * time.Second)
			w.heard("r-1", ContactAnswering)
			w.heard("r-0", ContactSilent)
			w.heard("r-2", ContactSilent)
			w.until(StateBlocked)
			if w.progress.Reason != ReasonMasterUnreachableWithReplicas {
				t.Fatalf("blocked for %s\n%s", w.progress.Reason, w.story())
			}
			test.happen(w)
			w.run()
			if test.master == "" && w.pub.Pod != "r-0" || test.master != "" && (w.master() != test.master || w.progress.State != StateStable) || w.progress.Reason != test.reason {
				t.Errorf("master %q, state %s (%s)\n%s", w.master(), w.progress.State, w.progress.Reason, w.story())
			}
		})
	}
}

func TestASuccessorThatNeverHeardTheMasterKnowsWhetherItStopsByItself(t *testing.T) {
	refuses := func(a Action) bool { _, set := a.(SetMinReplicas); return !set }
	for name, tc := range map[string]struct {
		happen func(w *world)
		master string
	}{
		"its min-replicas-to-write was raised": {func(*world) {}, "r-1"},
		"it was not raised yet":                {func(w *world) { w.node("r-0").Replication.MinReplicas = 0 }, "r-0"},
		"it was about to be lowered": {func(w *world) {
			w.die("r-1")
			w.die("r-2")
		}, "r-0"},
		"it has been raised since": {func(w *world) {
			w.node("r-0").Replication.MinReplicas = 0
			w.once()
			w.node("r-0").Replication.MinReplicas = 1
		}, "r-1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.write(1000, nil)
			w.onAction = refuses
			tc.happen(w)
			w.once()
			w.onAction = nil
			for _, replica := range []string{"r-1", "r-2"} { // a process that comes back comes with its memory here; what is asked is what it can do
				n := w.node(replica)
				n.Contact = ContactAnswering
			}
			w.sample(0)
			w.takeOver(time.Second)
			w.heard("r-0", ContactSilent)
			w.heard("r-1", ContactAnswering)
			w.heard("r-2", ContactAnswering)
			w.sleep(time.Minute)
			w.run()
			if w.master() != tc.master || tc.master == "r-0" && w.progress.Reason != ReasonMasterUnreachableWithoutGuard {
				t.Errorf("master %s in state %s, reason %s; want %s\n%s", w.master(), w.progress.State, w.progress.Reason, tc.master, strings.Join(w.log, "\n"))
			}
		})
	}
}

// Seed 713143508: of a switchover, only the promotion and its publication were done when the operator died.
func TestASuccessorDoesNotReplaceAMasterOnAGuessThatWasJustPromoted(t *testing.T) {
	w := settled(t, 3)
	w.node("r-0").Terminating = true
	w.onAction = func(a Action) bool {
		_, set := a.(SetMinReplicas)
		if p, ok := a.(Promote); ok {
			w.apply(Promote{Node: p.Node}) // no other was seen at that moment
			return false
		}
		return !set && w.progress.State != StateReattaching
	}
	w.until(StateReattaching)
	w.onAction = nil
	promoted := w.master()
	w.remove("r-0")
	w.takeOver(7 * time.Second)
	w.heard(promoted, ContactSilent)
	for _, n := range w.nodes {
		if n.Name != promoted {
			w.heard(n.Name, ContactAnswering)
			n.Replication.MasterHost, n.Replication.Linked, n.Replication.LinkUp = w.node(promoted).IP, true, false
		}
	}
	w.sleep(4 * time.Second)
	for range 5 {
		w.once()
	}
	if w.master() != promoted || w.progress.State != StateReattaching && w.progress.State != StateStable && w.progress.State != StateSuspected {
		t.Errorf("master %s in state %s, want %s kept\n%s", w.master(), w.progress.State, promoted, strings.Join(w.log, "\n"))
	}
}
