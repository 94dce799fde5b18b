// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// takeOver replaces the operator: the successor watches every node and has heard none.
func (w *world) takeOver(after time.Duration) {
	w.now = w.now.Add(after)
	for _, n := range w.nodes {
		n.Contact, n.ContactSince, n.LastAnswer, n.WatchedSince = failover.ContactNone, w.now, time.Time{}, w.now
		n.Sampled, n.Stale, n.OrderedAt = false, false, time.Time{}
		if n.Heard = (failover.Heard{}); !n.LinkSince.IsZero() && !n.Replication.LinkUp {
			n.Heard = failover.Heard{
				Master: n.Replication.MasterHost,
				At:     n.LinkSince,
				RunID:  n.Replication.RunID,
			} // a link that has ended tells when, and no more
		}
	}
}

// heard lets the successor hear from a node.
func (w *world) heard(name string, contact failover.Contact) {
	n := w.node(name)
	n.Contact, n.ContactSince = contact, w.now
	w.sample(0)
}

func TestASuccessorHearsEverybodyBeforeItJudges(t *testing.T) {
	// The lease lasts longer than any step may take: a patience that began with the predecessor is over already.
	for _, state := range []failover.State{failover.StateFencing, failover.StatePromoting} {
		t.Run(string(state), func(t *testing.T) {
			w := settled(t, 3)
			w.write(1000, map[string]int64{"r-1": 10})
			w.die("r-0")
			w.node("r-1").Stale = state == failover.StateFencing // with everybody heard there is nothing to be fenced
			w.onAction = func(failover.Action) bool {
				return state != failover.StateFencing && w.progress.State != failover.StatePromoting
			}
			for w.progress.State != state {
				w.once()
			}
			w.onAction = nil
			w.takeOver(7 * time.Second)
			for range 3 {
				w.once()
			}
			if w.progress.State != state || w.progress.Epoch != 2 {
				t.Fatalf(
					"before anybody was heard: %s, epoch %d\n%s", w.progress.State, w.progress.Epoch, strings.Join(w.log, "\n"),
				)
			}
			for _, who := range []struct {
				name    string
				contact failover.Contact
			}{{"r-1", failover.ContactAnswering}, {"r-0", failover.ContactRefused}, {"r-2", failover.ContactAnswering}} {
				w.now = w.now.Add(20 * time.Millisecond)
				w.heard(who.name, who.contact)
				w.once()
			}
			w.run()
			if w.master() != "r-2" || w.progress.Epoch != 2 || w.progress.State != failover.StateStable {
				t.Errorf("master %q by epoch %d, state %s; want r-2, which has the most data, by the epoch begun\n%s",
					w.master(), w.progress.Epoch, w.progress.State, strings.Join(w.log, "\n"))
			}
			if strings.Contains(strings.Join(w.log, "\n"), "→"+string(failover.StateBlocked)) {
				t.Errorf("it was blocked on the way:\n%s", strings.Join(w.log, "\n"))
			}
		})
	}
}

// Its predecessor's clock was an hour ahead.
func TestASuccessorCountsFromItsOwnClock(t *testing.T) {
	for _, state := range []failover.State{failover.StateFencing, failover.StatePromoting, failover.StateReattaching} {
		t.Run(string(state), func(t *testing.T) {
			w := settled(t, 3)
			w.write(1000, nil)
			w.die("r-0")
			w.node("r-1").Stale = true // else there is nothing to be fenced
			w.onAction = func(failover.Action) bool { return w.progress.State != state }
			for range 100 {
				if w.once(); w.progress.State == state {
					break
				}
				w.sleep(10 * time.Millisecond)
			}
			w.onAction = nil
			w.progress.Since = w.progress.Since.Add(time.Hour)
			w.takeOver(time.Second)
			w.heard("r-0", failover.ContactRefused)
			w.heard("r-1", failover.ContactSilent) // it has to be waited for, for as long as it may take
			w.heard("r-2", failover.ContactAnswering)
			w.deaf["r-1"] = true
			w.pass(5 * time.Second)
			if w.progress.State != failover.StateStable && w.progress.Reason == failover.ReasonNone {
				t.Errorf("state %s: %s\n%s", w.progress.State, w.progress.Message, w.story())
			}
		})
	}
}

func TestASuccessorDoesNotWaitForeverForTheCandidate(t *testing.T) {
	w := settled(t, 3)
	w.die("r-0")
	w.onAction = func(failover.Action) bool { return w.progress.State != failover.StatePromoting }
	for w.progress.State != failover.StatePromoting {
		w.once()
	}
	w.onAction = nil
	candidate, other := w.progress.Candidate.Pod, "r-1"
	if candidate == other {
		other = "r-2"
	}
	w.takeOver(7 * time.Second)
	w.heard("r-0", failover.ContactRefused)
	w.heard(other, failover.ContactAnswering)
	w.heard(candidate, failover.ContactSilent)
	w.once()
	w.sleep(failover.PromoteWithin)
	w.run()
	if w.master() != other || w.progress.Epoch != 3 {
		t.Errorf("master %q by epoch %d, want %s by 3\n%s", w.master(), w.progress.Epoch, other, strings.Join(w.log, "\n"))
	}
}

// publishedUnnamed is a set of which a candidate was published by an operator that died before the status named it, and
// then fell silent; and its sibling.
func publishedUnnamed(t *testing.T) (w *world, candidate, sibling *failover.Node) {
	t.Helper()
	w = settled(t, 3)
	w.restart("r-0", false)
	w.onAction = func(a failover.Action) bool { _, publishes := a.(failover.Publish); return !publishes }
	for range 20 {
		w.once()
	}
	if w.progress.State != failover.StatePromoting ||
		w.node(w.progress.Candidate.Pod).Replication.Role != failover.RoleMaster {
		t.Fatalf("state %s\n%s", w.progress.State, strings.Join(w.log, "\n"))
	}
	w.onAction = nil
	candidate, sibling = w.node(w.progress.Candidate.Pod), w.node("r-1")
	if candidate == sibling {
		sibling = w.node("r-2")
	}
	w.pub = failover.Published{Pod: candidate.Name, UID: candidate.UID, IP: candidate.IP, Epoch: w.progress.Epoch}
	return w, candidate, sibling
}

func TestAPublishedCandidateIsGivenUpOnlyForWhatAMasterIsGivenUpFor(t *testing.T) {
	tests := map[string]struct {
		happen    func(w *world, candidate, sibling *failover.Node)
		kept      bool
		reason    failover.Reason
		diagnosis failover.Diagnosis
	}{
		"silent without a witness": {func(w *world, c, s *failover.Node) {
			w.hang(c.Name)
			w.remove(s.Name)
			w.remove("r-0")
		}, true, failover.ReasonMasterUnreachableNoWitness, failover.DiagnosisMasterUnreachableNoWitness},
		"silent, and a replica still replicates from it": {func(w *world, c, _ *failover.Node) {
			w.hang(c.Name)
		}, true, failover.ReasonMasterUnreachableButReplicating, failover.DiagnosisMasterUnreachableButReplicating},
		"silent together with a replica of its": {func(w *world, c, s *failover.Node) {
			w.hang(c.Name)
			w.hang(s.Name)
		}, true, failover.ReasonMasterUnreachableWithReplicas, failover.DiagnosisMasterUnreachableWithReplicas},
		"silent for less than down-after": {func(w *world, c, _ *failover.Node) {
			w.hang(c.Name)
			w.policy.DownAfter = time.Minute
		}, true, failover.ReasonNone, failover.DiagnosisHealthy},
		"it refuses our password": {func(w *world, c, _ *failover.Node) {
			w.hang(c.Name)
			c.Contact = failover.ContactDenied
		}, true, failover.ReasonMasterAccessDenied, failover.DiagnosisMasterAccessDenied},
		"silent, as every replica says": {
			func(w *world, c, _ *failover.Node) { w.hang(c.Name) },
			false,
			failover.ReasonNone,
			"",
		},
		"many are silent at once": {func(w *world, c, _ *failover.Node) {
			w.hang(c.Name)
			w.sick = true
		}, true, failover.ReasonObserverSuspect, failover.DiagnosisMasterDown},
		"its process ended": {func(w *world, c, _ *failover.Node) {
			w.die(c.Name)
			c.Exited = true
		}, false, failover.ReasonNone, ""},
		"its pod is gone": {func(w *world, c, _ *failover.Node) { w.remove(c.Name) }, false, failover.ReasonNone, ""},
		"silent, but a person says so": {func(w *world, c, s *failover.Node) {
			w.hang(c.Name)
			w.request = &failover.Request{ID: "f", Verb: failover.VerbForce, Target: s.Name}
		}, false, failover.ReasonNone, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w, candidate, sibling := publishedUnnamed(t)
			epoch := w.progress.Epoch
			test.happen(w, candidate, sibling)
			w.sleep(10 * time.Second)
			if test.reason == failover.ReasonMasterUnreachableButReplicating {
				sibling.Replication.LastIO = time.Second
			}
			d, _ := w.once()
			if kept := d.Next.Epoch == epoch; kept != test.kept ||
				kept && (d.Reason != test.reason || d.Diagnosis != test.diagnosis) {
				t.Fatalf("kept %v, reason %q, diagnosis %q\n%s", kept, d.Reason, d.Diagnosis, strings.Join(w.log, "\n"))
			}
			if w.run(); !test.kept && (w.progress.State != failover.StateStable || w.master() == candidate.Name) {
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
			w.onAction = func(a failover.Action) bool { _, publishes := a.(failover.Publish); return !publishes }
			for range 20 {
				w.once()
			}
			w.onAction = nil
			if w.progress.State != failover.StatePromoting || w.progress.Candidate.Pod != "r-0" ||
				w.node("r-0").Replication.MinReplicas != 0 {
				t.Fatalf("state %s\n%s", w.progress.State, strings.Join(w.log, "\n"))
			}
			if !test.published {
				w.pub = failover.Published{}
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
	w.onAction = func(failover.Action) bool { return false }
	d, _ := w.once()
	if len(d.Actions) == 0 || len(d.ActionsAfter(failover.ActWithin-1)) != len(d.Actions) {
		t.Errorf("of %d action(s) %d are left in time", len(d.Actions), len(d.ActionsAfter(failover.ActWithin-1)))
	}
	if late := d.ActionsAfter(failover.ActWithin); len(late) > 0 {
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
		reason failover.Reason
	}{
		"the master and a replica are out of reach": {func(*world) {}, "", failover.ReasonMasterUnreachableWithReplicas},
		"and the replica is heard again": {func(w *world) {
			w.sleep(time.Second)
			w.heard("r-2", failover.ContactAnswering)
		}, "r-1", failover.ReasonNone},
		"and the replica's pod is gone": {func(w *world) { w.remove("r-2") }, "", failover.ReasonMasterMayStillWrite},
		"and the replica's pod has been gone for as long as the master may write": {func(w *world) {
			w.remove("r-2")
			w.run()
			w.sleep(failover.GuardMaxLag + 2*time.Second)
		}, "r-1", failover.ReasonNone},
		"and nothing listens at the master any more": {
			func(w *world) { w.heard("r-0", failover.ContactRefused) },
			"r-1",
			failover.ReasonNone,
		},
		"and a person accepts the loss": {func(w *world) {
			w.request = &failover.Request{ID: "1", Verb: failover.VerbForce, Target: "r-1"}
		}, "r-1", failover.ReasonNone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 3)
			w.write(1000, map[string]int64{"r-2": 10})
			w.hang("r-0")
			w.sleep(4 * time.Second)
			w.onAction = func(failover.Action) bool { return false }
			w.until(failover.StateFencing)
			w.onAction = nil
			w.takeOver(7 * time.Second)
			w.heard("r-1", failover.ContactAnswering)
			w.heard("r-0", failover.ContactSilent)
			w.heard("r-2", failover.ContactSilent)
			w.until(failover.StateBlocked)
			if w.progress.Reason != failover.ReasonMasterUnreachableWithReplicas {
				t.Fatalf("blocked for %s\n%s", w.progress.Reason, w.story())
			}
			test.happen(w)
			w.run()
			if test.master == "" && w.pub.Pod != "r-0" ||
				test.master != "" && (w.master() != test.master || w.progress.State != failover.StateStable) ||
				w.progress.Reason != test.reason {
				t.Errorf("master %q, state %s (%s)\n%s", w.master(), w.progress.State, w.progress.Reason, w.story())
			}
		})
	}
}

func TestASuccessorThatNeverHeardTheMasterKnowsWhetherItStopsByItself(t *testing.T) {
	refuses := func(a failover.Action) bool { _, set := a.(failover.SetMinReplicas); return !set }
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
				n.Contact = failover.ContactAnswering
			}
			w.sample(0)
			w.takeOver(time.Second)
			w.heard("r-0", failover.ContactSilent)
			w.heard("r-1", failover.ContactAnswering)
			w.heard("r-2", failover.ContactAnswering)
			w.sleep(time.Minute)
			w.run()
			if w.master() != tc.master ||
				tc.master == "r-0" && w.progress.Reason != failover.ReasonMasterUnreachableWithoutGuard {
				t.Errorf(
					"master %s in state %s, reason %s; want %s\n%s", w.master(), w.progress.State, w.progress.Reason, tc.master,
					strings.Join(w.log, "\n"),
				)
			}
		})
	}
}

// Seed 713143508: of a switchover, only the promotion and its publication were done when the operator died.
func TestASuccessorDoesNotReplaceAMasterOnAGuessThatWasJustPromoted(t *testing.T) {
	w := settled(t, 3)
	w.node("r-0").Terminating = true
	w.onAction = func(a failover.Action) bool {
		_, set := a.(failover.SetMinReplicas)
		if p, ok := a.(failover.Promote); ok {
			w.apply(failover.Promote{Node: p.Node}) // no other was seen at that moment
			return false
		}
		return !set && w.progress.State != failover.StateReattaching
	}
	w.until(failover.StateReattaching)
	w.onAction = nil
	promoted := w.master()
	w.remove("r-0")
	w.takeOver(7 * time.Second)
	w.heard(promoted, failover.ContactSilent)
	for _, n := range w.nodes {
		if n.Name != promoted {
			w.heard(n.Name, failover.ContactAnswering)
			n.Replication.MasterHost, n.Replication.Linked, n.Replication.LinkUp = w.node(promoted).IP, true, false
		}
	}
	w.sleep(4 * time.Second)
	for range 5 {
		w.once()
	}
	if w.master() != promoted ||
		w.progress.State != failover.StateReattaching && w.progress.State != failover.StateStable &&
			w.progress.State != failover.StateSuspected {
		t.Errorf("master %s in state %s, want %s kept\n%s", w.master(), w.progress.State, promoted, strings.Join(w.log, "\n"))
	}
}
