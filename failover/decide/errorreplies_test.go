// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
)

// erring lets a node answer with errors only from now on; what it said before stays in its sample.
func (w *world) erring(name string, contact failover.Contact) {
	n := w.node(name)
	n.Contact, n.ContactSince = contact, w.now
	w.sample(0)
}

// replacedWithin lets time pass until another node is master.
func (w *world) replacedWithin(most time.Duration, meanwhile func()) time.Duration {
	old, began := w.master(), w.now
	for w.master() == old && w.now.Sub(began) < most {
		if meanwhile != nil {
			meanwhile()
		}
		w.pass(100 * time.Millisecond)
	}
	return w.now.Sub(began)
}

// B2: a replica at max clients, whose connection was replaced, was a witness for ever by what it had said before.
func TestAReplicaThatTurnsUsAwayIsNoWitnessByWhatItSaidBefore(t *testing.T) {
	w := settled(t, 3)
	w.erring("r-1", failover.ContactFull)
	w.pass(time.Second)
	w.hang("r-0")
	if took := w.replacedWithin(
		10*time.Second,
		func() { w.node("r-0").ConnectedAt = w.now },
	); took > 8*time.Second &&
		w.progress.Reason != failover.ReasonMasterUnreachableWithReplicas {
		t.Errorf("state %s (%s)\n%s", w.progress.State, w.progress.Reason, w.story())
	}
	// It may be with the master, as any other that is out of reach may. When it has lost its link, and says so, it does
	// not.
	n := w.node("r-1")
	n.Contact, n.ContactSince = failover.ContactAnswering, w.now
	w.pass(5 * time.Second)
	if w.master() != "r-1" && w.master() != "r-2" {
		t.Errorf("state %s (%s)\n%s", w.progress.State, w.progress.Reason, w.story())
	}
}

// One that was on its way to the master when it was last heard may have got there since (seed 957000985).
func TestAReplicaOnItsWayToASilentMasterMayBeWithIt(t *testing.T) {
	for _, contact := range []failover.Contact{failover.ContactFull, failover.ContactSilent} {
		w := settled(t, 3)
		w.write(1000, nil)
		w.node("r-1").Replication.Linked = false // a new process
		w.link(w.node("r-1"), false, -1)
		w.erring("r-1", contact)
		w.hang("r-0")
		w.pass(10 * time.Second)
		if w.master() != "r-0" || w.progress.Reason != failover.ReasonMasterUnreachableWithReplicas {
			t.Errorf("%s: master %s, reason %s\n%s", contact, w.master(), w.progress.Reason, w.story())
		}
		w.restart("r-1", false) // what has ended is with no master
		if w.replacedWithin(5*time.Second, nil); w.master() != "r-2" {
			t.Errorf("%s: state %s (%s)", contact, w.progress.State, w.progress.Reason)
		}
	}
}

// B2: one that is to be fenced and turns us away was waited for without end, as the order never was sent.
func TestAFailoverDoesNotWaitForAReplicaThatTurnsUsAway(t *testing.T) {
	for _, contact := range []failover.Contact{failover.ContactFull, failover.ContactBusy, failover.ContactErring} {
		w := settled(t, 3)
		w.write(1000, nil)
		w.erring("r-1", contact)
		w.restart("r-0", false)
		if took := w.replacedWithin(10*time.Second, nil); w.master() != "r-2" || took > 2*time.Second {
			t.Errorf(
				"%s: master %s after %s, state %s (%s)\n%s", contact, w.master(), took, w.progress.State, w.progress.Reason,
				w.story(),
			)
		}
	}
}

// B2: a restarted, fenced master whose new process turns us away was master still, by its old sample.
func TestAMasterThatTurnsUsAwayIsReplacedWhenItsReplicasHaveLostIt(t *testing.T) {
	for name, tc := range map[string]struct {
		contact failover.Contact
		link    bool // the replicas' links are as they were
		want    string
	}{
		"the process behind the error is another one": {failover.ContactFull, false, "r-1"},
		"another error, and no link":                  {failover.ContactErring, false, "r-1"},
		"the master has many clients, and serves":     {failover.ContactFull, true, "r-0"},
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t, 2)
			w.write(1000, nil)
			w.erring("r-0", tc.contact)
			took := w.replacedWithin(12*time.Second, func() {
				w.node("r-0").ConnectedAt = w.now
				w.link(w.node("r-1"), tc.link, 0)
				w.node("r-1").SampledAt = w.now
			})
			if w.master() != tc.want {
				t.Errorf("master %s after %s, state %s (%s)\n%s", w.master(), took, w.progress.State, w.progress.Reason, w.story())
			}
			if tc.link && w.progress.Reason != failover.ReasonMasterUnreachableButReplicating {
				t.Errorf("what is held is not told: %s", w.progress.Reason)
			}
			if !tc.link && took > w.policy.DownAfter+time.Second {
				t.Errorf("replaced after %s", took)
			}
		})
	}
}

// S6: a script is waited for as long as BUSY counts as a sign of life, and no longer.
func TestAScriptIsNoReasonToReplaceAMasterUnlessItNeverEnds(t *testing.T) {
	w := settled(t, 3)
	w.write(1000, nil)
	w.erring("r-0", failover.ContactBusy)
	began := w.now
	busy := func() { // as the prober tells it
		if w.now.Sub(began) < failover.BusyPatience {
			w.node("r-0").LastAnswer = w.now
		}
	}
	if took := w.replacedWithin(
		failover.BusyPatience, busy,
	); w.master() != "r-0" || took < failover.BusyPatience ||
		w.progress.State != failover.StateStable {
		t.Fatalf("master %s after %s, state %s (%s)\n%s", w.master(), took, w.progress.State, w.progress.Reason, w.story())
	}
	if took := w.replacedWithin(10*time.Second, busy); w.master() == "r-0" || took > w.downAfterAtMost()+time.Second {
		t.Errorf("master %s another %s later, state %s (%s)", w.master(), took, w.progress.State, w.progress.Reason)
	}
}

// downAfterAtMost is down-after of a master that may be isolated.
func (w *world) downAfterAtMost() time.Duration {
	return w.policy.DownAfter + diagnosis.IsolationMargin
}

// A master that fell silent before it could say BUSY is suspected no more when it does.
func TestASuspectedMasterThatAnswersBusyIsNotSuspectedAnyMore(t *testing.T) {
	w := settled(t, 2)
	w.hang("r-0")
	w.sleep(2900 * time.Millisecond)
	for range 5 {
		w.link(w.node("r-1"), true, 0) // its replica vetoes
		w.node("r-1").SampledAt = w.now
		w.once()
		w.now = w.now.Add(100 * time.Millisecond)
	}
	if w.progress.State != failover.StateSuspected {
		t.Fatalf("state %s", w.progress.State)
	}
	w.erring("r-0", failover.ContactBusy)
	w.node("r-0").LastAnswer = w.now
	w.once()
	if w.progress.State != failover.StateStable {
		t.Errorf("state %s (%s)", w.progress.State, w.progress.Reason)
	}
}
