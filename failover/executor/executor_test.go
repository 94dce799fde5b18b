// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
	"github.com/redisha/redisha/redisclient"
)

// everyAction is one of each; what they do is in wantOf.
func everyAction(w *fakeWorld) []failover.Action {
	master, replica := w.ref("u0"), w.ref("u1")
	return []failover.Action{
		failover.Detach{Node: replica, Within: time.Second},
		failover.Drain{Master: master, Candidate: replica, Within: time.Second},
		failover.Promote{Node: replica, MinReplicas: 1},
		failover.Follow{Node: master, Master: replica},
		failover.SetMinReplicas{Node: replica, MinReplicas: 2},
		failover.Unpause{Node: master},
		failover.CutClients{Node: master},
		failover.Publish{Node: replica, Epoch: 7},
		failover.Withdraw{Epoch: 7},
		failover.Label{Node: replica, Role: failover.RoleMaster},
		failover.DeletePod{Node: master},
		failover.AcknowledgeRequest{ID: "please"},
	}
}

var wantOf = map[string][]string{
	"Detach":             {"cache-1 REPLICAOF 127.0.0.1 1"},
	"Drain":              {"cache-0 PAUSE 3s", "cache-0 REPLICAOF 127.0.0.1 1"},
	"Promote":            {"cache-1 MIN-REPLICAS 1", "cache-1 PROMOTE", "cache-1 UNPAUSE"},
	"Follow":             {"cache-0 REPLICAOF 10.0.0.u1 6379"},
	"SetMinReplicas":     {"cache-1 MIN-REPLICAS 2"},
	"Unpause":            {"cache-0 UNPAUSE"},
	"CutClients":         {"cache-0 KILL", "cache-0 UNPAUSE"},
	"Publish":            {"publish default/cache cache-1 7"},
	"Withdraw":           {"withdraw default/cache 7"},
	"Label":              {"label default/cache cache-1 master"},
	"DeletePod":          {"delete default/cache u0"},
	"AcknowledgeRequest": {"acknowledge default/cache please"},
}

func nameOf(a failover.Action) string { return reflect.TypeOf(a).Name() }

// The compiler cannot tell that the switch knows every action; the core's source can.
func TestEveryActionOfTheCoreIsKnown(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../action.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	ast.Inspect(file, func(n ast.Node) bool {
		if f, ok := n.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == "sealed" {
			declared = append(declared, f.Recv.List[0].Type.(*ast.Ident).Name)
		}
		return true
	})
	var tested []string
	for _, a := range everyAction(newWorld()) {
		tested = append(tested, nameOf(a))
	}
	slices.Sort(declared)
	slices.Sort(tested)
	if diff := cmp.Diff(declared, tested); diff != "" {
		t.Errorf("declared by the core (-), tested here (+):\n%s", diff)
	}
}

func TestEachActionDoesWhatItSays(t *testing.T) {
	for _, action := range everyAction(newWorld()) {
		t.Run(nameOf(action), func(t *testing.T) {
			w := newWorld()
			results := w.execute(t, action)
			if len(results) != 1 || results[0].Err != nil || results[0].Action != action {
				t.Fatalf("got %+v", results)
			}
			if diff := cmp.Diff(wantOf[nameOf(action)], w.list()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnActionDoneTwiceSaysTheSameAgain(t *testing.T) {
	for _, action := range everyAction(newWorld()) {
		t.Run(nameOf(action), func(t *testing.T) {
			w := newWorld()
			for range 2 {
				if err := w.execute(t, action)[0].Err; err != nil {
					t.Fatal(err)
				}
			}
			want := append(slices.Clone(wantOf[nameOf(action)]), wantOf[nameOf(action)]...)
			if diff := cmp.Diff(want, w.list()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAShortLeaseSendsNothing(t *testing.T) {
	for name, left := range map[string]time.Duration{"lost": 0, "shorter than a deadline": 100 * time.Millisecond} {
		for _, action := range everyAction(newWorld()) {
			t.Run(name+"/"+nameOf(action), func(t *testing.T) {
				w := newWorld()
				w.left = func() time.Duration { return left }
				if err := w.execute(t, action)[0].Err; !errors.Is(err, ErrLeaseTooShort) {
					t.Errorf("got %v, want ErrLeaseTooShort", err)
				}
				if sent := w.list(); len(sent) > 0 {
					t.Errorf("sent %v", sent)
				}
				if len(w.stale) > 0 || len(w.refreshed) > 0 {
					t.Errorf("marked stale %v, refreshed %v, though nothing was sent", w.stale, w.refreshed)
				}
			})
		}
	}
}

func TestALeaseLostOnTheWayStopsTheNextCommand(t *testing.T) {
	w := newWorld()
	w.left = func() time.Duration { return time.Minute - time.Duration(len(w.list()))*time.Minute }
	if err := w.execute(t, failover.Promote{Node: w.ref("u1"), MinReplicas: 1})[0].Err; !errors.Is(err, ErrLeaseTooShort) {
		t.Errorf("got %v, want ErrLeaseTooShort", err)
	}
	if diff := cmp.Diff([]string{"cache-1 MIN-REPLICAS 1"}, w.list()); diff != "" {
		t.Error(diff)
	}
}

func TestAnOrderForAProcessThatIsGoneIsNotSent(t *testing.T) {
	for _, action := range everyAction(newWorld()) {
		if action.Target() == (failover.NodeRef{}) || wantOf[nameOf(action)][0][:5] != "cache" {
			continue // not an order to a Redis
		}
		t.Run(nameOf(action), func(t *testing.T) {
			w := newWorld()
			for _, redis := range w.redis {
				redis.info.RunID = "another"
			}
			if err := w.execute(t, action)[0].Err; !errors.Is(err, link.ErrOtherIncarnation) {
				t.Errorf("got %v, want ErrOtherIncarnation", err)
			}
			if sent := w.list(); len(sent) > 0 {
				t.Errorf("sent %v", sent)
			}
		})
	}
}

func TestAPodThatIsNotWatchedIsAnError(t *testing.T) {
	w := newWorld()
	err := w.execute(t, failover.Unpause{Node: failover.NodeRef{Pod: "cache-9", UID: "u9"}})[0].Err
	if !errors.Is(err, ErrNoLink) {
		t.Errorf("got %v, want ErrNoLink", err)
	}
}

func TestANodeIsStaleBeforeAndAfterACommand(t *testing.T) {
	w := newWorld()
	w.execute(t, failover.SetMinReplicas{Node: w.ref("u1"), MinReplicas: 1})
	if diff := cmp.Diff([]string{"u1 after 0", "u1 after 1"}, w.stale); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"u1"}, w.refreshed); diff != "" {
		t.Error(diff)
	}
}

func TestANodeThatDoesNotReplyIsStaleButNotWaitedFor(t *testing.T) {
	tests := map[string]struct {
		err       error
		refreshed int
	}{
		"refused by Redis": {redisError("ERR no"), 1},
		"connection lost":  {syscall.ECONNRESET, 0},
		"no reply in time": {context.DeadlineExceeded, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.redis["u1"].fail["MIN-REPLICAS"] = tt.err
			if err := w.execute(t, failover.SetMinReplicas{Node: w.ref("u1"), MinReplicas: 1})[0].Err; !errors.Is(err, tt.err) {
				t.Errorf("got %v", err)
			}
			if len(w.stale) != 2 || len(w.refreshed) != tt.refreshed {
				t.Errorf("stale %v, refreshed %v", w.stale, w.refreshed)
			}
		})
	}
}

func TestOneFailureDoesNotKeepTheOthersFromBeingDone(t *testing.T) {
	w := newWorld()
	w.redis["u0"].fail["REPLICAOF"] = syscall.ECONNRESET
	results := w.execute(t,
		failover.Detach{Node: w.ref("u0"), Within: time.Second},
		failover.Detach{Node: w.ref("u1"), Within: time.Second},
		failover.Publish{Node: w.ref("u1"), Epoch: 7},
	)
	if results[0].Err == nil || results[1].Err != nil || results[2].Err != nil {
		t.Errorf("got %+v", results)
	}
	if got := len(w.list()); got != 3 {
		t.Errorf("%d effects: %v", got, w.list())
	}
}

func TestAPanicInOneActionIsAnErrorOfThatActionAlone(t *testing.T) {
	w := newWorld()
	w.redis["u0"].onInfo = func(*redisclient.Info) { panic("makeslice: len out of range") }
	results := w.execute(t,
		failover.Detach{Node: w.ref("u0"), Within: time.Second},
		failover.Detach{Node: w.ref("u1"), Within: time.Second},
	)
	if !errors.Is(results[0].Err, errPanic) || results[1].Err != nil {
		t.Errorf("got %+v", results)
	}
}

func TestAFailureOfTheClusterIsReported(t *testing.T) {
	w := newWorld()
	w.clusterer = errors.New("conflict")
	if err := w.execute(t, failover.Publish{Node: w.ref("u1"), Epoch: 7})[0].Err; !errors.Is(err, w.clusterer) {
		t.Errorf("got %v", err)
	}
}
