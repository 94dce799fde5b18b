// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

func TestAKilledMasterIsReplacedOnceAndTheDataKept(t *testing.T) {
	ctx := bounded(t, 2*time.Minute)
	r := apply(ctx, t, "killed")
	r.write(ctx)
	old, epoch := r.master(), r.epoch()
	before := r.verify(ctx)
	if before.Lost != 0 {
		t.Fatalf("before any fault %d of %d writes are lost", before.Lost, before.Acked)
	}
	if err := theStage.Sandbox.Signal(r.key.Namespace, old, resources.RedisContainer, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	entry := r.promoted(ctx)
	r.waitAcks(ctx, 50)
	if r.master() == old || entry.From != old || entry.Kind != v1alpha1.HistoryFailover ||
		entry.Outcome != v1alpha1.OutcomeSucceeded {
		t.Errorf("master %s after %s was killed; history %+v", r.master(), old, entry)
	}
	if r.epoch() != epoch+1 {
		t.Errorf("%d promotions for one dead master: %+v", r.epoch()-epoch, r.object.Status.History)
	}
	// Replication is asynchronous: the last writes before the kill may be lost, those of before may not.
	loss := r.verify(ctx)
	if loss.Lost > 50 {
		t.Errorf("%d of %d acknowledged writes are lost, e.g. %v", loss.Lost, loss.Acked, loss.Examples)
	}
	for _, step := range []string{"evidence", "intent", "detached", "promoted", "published"} {
		if !hasStep(entry, step) {
			t.Errorf("the history tells nothing of %q: %+v", step, entry.Steps)
		}
	}
}

func TestADeletedMasterPodLosesNoAcknowledgedWrite(t *testing.T) {
	ctx := bounded(t, 2*time.Minute)
	r := apply(ctx, t, "deleted")
	r.write(ctx)
	old, epoch := r.master(), r.epoch()
	r.deleteMasterPod(ctx)
	entry := r.promoted(ctx)
	r.waitAcks(ctx, 50)
	if r.master() == old || entry.Kind != v1alpha1.HistorySwitchover || r.epoch() != epoch+1 {
		t.Errorf("master %s, epoch %d after %s, epoch %d was deleted; history %+v", r.master(), r.epoch(), old, epoch, entry)
	}
	if loss := r.verify(ctx); loss.Lost != 0 {
		t.Errorf("%d of %d acknowledged writes are lost, e.g. %v", loss.Lost, loss.Acked, loss.Examples)
	}
}

func TestTheFailoverOfADeadOperatorIsFinishedByItsSuccessorUnderTheSameEpoch(t *testing.T) {
	for state, fault := range map[v1alpha1.FailoverState]syscall.Signal{
		v1alpha1.StateFencing:   syscall.SIGSTOP, // of a dead master nothing is left to be fenced
		v1alpha1.StatePromoting: syscall.SIGKILL,
	} {
		t.Run(string(state), func(t *testing.T) {
			ctx := bounded(t, 2*time.Minute)
			r := apply(ctx, t, "orphaned-"+strings.ToLower(string(state)))
			r.write(ctx)
			old, epoch := r.master(), r.epoch()
			leader, err := theStage.Leader(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := leader.CrashAt(string(state)); err != nil {
				t.Fatal(err)
			}
			if err := theStage.Sandbox.Signal(r.key.Namespace, old, resources.RedisContainer, fault); err != nil {
				t.Fatal(err)
			}
			select {
			case <-leader.Exited():
			case <-ctx.Done():
				t.Fatalf("the operator did not come as far as %s:\n%s", state, leader.LogTail())
			}
			if _, err := theStage.StartOperator(); err != nil { // the next to stand by
				t.Fatal(err)
			}
			r.promoted(ctx)
			r.waitAcks(ctx, 50)
			if r.master() == old || r.epoch() != epoch+1 {
				t.Errorf(
					"master %s, epoch %d; before it was %s, epoch %d: %+v", r.master(), r.epoch(), old, epoch,
					r.object.Status.History,
				)
			}
		})
	}
}

func hasStep(entry v1alpha1.HistoryEntry, name string) bool {
	for _, s := range entry.Steps {
		if s.Name == name && !s.At.IsZero() {
			return true
		}
	}
	return false
}
