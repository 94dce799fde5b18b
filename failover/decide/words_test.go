// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
	"github.com/redisha/redisha/failover/election"
)

// constants lists the values of the constants of a type, as the source has them, so that none is added without a test.
func constants(t *testing.T, of string) []string {
	t.Helper()
	files, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
				typed, isIdent := spec.Type.(*ast.Ident)
				literal, isLiteral := spec.Values[0].(*ast.BasicLit)
				if isIdent && isLiteral && typed.Name == of {
					values = append(values, strings.Trim(literal.Value, `"`))
				}
			}
			return true
		})
	}
	return values
}

// everyOne checks that a table has a row for each constant of a type.
func everyOne[K ~string, V any](t *testing.T, of string, table map[K]V) {
	t.Helper()
	values := constants(t, of)
	for _, value := range values {
		if _, ok := table[K(value)]; !ok && value != "" {
			t.Errorf("%s %s has no row", of, value)
		}
	}
	if len(values) < len(table) {
		t.Errorf("%d rows for %d constants of %s", len(table), len(values), of)
	}
}

// replicate lets the replicas hear the master though we don't.
func (w *world) replicate() {
	w.each(func(n *failover.Node) { n.SampledAt, n.Replication.LinkUp, n.Replication.LastIO = w.now, true, 0 })
}

func TestEveryDiagnosisIsMadeAndActedOn(t *testing.T) {
	tests := map[failover.Diagnosis]struct {
		happen func(w *world)
		state  failover.State // after one decision
	}{
		failover.DiagnosisMasterPodGone: {func(w *world) { w.remove("r-0") }, failover.StateFencing},
		failover.DiagnosisMasterNodeGone: {
			func(w *world) { w.node("r-0").NodeGone = true; w.hang("r-0") },
			failover.StateFencing,
		},
		failover.DiagnosisMasterRestarted: {func(w *world) { w.restart("r-0", true) }, failover.StateFencing},
		failover.DiagnosisMasterExited: {
			func(w *world) { w.hang("r-0"); w.node("r-0").Exited = true },
			failover.StateFencing,
		},
		failover.DiagnosisMasterProcessDead: {func(w *world) { w.die("r-0") }, failover.StatePromoting},
		failover.DiagnosisMasterDemoted: {
			func(w *world) { w.command(w.node("r-0"), failover.Follow{Master: w.node("r-1").Ref()}) },
			failover.StateFencing,
		},
		failover.DiagnosisMasterDown: {
			func(w *world) { w.hang("r-0"); w.sleep(4 * time.Second) },
			failover.StateSuspected,
		},
		failover.DiagnosisMasterMayStillWrite: {
			func(w *world) { w.hang("r-0"); w.sleep(3500 * time.Millisecond) },
			failover.StateSuspected,
		},
		failover.DiagnosisMasterAccessDenied: {
			func(w *world) { w.node("r-0").Contact = failover.ContactDenied; w.sleep(time.Minute) },
			failover.StateStable,
		},
		failover.DiagnosisMasterUnreachableButReplicating: {
			func(w *world) { w.hang("r-0"); w.sleep(4 * time.Second); w.replicate() },
			failover.StateSuspected,
		},
		failover.DiagnosisMasterUnreachableWithReplicas: {
			func(w *world) { w.hang("r-0"); w.hang("r-2"); w.sleep(4 * time.Second) },
			failover.StateSuspected,
		},
		failover.DiagnosisMasterUnreachableWithoutGuard: {func(w *world) {
			w.node("r-0").Replication.MinReplicas = 0
			w.hang("r-0")
			w.sleep(4 * time.Second)
		}, failover.StateSuspected},
		failover.DiagnosisMasterUnreachableNoWitness: {func(w *world) {
			for _, n := range w.nodes {
				w.hang(n.Name)
			}
			w.sleep(4 * time.Second)
		}, failover.StateSuspected},
		failover.DiagnosisMasterTerminating: {
			func(w *world) { w.node("r-0").Terminating = true },
			failover.StateSwitchingOver,
		},
		failover.DiagnosisMasterScaledAway: {
			func(w *world) { w.node("r-0").Ordinal, w.policy.Replicas = 3, 3 },
			failover.StateSwitchingOver,
		},
		failover.DiagnosisMasterNodeDraining: {func(w *world) { w.node("r-0").Cordoned = true }, failover.StateSwitchingOver},
		failover.DiagnosisMasterOutdated:     {func(w *world) { w.node("r-0").Outdated = true }, failover.StateSwitchingOver},
		failover.DiagnosisHealthy:            {func(*world) {}, failover.StateStable},
	}
	everyOne(t, "Diagnosis", tests)
	for want, tc := range tests {
		t.Run(string(want), func(t *testing.T) {
			w := settled(t, 3)
			tc.happen(w)
			d, _ := w.once()
			if got := diagnosis.Diagnose(
				diagnosis.NewView(w.now, w.policy, w.observe(), w.progress.Master.NodeRef),
			); got.Diagnosis != want &&
				d.Diagnosis != want {
				t.Errorf("diagnosis %s (%s)", d.Diagnosis, d.Message)
			}
			if d.Next.State != tc.state {
				t.Errorf("state %s, want %s: %s", d.Next.State, tc.state, d.Message)
			}
			if d.Message == "" {
				t.Error("nothing is said about it")
			}
		})
	}
}

// reasons lists for each Reason what has to happen that it is given.
func reasons() map[failover.Reason]func(w *world) {
	ask := func(w *world, verb failover.Verb, target string) {
		w.request = &failover.Request{ID: "ask", Verb: verb, Target: target}
	}
	return map[failover.Reason]func(w *world){
		failover.ReasonMasterUnreachableButReplicating: func(w *world) { w.hang("r-0"); w.sleep(4 * time.Second); w.replicate() },
		failover.ReasonMasterUnreachableNoWitness:      func(w *world) { w.remove("r-1"); w.remove("r-2"); w.hang("r-0"); w.sleep(4 * time.Second) },
		failover.ReasonMasterUnreachableWithReplicas:   func(w *world) { w.hang("r-0"); w.hang("r-2"); w.sleep(4 * time.Second) },
		failover.ReasonMasterMayStillWrite:             func(w *world) { w.hang("r-0"); w.sleep(3500 * time.Millisecond) },
		failover.ReasonMasterUnreachableWithoutGuard: func(w *world) {
			w.node("r-0").Replication.MinReplicas = 0
			w.hang("r-0")
			w.sleep(4 * time.Second)
		},
		failover.ReasonCooldown: func(w *world) {
			for range SoftLimit {
				w.progress.SoftFailovers = append(w.progress.SoftFailovers, failover.SoftFailover{Pod: "r-1", At: w.now})
			}
			w.hang("r-0")
			w.sleep(4 * time.Second)
		},
		failover.ReasonObserverSuspect: func(w *world) { w.sick = true; w.hang("r-0"); w.sleep(4 * time.Second) },
		failover.ReasonManualMode:      func(w *world) { w.policy.Mode = failover.ModeManual; w.die("r-0") },
		failover.ReasonPaused:          func(w *world) { w.policy.Mode = failover.ModePaused; w.die("r-0") },
		failover.ReasonNoCandidate:     func(w *world) { w.each(func(n *failover.Node) { n.Replication.Priority = 0 }); w.die("r-0") },
		failover.ReasonTooFewReplicasFenced: func(w *world) {
			w.policy.Consistency = failover.ConsistencyStrict
			w.remove("r-2")
			w.die("r-0")
		},
		failover.ReasonWaitingForData: func(w *world) {
			w.absent = []failover.AbsentNode{{Name: "r-2", MayHoldData: true}}
			w.remove("r-2")
			w.restart("r-1", false)
			w.restart("r-0", false)
		},
		failover.ReasonWaitingForPods:     func(w *world) { w.progress, w.pub = failover.Progress{}, failover.Published{}; w.nodes = nil },
		failover.ReasonMasterAccessDenied: func(w *world) { w.node("r-0").Contact = failover.ContactDenied },
		failover.ReasonOldMasterNotFenced: func(w *world) {
			w.deaf["r-0"] = true
			ask(w, failover.VerbForce, "r-2")
			w.once()
			w.sleep(2 * time.Second)
		},
		failover.ReasonSplitBrain: func(w *world) {
			w.progress, w.pub = failover.Progress{}, failover.Published{}
			w.command(w.node("r-1"), failover.Promote{})
		},
		failover.ReasonSwitchoverTooSlow: func(w *world) {
			w.onAction = func(a failover.Action) bool { _, drain := a.(failover.Drain); return !drain }
			ask(w, failover.VerbSwitchover, "")
			w.once()
			w.sleep(failover.SwitchoverWithin)
		},
		failover.ReasonCandidateBehind: func(w *world) {
			ask(w, failover.VerbSwitchover, "")
			w.onAction = func(a failover.Action) bool { // it is demoted, and no other has its last bytes
				if _, drain := a.(failover.Drain); drain {
					w.node("r-0").Replication.Lineage.Offset += 10
					w.command(w.node("r-0"), failover.Detach{})
					return false
				}
				_, promote := a.(failover.Promote)
				return !promote
			}
			w.once()
			w.sleep(2 * settleBehind)
		},
		failover.ReasonRequestedNodeIneligible: func(w *world) { ask(w, failover.VerbSwitchover, "r-7") },
		failover.ReasonDivergentMaster:         func(w *world) { w.promoteByHand("r-2", 10) },
		failover.ReasonEarlierData: func(w *world) {
			w.progress.UnheardPods = []string{"r-2"}
			w.restart("r-2", true)
			w.node("r-2").Replication.Keys, w.node("r-2").Replication.Lineage = 7, failover.Lineage{
				ReplID:       "earlier",
				ReplID2:      failover.NoReplID,
				SecondOffset: -1,
			}
		},
		failover.ReasonUnknownState: func(w *world) { w.progress.State = "Tomorrow's" },
	}
}

// B8: who writes on to a master that is left alone must not write to the API server by it.
func TestAMessageHoldsNoNumberThatMovesByItself(t *testing.T) {
	for reason, happen := range reasons() {
		t.Run(string(reason), func(t *testing.T) {
			w := settled(t, 3)
			happen(w)
			said := map[failover.Reason]string{}
			for range 20 {
				was := w.progress.State
				d, _ := w.once()
				if d.Next.State != was {
					continue
				}
				given := d.Reason
				if given == failover.ReasonNone {
					given = d.Next.Reason
				}
				if before, known := said[given]; given == reason && known && before != d.Message &&
					reason != failover.ReasonCooldown {
					t.Fatalf("%q became %q", before, d.Message)
				}
				said[given] = d.Message
				w.sleep(100 * time.Millisecond)
				w.each(func(n *failover.Node) {
					if n.Replication.Role == failover.RoleMaster {
						n.Replication.Keys, n.Replication.Lineage.Offset = n.Replication.Keys+3, n.Replication.Lineage.Offset+70
					}
				})
			}
		})
	}
}

func TestEveryReasonIsGiven(t *testing.T) {
	tests := reasons()
	everyOne(t, "Reason", tests)
	for reason, happen := range tests {
		t.Run(string(reason), func(t *testing.T) {
			w := settled(t, 3)
			happen(w)
			for range 5 {
				d, _ := w.once()
				if d.Reason == reason || d.Next.Reason == reason {
					if d.Message == "" {
						t.Error("nothing is said about it")
					}
					return
				}
			}
			t.Errorf("not given:\n%s", strings.Join(w.log, "\n"))
		})
	}
}

func TestEveryIneligibilityIsFound(t *testing.T) {
	tests := map[failover.Ineligibility]func(w *world, n *failover.Node){
		failover.IneligibleUnreachable:  func(_ *world, n *failover.Node) { n.Contact = failover.ContactSilent },
		failover.IneligibleTerminating:  func(_ *world, n *failover.Node) { n.Terminating = true },
		failover.IneligibleLoading:      func(_ *world, n *failover.Node) { n.Replication.Loading = true },
		failover.IneligibleSyncing:      func(_ *world, n *failover.Node) { n.Replication.Syncing = true },
		failover.IneligiblePriorityZero: func(_ *world, n *failover.Node) { n.Replication.Priority = 0 },
		failover.IneligibleSurplus:      func(w *world, _ *failover.Node) { w.policy.Replicas = 2 },
		failover.IneligibleNoLineage: func(_ *world, n *failover.Node) {
			n.Replication.Lineage = failover.Lineage{ReplID: "other", Offset: n.Replication.Lineage.Offset}
		},
		failover.IneligibleLagging:         func(w *world, n *failover.Node) { n.Replication.Lineage.Offset -= w.policy.MaxLagBytes + 1 },
		failover.IneligibleNotLinked:       func(_ *world, n *failover.Node) { n.Replication.LinkUp = false },
		failover.IneligibleLeaving:         func(_ *world, n *failover.Node) { n.Cordoned = true },
		failover.IneligibleEarlierData:     nil, // in earlier_test.go
		failover.IneligibleForeign:         nil, // of a failover, in corners_test.go
		failover.IneligibleStillAttached:   nil, // of a failover, below
		failover.IneligibleDivergentMaster: nil,
	}
	everyOne(t, "Ineligibility", tests)
	for limit, happen := range tests {
		if happen == nil {
			continue
		}
		t.Run(string(limit), func(t *testing.T) {
			w := settled(t, 3)
			w.write(1<<21, nil)
			n := w.node("r-2")
			happen(w, n)
			v := diagnosis.NewView(w.now, w.policy, w.observe(), w.progress.Master.NodeRef)
			if got := plannedIneligibility(v, *n); got != limit {
				t.Errorf("ineligible because %q, want %s", got, limit)
			}
			if e := successor(v, "r-2", nil); e.Candidate != nil || !strings.Contains(e.Sentence, string(limit)) {
				t.Errorf("it may take over: %+v", e)
			}
		})
	}
	t.Run(string(failover.IneligibleStillAttached), func(t *testing.T) {
		w := settled(t, 3)
		lineage := w.node("r-0").Replication.Lineage
		if got := election.FrozenIneligibility(*w.node("r-2"), lineage, w.policy); got != failover.IneligibleStillAttached {
			t.Errorf("ineligible because %q of a node whose offset may move", got)
		}
		w.command(w.node("r-2"), failover.Detach{})
		if got := election.FrozenIneligibility(*w.node("r-2"), lineage, w.policy); got != failover.Eligible {
			t.Errorf("ineligible because %q of a detached node", got)
		}
	})
	t.Run(string(failover.IneligibleDivergentMaster), func(t *testing.T) {
		w := settled(t, 2)
		w.promoteByHand("r-1", 10)
		w.restart("r-0", false)
		if d := w.run(); d.Reason != failover.ReasonNoCandidate ||
			!strings.Contains(d.Message, string(failover.IneligibleDivergentMaster)) {
			t.Errorf("reason %s: %s", d.Reason, d.Message)
		}
	})
}
