// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// constants lists the values of the constants of a type, as the source has them, so that none is added without a test.
func constants(t *testing.T, of string) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
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
	w.each(func(n *Node) { n.SampledAt, n.Replication.LinkUp, n.Replication.LastIO = w.now, true, 0 })
}

func TestEveryDiagnosisIsMadeAndActedOn(t *testing.T) {
	tests := map[Diagnosis]struct {
		happen func(w *world)
		state  State // after one decision
	}{
		DiagnosisMasterPodGone:                   {func(w *world) { w.remove("r-0") }, StateFencing},
		DiagnosisMasterNodeGone:                  {func(w *world) { w.node("r-0").NodeGone = true; w.hang("r-0") }, StateFencing},
		DiagnosisMasterRestarted:                 {func(w *world) { w.restart("r-0", true) }, StateFencing},
		DiagnosisMasterExited:                    {func(w *world) { w.hang("r-0"); w.node("r-0").Exited = true }, StateFencing},
		DiagnosisMasterProcessDead:               {func(w *world) { w.die("r-0") }, StatePromoting},
		DiagnosisMasterDemoted:                   {func(w *world) { w.command(w.node("r-0"), Follow{Master: w.node("r-1").Ref()}) }, StateFencing},
		DiagnosisMasterDown:                      {func(w *world) { w.hang("r-0"); w.sleep(4 * time.Second) }, StateSuspected},
		DiagnosisMasterMayStillWrite:             {func(w *world) { w.hang("r-0"); w.sleep(3500 * time.Millisecond) }, StateSuspected},
		DiagnosisMasterAccessDenied:              {func(w *world) { w.node("r-0").Contact = ContactDenied; w.sleep(time.Minute) }, StateStable},
		DiagnosisMasterUnreachableButReplicating: {func(w *world) { w.hang("r-0"); w.sleep(4 * time.Second); w.replicate() }, StateSuspected},
		DiagnosisMasterUnreachableWithReplicas:   {func(w *world) { w.hang("r-0"); w.hang("r-2"); w.sleep(4 * time.Second) }, StateSuspected},
		DiagnosisMasterUnreachableWithoutGuard: {func(w *world) {
			w.node("r-0").Replication.MinReplicas = 0
			w.hang("r-0")
			w.sleep(4 * time.Second)
		}, StateSuspected},
		DiagnosisMasterUnreachableNoWitness: {func(w *world) {
			for _, n := range w.nodes {
				w.hang(n.Name)
			}
			w.sleep(4 * time.Second)
		}, StateSuspected},
		DiagnosisMasterTerminating:  {func(w *world) { w.node("r-0").Terminating = true }, StateSwitchingOver},
		DiagnosisMasterScaledAway:   {func(w *world) { w.node("r-0").Ordinal, w.policy.Replicas = 3, 3 }, StateSwitchingOver},
		DiagnosisMasterNodeDraining: {func(w *world) { w.node("r-0").Cordoned = true }, StateSwitchingOver},
		DiagnosisMasterOutdated:     {func(w *world) { w.node("r-0").Outdated = true }, StateSwitchingOver},
		DiagnosisHealthy:            {func(*world) {}, StateStable},
	}
	everyOne(t, "Diagnosis", tests)
	for diagnosis, tc := range tests {
		t.Run(string(diagnosis), func(t *testing.T) {
			w := settled(t, 3)
			tc.happen(w)
			d, _ := w.once()
			if got := diagnose(newView(w.now, w.policy, w.observe(), w.progress.Master.NodeRef)); got.diagnosis != diagnosis && d.Diagnosis != diagnosis {
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
func reasons() map[Reason]func(w *world) {
	ask := func(w *world, verb Verb, target string) { w.request = &Request{ID: "ask", Verb: verb, Target: target} }
	return map[Reason]func(w *world){
		ReasonMasterUnreachableButReplicating: func(w *world) { w.hang("r-0"); w.sleep(4 * time.Second); w.replicate() },
		ReasonMasterUnreachableNoWitness:      func(w *world) { w.remove("r-1"); w.remove("r-2"); w.hang("r-0"); w.sleep(4 * time.Second) },
		ReasonMasterUnreachableWithReplicas:   func(w *world) { w.hang("r-0"); w.hang("r-2"); w.sleep(4 * time.Second) },
		ReasonMasterMayStillWrite:             func(w *world) { w.hang("r-0"); w.sleep(3500 * time.Millisecond) },
		ReasonMasterUnreachableWithoutGuard: func(w *world) {
			w.node("r-0").Replication.MinReplicas = 0
			w.hang("r-0")
			w.sleep(4 * time.Second)
		},
		ReasonCooldown: func(w *world) {
			for range SoftLimit {
				w.progress.SoftFailovers = append(w.progress.SoftFailovers, SoftFailover{Pod: "r-1", At: w.now})
			}
			w.hang("r-0")
			w.sleep(4 * time.Second)
		},
		ReasonObserverSuspect: func(w *world) { w.sick = true; w.hang("r-0"); w.sleep(4 * time.Second) },
		ReasonManualMode:      func(w *world) { w.policy.Mode = ModeManual; w.die("r-0") },
		ReasonPaused:          func(w *world) { w.policy.Mode = ModePaused; w.die("r-0") },
		ReasonNoCandidate:     func(w *world) { w.each(func(n *Node) { n.Replication.Priority = 0 }); w.die("r-0") },
		ReasonTooFewReplicasFenced: func(w *world) {
			w.policy.Consistency = ConsistencyStrict
			w.remove("r-2")
			w.die("r-0")
		},
		ReasonWaitingForData: func(w *world) {
			w.absent = []AbsentNode{{Name: "r-2", MayHoldData: true}}
			w.remove("r-2")
			w.restart("r-1", false)
			w.restart("r-0", false)
		},
		ReasonWaitingForPods:     func(w *world) { w.progress, w.pub = Progress{}, Published{}; w.nodes = nil },
		ReasonMasterAccessDenied: func(w *world) { w.node("r-0").Contact = ContactDenied },
		ReasonOldMasterNotFenced: func(w *world) { w.deaf["r-0"] = true; ask(w, VerbForce, "r-2"); w.once(); w.sleep(2 * time.Second) },
		ReasonSplitBrain:         func(w *world) { w.progress, w.pub = Progress{}, Published{}; w.command(w.node("r-1"), Promote{}) },
		ReasonSwitchoverTooSlow: func(w *world) {
			w.onAction = func(a Action) bool { _, drain := a.(Drain); return !drain }
			ask(w, VerbSwitchover, "")
			w.once()
			w.sleep(SwitchoverWithin)
		},
		ReasonCandidateBehind: func(w *world) {
			ask(w, VerbSwitchover, "")
			w.onAction = func(a Action) bool { // it is demoted, and no other has its last bytes
				if _, drain := a.(Drain); drain {
					w.node("r-0").Replication.Lineage.Offset += 10
					w.command(w.node("r-0"), Detach{})
					return false
				}
				_, promote := a.(Promote)
				return !promote
			}
			w.once()
			w.sleep(2 * settleBehind)
		},
		ReasonRequestedNodeIneligible: func(w *world) { ask(w, VerbSwitchover, "r-7") },
		ReasonDivergentMaster:         func(w *world) { w.promoteByHand("r-2", 10) },
		ReasonEarlierData: func(w *world) {
			w.progress.Unmet = []string{"r-2"}
			w.restart("r-2", true)
			w.node("r-2").Replication.Keys, w.node("r-2").Replication.Lineage = 7, Lineage{ReplID: "earlier", ReplID2: noReplID, SecondOffset: -1}
		},
		ReasonUnknownState: func(w *world) { w.progress.State = "Tomorrow's" },
	}
}

// B8: who writes on to a master that is left alone must not write to the API server by it.
func TestAMessageHoldsNoNumberThatMovesByItself(t *testing.T) {
	for reason, happen := range reasons() {
		t.Run(string(reason), func(t *testing.T) {
			w := settled(t, 3)
			happen(w)
			said := map[Reason]string{}
			for range 20 {
				was := w.progress.State
				d, _ := w.once()
				if d.Next.State != was {
					continue
				}
				given := d.Reason
				if given == ReasonNone {
					given = d.Next.Reason
				}
				if before, known := said[given]; given == reason && known && before != d.Message && reason != ReasonCooldown {
					t.Fatalf("%q became %q", before, d.Message)
				}
				said[given] = d.Message
				w.sleep(100 * time.Millisecond)
				w.each(func(n *Node) {
					if n.Replication.Role == RoleMaster {
						n.Replication.Keys, n.Replication.Lineage.Offset = n.Replication.Keys+3, n.Replication.Lineage.Offset+70
					}
				})
			}
		})
	}
}

// What holds a failover back is told by its own name, so that name has to be a reason.
func TestTheNameOfEachHoldIsAReason(t *testing.T) {
	reasons := constants(t, "Reason")
	for _, p := range problems {
		if held := p.class == classHold; held != (p.reason() != ReasonNone) || held && !slices.Contains(reasons, string(p.reason())) {
			t.Errorf("%s is told as %q, which is no reason", p.diagnosis, p.reason())
		}
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

func TestEveryLimitationIsFound(t *testing.T) {
	tests := map[Limitation]func(w *world, n *Node){
		LimitUnreachable:  func(_ *world, n *Node) { n.Contact = ContactSilent },
		LimitTerminating:  func(_ *world, n *Node) { n.Terminating = true },
		LimitLoading:      func(_ *world, n *Node) { n.Replication.Loading = true },
		LimitSyncing:      func(_ *world, n *Node) { n.Replication.Syncing = true },
		LimitPriorityZero: func(_ *world, n *Node) { n.Replication.Priority = 0 },
		LimitSurplus:      func(w *world, _ *Node) { w.policy.Replicas = 2 },
		LimitNoLineage: func(_ *world, n *Node) {
			n.Replication.Lineage = Lineage{ReplID: "other", Offset: n.Replication.Lineage.Offset}
		},
		LimitLagging:         func(w *world, n *Node) { n.Replication.Lineage.Offset -= w.policy.MaxLagBytes + 1 },
		LimitNotLinked:       func(_ *world, n *Node) { n.Replication.LinkUp = false },
		LimitLeaving:         func(_ *world, n *Node) { n.Cordoned = true },
		LimitEarlier:         nil, // in earlier_test.go
		LimitForeign:         nil, // of a failover, in corners_test.go
		LimitAttached:        nil, // of a failover, below
		LimitDivergentMaster: nil,
	}
	everyOne(t, "Limitation", tests)
	for limit, happen := range tests {
		if happen == nil {
			continue
		}
		t.Run(string(limit), func(t *testing.T) {
			w := settled(t, 3)
			w.write(1<<21, nil)
			n := w.node("r-2")
			happen(w, n)
			v := newView(w.now, w.policy, w.observe(), w.progress.Master.NodeRef)
			if got := plannedLimitation(v, *n); got != limit {
				t.Errorf("limitation %q, want %s", got, limit)
			}
			if e := successor(v, "r-2", nil); e.candidate != nil || !strings.Contains(e.sentence, string(limit)) {
				t.Errorf("it may take over: %+v", e)
			}
		})
	}
	t.Run(string(LimitAttached), func(t *testing.T) {
		w := settled(t, 3)
		lineage := w.node("r-0").Replication.Lineage
		if got := frozenLimitation(*w.node("r-2"), lineage, w.policy); got != LimitAttached {
			t.Errorf("limitation %q of a node whose offset may move", got)
		}
		w.command(w.node("r-2"), Detach{})
		if got := frozenLimitation(*w.node("r-2"), lineage, w.policy); got != LimitNone {
			t.Errorf("limitation %q of a detached node", got)
		}
	})
	t.Run(string(LimitDivergentMaster), func(t *testing.T) {
		w := settled(t, 2)
		w.promoteByHand("r-1", 10)
		w.restart("r-0", false)
		if d := w.run(); d.Reason != ReasonNoCandidate || !strings.Contains(d.Message, string(LimitDivergentMaster)) {
			t.Errorf("reason %s: %s", d.Reason, d.Message)
		}
	})
}
