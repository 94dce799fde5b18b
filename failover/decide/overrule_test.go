// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// setBack gives the world a status that is older than it is.
func (w *world) setBack(p failover.Progress) {
	w.log = append(w.log, "the status is set back to epoch "+itoa(p.Epoch))
	w.progress = p.Clone()
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// moved is a world whose master has gone from r-0 to r-1 and on to r-2; its first status and its last.
func moved(t *testing.T) (w *world, first failover.Progress) {
	t.Helper()
	w = settled(t, 3)
	w.write(1000, nil)
	first = w.progress.Clone()
	for _, to := range []string{"r-1", "r-2"} {
		w.request = &failover.Request{ID: "to " + to, Verb: failover.VerbSwitchover, Target: to}
		w.pass(3 * time.Second)
		w.write(1000, nil)
		for _, n := range w.nodes {
			n.Replication.Keys = 100
		}
		if w.master() != to {
			t.Fatalf("the master is %s, want %s", w.master(), to)
		}
	}
	return w, first
}

// undisturbed fails if anybody is fenced, promoted or pointed elsewhere.
func (w *world) undisturbed(t *testing.T) {
	t.Helper()
	w.onAction = func(a failover.Action) bool {
		switch a.(type) {
		case failover.Detach, failover.Promote, failover.Follow, failover.Drain, failover.DeletePod:
			t.Errorf("%T of %s on the word of an outdated status", a, a.Target().Pod)
		}
		return true
	}
}

func TestAStatusThatIsOlderThanWhatIsPublishedGivesWay(t *testing.T) {
	tests := map[string]func(first, last failover.Progress) failover.Progress{
		"lost":     func(failover.Progress, failover.Progress) failover.Progress { return failover.Progress{} },
		"restored": func(first, _ failover.Progress) failover.Progress { return first },
		"master and epoch restored": func(first, last failover.Progress) failover.Progress {
			last.Master, last.Epoch = first.Master, first.Epoch
			return last
		},
		"master restored": func(first, last failover.Progress) failover.Progress {
			last.Master = first.Master
			return last
		},
		"master lost": func(_, last failover.Progress) failover.Progress {
			last.Master = nil
			return last
		},
		"of a failover that is over": func(_, last failover.Progress) failover.Progress {
			old := last.Master.NodeRef
			last.State, last.OldMaster, last.Master = failover.StateFencing, &old, nil
			return last
		},
	}
	for name, status := range tests {
		t.Run(name, func(t *testing.T) {
			w, first := moved(t)
			last := w.progress.Clone()
			w.setBack(status(first, last))
			w.undisturbed(t)
			d, _ := w.once()
			if !d.Overruled || !strings.Contains(d.Message, "before epoch 3 was published") {
				t.Errorf("the status was not overruled: %s", d.Message)
			}
			w.pass(5 * time.Second)
			p := w.progress
			if w.master() != "r-2" || p.Epoch != last.Epoch || p.State != failover.StateStable || !p.Initialized ||
				p.Reason != failover.ReasonNone {
				t.Fatalf("master %q by epoch %d, state %s, reason %s\n%s", w.master(), p.Epoch, p.State, p.Reason, w.story())
			}
			w.onAction = nil
			w.die("r-2") // the next fault
			w.pass(time.Second)
			if (w.master() != "r-0" && w.master() != "r-1") || w.progress.Epoch != last.Epoch+1 {
				t.Errorf("after the next fault the master is %q by epoch %d\n%s", w.master(), w.progress.Epoch, w.story())
			}
		})
	}
}

// The published master is lost together with the status: the operator is away, or sees both at once.
func TestWhoFollowedThePublishedMasterSucceedsItWhateverTheStatusSays(t *testing.T) {
	for name, away := range map[string]bool{"operator running": false, "operator away": true} {
		for _, status := range []string{"lost", "restored"} {
			t.Run(name+", status "+status, func(t *testing.T) {
				w, first := moved(t)
				epoch := w.progress.Epoch
				if status == "lost" {
					first = failover.Progress{}
				}
				w.setBack(first)
				w.restart("r-2", false)
				if away {
					w.takeOver(time.Second)
					for _, name := range []string{"r-2", "r-1", "r-0"} { // the empty one is heard first
						w.once()
						w.heard(name, failover.ContactAnswering)
					}
				}
				w.pass(3 * time.Second)
				m := w.master()
				if (m != "r-0" && m != "r-1") || w.node(m).Replication.Keys != 100 || w.progress.Epoch != epoch+1 {
					t.Errorf(
						"master %q by epoch %d, state %s (%s)\n%s", m, w.progress.Epoch, w.progress.State, w.progress.Reason, w.story(),
					)
				}
				if w.node("r-2").Replication.MasterHost != w.node(m).IP {
					t.Errorf("r-2 follows %s", w.node("r-2").Replication.MasterHost)
				}
			})
		}
	}
}

// Seed 971196304: its replica's sample is from a moment before the end of the link, and the address that it follows is no
// pod's any more.
func TestWhoIsLinkedToThePublishedMasterIsOfTheSetThoughItsPodIsGone(t *testing.T) {
	for name, away := range map[string]bool{"operator running": false, "operator away": true} {
		t.Run(name, func(t *testing.T) {
			w, _ := moved(t)
			w.restart("r-1", false)
			w.setBack(failover.Progress{})
			linked := *w.node("r-0")
			w.remove("r-2")
			if away {
				w.takeOver(time.Second)
				w.heard("r-0", failover.ContactAnswering)
				w.heard("r-1", failover.ContactAnswering)
			}
			w.node("r-0").Replication = linked.Replication
			if d, _ := w.once(); !d.Overruled {
				t.Fatalf("the status was not overruled: %s", d.Message)
			}
			w.pass(3 * time.Second)
			if w.master() != "r-0" || w.node("r-0").Replication.Keys != 100 {
				t.Errorf("master %q, state %s (%s)\n%s", w.master(), w.progress.State, w.progress.Reason, w.story())
			}
		})
	}
}

// The status is lost in the middle of a failover: all nodes are fenced, and follow no master any more.
func TestWhoWasFencedInAFailoverThatNoStatusTellsOfSucceeds(t *testing.T) {
	for name, away := range map[string]bool{"operator running": false, "operator away": true} {
		t.Run(name, func(t *testing.T) {
			w, _ := moved(t)
			w.policy.Persistent = true
			old := w.node("r-2").Replication.Lineage
			w.write(1000, nil)
			w.hang("r-2")
			w.onAction = func(a failover.Action) bool { _, promotes := a.(failover.Promote); return !promotes }
			for range 100 {
				if w.once(); w.progress.State == failover.StatePromoting {
					break
				}
				w.sleep(100 * time.Millisecond)
			}
			w.onAction = nil
			w.setBack(failover.Progress{})
			w.restart("r-2", false) // with an old snapshot
			w.node("r-2").Replication.Lineage, w.node("r-2").Replication.Keys = old, 200
			if away {
				w.takeOver(time.Second)
				for _, name := range []string{"r-2", "r-1", "r-0"} {
					w.once()
					w.heard(name, failover.ContactAnswering)
				}
			}
			w.pass(3 * time.Second)
			if m := w.master(); m != "r-0" && m != "r-1" {
				t.Errorf("master %q, state %s (%s)\n%s", m, w.progress.State, w.progress.Reason, w.story())
			}
		})
	}
}

// A person has pointed the published master at another Redis, and its replicas got that one's data from it.
func TestWhatAPublishedMasterGotElsewhereIsNotAdopted(t *testing.T) {
	w, _ := moved(t)
	other := failover.Lineage{ReplID: "another's", ReplID2: failover.NoReplID, SecondOffset: -1, Offset: 1 << 20}
	w.command(w.node("r-2"), failover.Follow{Master: failover.NodeRef{IP: foreignHost}})
	w.sample(0)
	for _, n := range w.nodes {
		n.Replication.Lineage, n.Replication.Keys = other, 100_000
		n.Replication.LinkUp, n.Replication.Linked = true, true
	}
	w.setBack(failover.Progress{})
	w.pass(3 * time.Second)
	if w.progress.State != failover.StateBlocked || w.progress.Reason != failover.ReasonNoCandidate {
		t.Errorf("master %q, state %s (%s)\n%s", w.master(), w.progress.State, w.progress.Reason, w.story())
	}
}

// The first master was restarted and pointed at another Redis. Its own promotion, which the status tells of again, is
// not repeated.
func TestAFirstMasterThatWasPublishedIsJudgedAsOneThoughTheStatusCallsItACandidate(t *testing.T) {
	for name, happen := range map[string]func(w *world){
		"restarted":                      func(w *world) { w.reboot("r-0", 0) },
		"restarted and led knownForeign": func(w *world) { w.reboot("r-0", 0); w.followForeignMaster("r-0") },
		"its pod is gone":                func(w *world) { w.remove("r-0") },
		"refuses there":                  func(w *world) { w.die("r-0") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			w.until(failover.StatePromoting)
			before := w.progress.Clone()
			w.pass(2 * time.Second)
			w.write(1000, nil)
			for _, n := range w.nodes {
				n.Replication.Keys = 100
			}
			happen(w)
			w.setBack(before)
			contact := map[string]failover.Contact{}
			for _, n := range w.nodes {
				contact[n.Name] = n.Contact
			}
			w.takeOver(time.Second)
			for _, n := range w.nodes {
				w.once()
				w.heard(n.Name, contact[n.Name])
			}
			w.pass(3 * time.Second)
			m := w.master()
			if (m != "r-1" && m != "r-2") || w.node(m).Replication.Keys != 100 || w.progress.Epoch != before.Epoch+1 {
				t.Errorf(
					"master %q by epoch %d, state %s (%s)\n%s", m, w.progress.Epoch, w.progress.State, w.progress.Reason, w.story(),
				)
			}
		})
	}
}

// A master that is published, silent, and of which nothing is known may go on writing alone.
func TestASilentMasterThatNoStatusTellsOfIsReplacedWhereItsGuardIsKnown(t *testing.T) {
	w, _ := moved(t)
	w.setBack(failover.Progress{})
	w.hang("r-2")
	w.pass(6 * time.Second)
	if w.master() == "r-2" {
		t.Errorf("this operator has seen its write guard: %s", w.progress.Reason)
	}

	w, _ = moved(t)
	w.setBack(failover.Progress{})
	w.hang("r-2")
	w.takeOver(time.Second)
	w.heard("r-0", failover.ContactAnswering)
	w.heard("r-1", failover.ContactAnswering)
	w.heard("r-2", failover.ContactSilent)
	w.pass(20 * time.Second)
	if w.master() != "r-2" || w.progress.Reason != failover.ReasonMasterUnreachableWithoutGuard {
		t.Errorf("master %q, reason %s\n%s", w.master(), w.progress.Reason, w.story())
	}
	w.node("r-2").Contact = failover.ContactAnswering
	w.pass(2 * time.Second)
	if w.progress.State != failover.StateStable || w.progress.Master.RunID != w.node("r-2").Replication.RunID {
		t.Errorf("state %s, process %q", w.progress.State, w.progress.Master.RunID)
	}
	w.hang("r-2") // now it is known
	w.pass(6 * time.Second)
	if w.master() == "r-2" {
		t.Errorf("it is not replaced: %s", w.progress.Reason)
	}
}

// A set without a status and without a publication looks like a new one. Who may hold data is heard before an empty one
// is promoted.
func TestAFirstMasterIsNotChosenBeforeEverybodyWasHeard(t *testing.T) {
	w, _ := moved(t)
	w.setBack(failover.Progress{})
	w.pub = failover.Published{}
	w.restart("r-2", false)
	w.takeOver(time.Second)
	for _, name := range []string{"r-0", "r-1"} {
		w.node(name).Replication.Role, w.node(name).Replication.LinkUp = failover.RoleReplica, false
	}
	w.restart("r-0", false)
	w.heard("r-0", failover.ContactAnswering)
	w.heard("r-2", failover.ContactAnswering)
	if d, _ := w.once(); len(d.Actions) > 0 {
		t.Fatalf("chosen before r-1 was heard: %s", d.Message)
	}
	w.heard("r-1", failover.ContactAnswering)
	w.pass(time.Second)
	if w.master() != "r-1" {
		t.Errorf("master %q, and r-1 holds the data\n%s", w.master(), w.story())
	}
}

// A failover was blocked until the Service led nowhere, and then the status was lost. Whoever holds the most begins;
// under Strict a person chooses, as no status tells who had every write.
func TestASetWithoutAMasterAndWithoutAStatusBeginsWithTheMostDataUnlessStrict(t *testing.T) {
	for consistency, want := range map[failover.Consistency]failover.State{failover.ConsistencyBounded: failover.StateStable, failover.ConsistencyStrict: failover.StateBlocked} {
		t.Run(string(consistency), func(t *testing.T) {
			w, _ := moved(t)
			w.policy.Persistent, w.policy.Consistency = true, consistency
			w.write(1000, map[string]int64{"r-0": 500})
			w.pub = failover.Published{Epoch: w.progress.Epoch + 1}
			w.restart("r-2", false)
			for _, name := range []string{"r-0", "r-1"} {
				w.command(w.node(name), failover.Detach{})
			}
			w.setBack(failover.Progress{})
			w.pass(3 * time.Second)
			if w.progress.State != want || want == failover.StateStable && w.master() != "r-1" {
				t.Errorf("master %q, state %s (%s)\n%s", w.master(), w.progress.State, w.progress.Reason, w.story())
			}
		})
	}
}

// Seed 971802315: a status from before the others were met is restored. That one has found data that came after the
// first master was chosen is not to be told any more: it may have been in sync since.
func TestWhoWasMetAfterTheStatusThatWasRestoredIsElected(t *testing.T) {
	w := newWorld(t, 3)
	w.policy.Persistent = true
	others := []*failover.Node{w.pending("r-1"), w.pending("r-2")}
	w.until(failover.StatePromoting)
	before := w.progress.Clone()
	if len(before.UnheardPods) == 0 {
		t.Fatal("the others were heard when the first master was chosen")
	}
	for _, n := range others {
		w.arrive(n, 0)
	}
	w.pass(3 * time.Second)
	w.write(1000, nil)
	w.pub = failover.Published{Epoch: w.progress.Epoch + 1} // blocked until it led nowhere
	for name, keys := range map[string]int64{"r-0": 0, "r-1": 0, "r-2": 17} {
		w.restart(name, false)
		w.node(name).Replication.Keys = keys
	}
	w.setBack(before)
	w.pass(3 * time.Second)
	if w.master() != "r-2" || w.node("r-2").Replication.Keys != 17 {
		t.Errorf("master %q, state %s (%s)\n%s", w.master(), w.progress.State, w.progress.Reason, w.story())
	}
}

// Seed 972048200: the same, and the Service still leads to r-1, which does not answer as master. What its process holds
// no status tells. When its pod comes again without data, the one that has some is elected, whenever it was met.
func TestWhoWasMetAfterTheStatusThatWasRestoredFollowsThePublishedMaster(t *testing.T) {
	w := newWorld(t, 3)
	w.policy.Persistent = true
	others := []*failover.Node{w.pending("r-1"), w.pending("r-2")}
	w.until(failover.StatePromoting)
	before := w.progress.Clone()
	for _, n := range others {
		w.arrive(n, 0)
	}
	w.pass(3 * time.Second)
	w.write(1000, nil)
	w.pub = failover.Published{Pod: "r-1", UID: w.node("r-1").UID, IP: w.node("r-1").IP, Epoch: w.progress.Epoch + 1}
	for name, keys := range map[string]int64{"r-0": 0, "r-1": 0, "r-2": 17} {
		w.restart(name, false)
		w.node(name).Replication.Keys = keys
	}
	w.setBack(before)
	w.pass(3 * time.Second)
	if w.progress.State != failover.StateBlocked {
		t.Fatalf("master %q, and what r-1 held is not known\n%s", w.master(), w.story())
	}
	w.anew("r-1")
	w.node("r-1").Replication.Keys = 0
	w.pass(3 * time.Second)
	if w.master() != "r-2" || w.node("r-2").Replication.Keys != 17 {
		t.Errorf("master %q, state %s (%s)\n%s", w.master(), w.progress.State, w.progress.Reason, w.story())
	}
}

// Seed 973042582: the same within one epoch, so that no one sees that a status was restored. r-1 is still taken for one
// that has found earlier data. The master has found the same history on its volume, and it is the set's.
func TestTheMasterIsElectedThoughOneWithItsDataSeemsToHaveFoundEarlierData(t *testing.T) {
	w := newWorld(t, 3)
	w.policy.Persistent, w.policy.Consistency = true, failover.ConsistencyStrict
	others := []*failover.Node{w.pending("r-1"), w.pending("r-2")}
	w.until(failover.StateStable)
	before := w.progress.Clone()
	if w.master() != "r-0" || !slices.Contains(before.UnheardPods, "r-1") {
		t.Fatalf("master %q, unheard %v", w.master(), before.UnheardPods)
	}
	for _, n := range others {
		w.arrive(n, 0)
	}
	w.pass(3 * time.Second)
	w.write(1000, nil)
	for name, keys := range map[string]int64{"r-0": 17, "r-1": 5, "r-2": 0} {
		w.restart(name, false)
		w.node(name).Replication.Keys = keys
	}
	for _, name := range []string{"r-0", "r-1"} {
		w.node(name).Replication.Lineage.ReplID = "renamed for the first replica"
	}
	w.setBack(before)
	w.pass(5 * time.Second)
	if w.master() != "r-0" || w.node("r-0").Replication.Keys != 17 {
		t.Errorf("master %q, state %s (%s)\n%s", w.master(), w.progress.State, w.progress.Reason, w.story())
	}
}

// The same, and the master of the set is not heard when the status is missed. It still takes the writes of those who are
// connected to it. Where another holds data that it may lack, that one may have led later (seed 971889790).
func TestAMasterThatIsHeardAfterTheStatusWasLostIsAdopted(t *testing.T) {
	for name, keys := range map[string]int64{"others are empty": 0, "others hold data that it may lack": 73} {
		t.Run(name, func(t *testing.T) {
			w, _ := moved(t)
			w.policy.Persistent = true
			w.pub = failover.Published{Epoch: w.progress.Epoch + 1}
			w.hang("r-2")
			for _, name := range []string{"r-0", "r-1"} {
				w.restart(name, false)
				w.node(name).Replication.Keys, w.node(name).MayHoldData = keys, true
			}
			w.node("r-2").MayHoldData = true
			w.setBack(failover.Progress{})
			w.pass(3 * time.Second)
			if w.progress.State != failover.StateBlocked || w.progress.Reason != failover.ReasonWaitingForData {
				t.Fatalf("r-2 is not waited for: state %s (%s)", w.progress.State, w.progress.Reason)
			}
			w.heard("r-2", failover.ContactAnswering)
			w.pass(3 * time.Second)
			adopted := w.master() == "r-2" && w.progress.State == failover.StateStable
			asks := w.progress.State == failover.StateBlocked && w.progress.Reason == failover.ReasonSplitBrain
			if keys == 0 && !adopted || keys > 0 && !asks || w.node("r-2").Replication.Keys != 100 {
				t.Errorf("master %q, state %s (%s)\n%s", w.master(), w.progress.State, w.progress.Reason, w.story())
			}
		})
	}
}

// Seed 971589559: the same, and a person chooses another. Clients that were led to the first are connected to it. It
// refuses their writes, they are disconnected until none is left, and its data waits for the person.
func TestAMasterThatAPersonDidNotChooseRefusesWrites(t *testing.T) {
	w, _ := moved(t)
	w.policy.Persistent = true
	w.pub = failover.Published{Epoch: w.progress.Epoch + 1}
	for _, name := range []string{"r-0", "r-1"} {
		w.restart(name, false)
		w.node(name).Replication.Keys = 73
	}
	w.hang("r-2")
	w.setBack(failover.Progress{})
	w.pass(3 * time.Second)
	w.heard("r-2", failover.ContactAnswering)
	w.pass(3 * time.Second)
	open := w.node("r-2").Replication.MinReplicas
	if w.progress.State != failover.StateBlocked || open == failover.WriteGuardClosed {
		t.Fatalf("no other is chosen yet: state %s, min-replicas-to-write %d", w.progress.State, open)
	}
	closed := false
	w.onAction = func(a failover.Action) bool {
		if _, publishes := a.(failover.Publish); publishes {
			closed = w.node("r-2").Replication.MinReplicas == failover.WriteGuardClosed
		}
		return true
	}
	w.request = &failover.Request{ID: "asked", Verb: failover.VerbForce, Target: "r-0"}
	w.pass(3 * time.Second)
	r := w.node("r-2").Replication
	if w.master() != "r-0" || !closed || r.Role != failover.RoleMaster || r.Keys != 100 {
		t.Errorf("master %q, r-2 is closed before r-0 is published: %t; it is %+v\n%s", w.master(), closed, r, w.story())
	}
	w.pass(cutWithin)
	cut := w.node("r-2").Cut.Last
	w.pass(cutWithin)
	if cut.IsZero() || w.node("r-2").Cut.Last != cut {
		t.Errorf("its clients were cut at %s, and at %s again", cut, w.node("r-2").Cut.Last)
	}
	w.request = &failover.Request{ID: "asked too", Verb: failover.VerbDiscard, Target: "r-2"}
	w.pass(3 * time.Second)
	if !w.node("r-2").Follows(w.node("r-0").IP) {
		t.Errorf("a person gave its data up: %+v", w.node("r-2").Replication)
	}
}

// Seed 971818307: the master of the set comes back, and another was made master by hand meanwhile. A person chooses, by
// a request: where nothing is promoted yet there is none to be made.
func TestOfTwoMastersThatAreHeardAfterTheStatusWasLostAPersonChooses(t *testing.T) {
	w, _ := moved(t)
	w.policy.Persistent = true
	w.pub = failover.Published{Epoch: w.progress.Epoch + 1}
	for _, name := range []string{"r-1", "r-2"} {
		w.hang(name)
		w.node(name).MayHoldData = true
	}
	w.restart("r-0", false)
	w.setBack(failover.Progress{})
	w.pass(3 * time.Second)
	w.node("r-1").Replication.Role = failover.RoleMaster
	w.heard("r-1", failover.ContactAnswering)
	w.run() // it is heard first, by a moment
	w.heard("r-2", failover.ContactAnswering)
	w.pass(3 * time.Second)
	if w.progress.State != failover.StateBlocked || w.progress.Reason != failover.ReasonSplitBrain {
		t.Fatalf("master %q, state %s (%s)\n%s", w.master(), w.progress.State, w.progress.Reason, w.story())
	}
	w.request = &failover.Request{ID: "asked", Verb: failover.VerbForce, Target: "r-2"}
	w.pass(3 * time.Second)
	if w.master() != "r-2" || w.progress.State != failover.StateStable {
		t.Errorf("master %q, state %s (%s)\n%s", w.master(), w.progress.State, w.progress.Reason, w.story())
	}
}

// Who was taken for the master that the lost status named was none, and the set begins anew.
func TestASetThatHadAMasterDoesNotBeginAnewWithANodeThatIsNeverToBePromoted(t *testing.T) {
	for initialized, want := range map[bool]string{true: "", false: "r-0"} {
		w := newWorld(t, 2)
		w.progress = failover.Progress{State: failover.StateBootstrapping, Initialized: initialized, Epoch: 4}
		spared, other := w.node("r-0"), w.node("r-1")
		spared.Replication.Priority, spared.Replication.Keys = 0, 7
		w.progress.Retire(spared.Replication.Lineage.ReplID)
		if d := w.run(); w.master() != want || initialized && d.Reason != failover.ReasonNoCandidate {
			t.Errorf("initialized %t: master %q, reason %s\n%s", initialized, w.master(), d.Reason, w.story())
		}
		if initialized {
			force := &failover.Request{ID: "1", Verb: failover.VerbForce, Target: "r-0"}
			if d := Decide(w.now, w.policy, w.observe(), w.progress, force); d.Next.Candidate == nil ||
				d.Next.Candidate.Pod != "r-0" || d.Next.ForcedPod != "r-0" {
				t.Errorf("a person forces r-0, and the candidate is %v: %s", d.Next.Candidate, d.Message)
			}
			other.Replication.Lineage, other.Replication.Keys = spared.Replication.Lineage, 7
			if w.run(); w.master() != "r-1" {
				t.Errorf("another has the same data, and the master is %q\n%s", w.master(), w.story())
			}
		}
	}
}
