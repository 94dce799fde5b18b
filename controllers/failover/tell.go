// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"slices"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/failover"
)

const (
	// tellAfter is how long a failover may run before its conditions are written. An ordinary one is over by then, and
	// must not pay for telling that it runs.
	tellAfter = time.Second
	// tellAgain is the least time between two writes of the conditions of a failover that runs on: its messages change as
	// it does.
	tellAgain = time.Second
)

// telling is what people were told of a RedisHA, by this process's clock: times in the status may be another
// operator's.
type telling struct {
	running  time.Time // since when a failover has been seen to run; zero when none does
	wrote    time.Time // when its conditions were written
	delayed  bool      // an Event has told that it lasts
	measured bool      // reason is what the gauge shows
	reason   failover.Reason
	possible metav1.Condition // what FailoverPossible is about to become
	since    time.Time        // since when; zero when it is what it should be
	refused  bool             // it is False for what the replicas are
	words    *rate.Limiter    // writes of conditions of which only messages differ
	held     bool             // such a write waits
	waits    time.Duration    // for how long a write is to wait that was over budget; zero: none is
}

// A message that has changed is told at once, unless it does so all the time: a Redis that does something else each
// time would have its conditions written for ever.
const (
	wordsPause  = 15 * time.Second
	wordsAtOnce = 5
)

// holdsBack reports that conditions are not to be written now. reworded says that only messages differ.
func (t *telling) holdsBack(reworded bool, now time.Time) bool {
	if t.words == nil {
		t.words = rate.NewLimiter(rate.Every(wordsPause), wordsAtOnce)
	}
	t.held = reworded && !t.words.AllowN(now, 1)
	return t.held
}

// possibleAfter is how long another answer about FailoverPossible must stand before it is told: a replica that misses
// one probe, or lags for an instant, is not worth two writes.
const possibleAfter = time.Second

// possibleAgain is how often it is looked whether a failover has become possible: that a replica has caught up wakes
// nothing.
const possibleAgain = 5 * time.Second

// settled is what is told of FailoverPossible: what is so by now, once it has been so for possibleAfter.
func (t *telling) settled(rha *v1alpha1.RedisHA, is metav1.Condition, now time.Time) metav1.Condition {
	t.refused = is.Reason == v1alpha1.ReasonNoCandidate
	told := meta.FindStatusCondition(rha.Status.Conditions, is.Type)
	if told == nil || told.Status == is.Status && told.Reason == is.Reason && told.Message == is.Message {
		t.since = time.Time{}
		return is
	}
	if t.since.IsZero() || t.possible != is {
		t.possible, t.since = is, now
	}
	if now.Sub(t.since) < possibleAfter {
		return *told
	}
	t.since = time.Time{}
	return is
}

// pending is when to look again for the sake of what is told.
func (t *telling) pending() failover.Again {
	switch {
	case t.waits > 0:
		return failover.After(t.waits)
	case !t.since.IsZero():
		return failover.After(possibleAfter)
	case t.refused, t.held:
		return failover.After(possibleAgain)
	}
	return failover.OnEvent()
}

// due says whether the conditions are to be written now, and whether it is to be told for the first time that a
// failover lasts.
func (t *telling) due(d failover.Decision, now time.Time) (write, delayed bool) {
	if !d.Next.Running() {
		t.running, t.wrote, t.delayed = time.Time{}, time.Time{}, false
		return !d.Settling, false
	}
	if t.running.IsZero() {
		t.running = now
	}
	if now.Sub(t.running) < tellAfter || now.Sub(t.wrote) < tellAgain {
		return false, false
	}
	delayed = !t.delayed && d.Next.State != failover.StateReattaching // then there is a master
	t.wrote, t.delayed = now, t.delayed || delayed
	return true, delayed
}

// changed says whether the gauge shows another reason, or none yet: a process that has just begun to lead has shown
// nothing.
func (t *telling) changed(reason failover.Reason) bool {
	if t.measured && t.reason == reason {
		return false
	}
	t.measured, t.reason = true, reason
	return true
}

// measure keeps the gauges at what was decided last, whether anything changes or not.
func (r *Reconciler) measure(rha *v1alpha1.RedisHA, d failover.Decision, obs failover.Observation) {
	key := client.ObjectKeyFromObject(rha)
	epochGauge.WithLabelValues(key.Namespace, key.Name).Set(float64(d.Next.Epoch))
	observeAvailable(key, d.Next.State, availableCondition(rha, d, obs).Status == metav1.ConditionTrue)
	if r.memory.Of(key).telling.changed(d.Reason) {
		observeReason(key, d.Reason)
	}
}

// tellDelay records an Event about a failover that lasts.
func (r *Reconciler) tellDelay(rha *v1alpha1.RedisHA, d failover.Decision) {
	r.Recorder.Event(rha, corev1.EventTypeWarning, v1alpha1.EventFailoverDelayed, "there is no master yet: "+d.Message)
}

// refusals of writes by a master that lives; no failover mends them.
var writeRefusals = []string{
	v1alpha1.ReasonTooFewReplicas,
	v1alpha1.ReasonMasterCannotPersist,
	v1alpha1.ReasonMasterOutOfMemory,
	v1alpha1.ReasonMasterBusy,
	v1alpha1.ReasonMasterTurnsClientsAway,
}

// tellWrites records an Event when a master that lives begins to refuse what applications want, and when it has ceased
// to.
func (r *Reconciler) tellWrites(before, after *v1alpha1.RedisHA) {
	was := meta.FindStatusCondition(before.Status.Conditions, v1alpha1.ConditionAvailable)
	now := meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionAvailable)
	refused := was != nil && slices.Contains(writeRefusals, was.Reason)
	switch {
	case now == nil || was != nil && was.Reason == now.Reason:
	case slices.Contains(writeRefusals, now.Reason):
		r.Recorder.Event(after, corev1.EventTypeWarning, v1alpha1.EventWritesRefused, now.Reason+": "+now.Message)
	case refused && now.Status == metav1.ConditionTrue:
		r.Recorder.Event(after, corev1.EventTypeNormal, v1alpha1.EventWritesAccepted, now.Message)
	}
}
