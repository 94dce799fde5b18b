// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"context"
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/scenes"
	"github.com/redisha/redisha/e2e/testbed"
)

// A rollout of the operator passes through two versions at once, and a rollback leaves what the newer one wrote. Here
// the other version is a build of its own, with a state and fields that this one does not know
// (testbed.PrepareTomorrow).

const (
	// mostWrites is how many writes to the Kubernetes API a failover may take, of both operators, until all is well again.
	mostWrites = 30
	// usual is how long a failover may leave the application without a master in which the leader dies, too. Two processes
	// are started meanwhile, on a machine that also runs the whole cluster.
	usual = 5 * time.Second
)

// knowTomorrow applies the definition of tomorrow's version until the test ends, and leaves operators of this version
// only.
func knowTomorrow(t *testing.T) {
	t.Helper()
	undo, err := bed.Redefine(t.Context(), func(failover, node testbed.Properties) {
		failover[testbed.TomorrowsField] = testbed.Properties{"type": "string"}
		node[testbed.TomorrowsField] = testbed.Properties{"type": "string"}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		ops.deploy(ctx, t, todays, todays)
		if err := undo(ctx); err != nil {
			t.Error(err)
		}
	})
}

// writesOf are the operators' writes about the RedisHA so far.
func (s *scene) writesOf() int {
	s.t.Helper()
	all, err := bed.Sandbox.AuditWrites(sandbox.OperatorUser)
	if err != nil {
		s.t.Fatal(err)
	}
	n := 0
	for _, w := range all {
		if w.Namespace == s.Key.Namespace {
			n++
		}
	}
	return n
}

// audited is what tomorrow's operator wrote into the failover's part of the status.
func (s *scene) audited() string {
	s.t.Helper()
	rha := &unstructured.Unstructured{}
	rha.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RedisHA"))
	if err := bed.Client.Get(s.Ctx, s.Key, rha); err != nil {
		s.t.Fatal(err)
	}
	said, _, _ := unstructured.NestedString(rha.Object, "status", "failover", testbed.TomorrowsField)
	return said
}

func TestTheOperatorIsRolledForwardAndBackInTheMiddleOfAFailover(t *testing.T) {
	knowTomorrow(t)
	for _, direction := range []struct {
		name     string
		from, to version
	}{{"forward", todays, tomorrows}, {"back", tomorrows, todays}} {
		for _, state := range []v1alpha1.FailoverState{"", v1alpha1.StatePromoting, v1alpha1.StateReattaching, v1alpha1.StateStable} {
			name := strings.TrimSpace(direction.name + " " + string(state))
			t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
				s := begin(t, "master killed, operator rolled "+name, v1alpha1.RedisHASpec{})
				ops.deploy(s.Ctx, t, direction.from, direction.to)
				ops.rollTo(direction.to)
				s.Settle()
				before := s.writesOf()
				leader := ops.leading(s.Ctx, t)
				if state == "" {
					ops.replaceOne(leader)
					ops.leading(s.Ctx, t)
				} else {
					leader = ops.crashAt(s.Ctx, t, state)
				}
				s.Signal(s.Master(), syscall.SIGKILL)
				s.ended(leader)
				s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
				s.end(unreplicated)
				s.Epochs(s.Before, 1)
				if s.row.gap > usual {
					t.Errorf("no write for %s, want at most %s", s.row.gap, usual)
				}
				writes := s.writesOf() - before
				t.Logf("%d API writes", writes)
				if writes > mostWrites {
					t.Errorf("%d API writes, want at most %d", writes, mostWrites)
				}
				if said := s.audited(); said != testbed.TomorrowsValue {
					t.Errorf("what the newer version wrote is %q", said)
				}
			})
		}
	}
}

func TestARollbackFromAStateThatThisVersionDoesNotKnowLosesNothingAndNamesTheVersion(t *testing.T) {
	knowTomorrow(t)
	s := begin(t, "master killed, operator rolled back in a state of tomorrow", v1alpha1.RedisHASpec{})
	ops.deploy(s.Ctx, t, tomorrows, todays)
	s.Settle()
	before := s.writesOf()
	leader := ops.crashAt(s.Ctx, t, testbed.TomorrowsState)
	ops.rollTo(todays)
	s.Signal(s.Master(), syscall.SIGKILL)
	s.ended(leader)
	s.Eventually("the condition Compatible to name the version", func(rha *v1alpha1.RedisHA) bool {
		c := meta.FindStatusCondition(rha.Status.Conditions, v1alpha1.ConditionCompatible)
		return c != nil && c.Status == metav1.ConditionFalse && strings.Contains(c.Message, testbed.TomorrowsVersion)
	})
	s.acknowledged(time.Now()) // the new master serves
	time.Sleep(5 * time.Second)
	if rha := s.Get(); rha.Status.Failover.State != testbed.TomorrowsState {
		raw, _ := json.Marshal(rha.Status.Failover)
		t.Errorf("this version went on from a state that it does not know: %s", raw)
	}
	ops.deploy(s.Ctx, t, tomorrows, todays)
	s.end(unreplicated)
	s.Epochs(s.Before, 1)
	if writes := s.writesOf() - before; writes > mostWrites {
		t.Errorf("%d API writes, want at most %d", writes, mostWrites)
	}
}
