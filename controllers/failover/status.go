// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/conditions"
	"github.com/redisha/redisha/controllers/requests"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/decide"
)

// applyDecision writes a decision's progress and history into the status.
func applyDecision(rha *v1alpha1.RedisHA, d failover.Decision) {
	status := &rha.Status
	writeProgress(status, d.Next)
	noteRequest(status, d)
	if d.Record != nil {
		entry := historyOf(*d.Record)
		status.History = append([]v1alpha1.HistoryEntry{entry}, status.History...)
		status.History = status.History[:min(len(status.History), maxHistory)]
		if d.Record.Kind != failover.KindBootstrap && d.Record.Outcome == failover.OutcomeSucceeded {
			status.LastFailover = &metav1.Time{Time: d.Record.FinishedAt}
		}
	}
}

// maxRequests is how many requests are remembered. Requests that are kept in Git are few.
const maxRequests = 16

// noteRequest writes down the request that was taken up, and what became of it. What is over is not told anew.
func noteRequest(status *v1alpha1.RedisHAStatus, d failover.Decision) {
	requests := slices.Clone(status.Requests)
	for i := range requests {
		if r := &requests[i]; r.ID != d.Next.Request && !r.State.IsOver() {
			r.State, r.Reason, r.Message = v1alpha1.RequestFailed, v1alpha1.ReasonReplaced, "another request was taken up, "+
				"or the status was restored, before it was done"
		}
	}
	if id := d.Next.Request; id != "" &&
		!slices.ContainsFunc(requests, func(r v1alpha1.RequestStatus) bool { return r.ID == id }) {
		requests = slices.Insert(requests, 0, v1alpha1.RequestStatus{ID: id, State: v1alpha1.RequestRunning})
	}
	if h := d.Handled; h != nil {
		i := slices.IndexFunc(requests, func(r v1alpha1.RequestStatus) bool { return r.ID == h.ID })
		if i >= 0 && !requests[i].State.IsOver() {
			requests[i] = outcomeOf(*h)
		}
	}
	status.Requests = requests[:min(len(requests), maxRequests)]
}

func outcomeOf(h failover.Handled) v1alpha1.RequestStatus {
	r := v1alpha1.RequestStatus{ID: h.ID, State: v1alpha1.RequestSucceeded, Message: conditions.Bounded(h.Message)}
	if !h.Succeeded {
		r.State, r.Reason = v1alpha1.RequestFailed, cmp.Or(string(h.Reason), v1alpha1.ReasonGivenUp)
	}
	return r
}

// conditionsOf are the conditions of this controller; possible is its own word on whether a failover is, which wants
// the time.
func conditionsOf(
	rha *v1alpha1.RedisHA, d failover.Decision, seen sighting, possible metav1.Condition,
) []metav1.Condition {
	return []metav1.Condition{
		availableCondition(rha, d, seen.Observation), readyCondition(rha, d, seen), initializedCondition(d),
		possible, pausedCondition(d), blockedCondition(d),
	}
}

func availableCondition(rha *v1alpha1.RedisHA, d failover.Decision, obs failover.Observation) metav1.Condition {
	m := d.Next.Master
	switch {
	case d.Next.State == failover.StateHibernated:
		return hibernated(v1alpha1.ConditionAvailable, rha)
	case m == nil:
		return conditions.New(v1alpha1.ConditionAvailable, false, v1alpha1.ReasonNoMaster, d.Message)
	case d.Next.State == failover.StateBlocked && d.Reason != failover.ReasonMasterUnreachableWithReplicas:
		return conditions.New(v1alpha1.ConditionAvailable, false, v1alpha1.ReasonNoMaster, d.Message)
	case d.Next.State == failover.StateFencing || d.Next.State == failover.StatePromoting:
		return conditions.New(
			v1alpha1.ConditionAvailable, false, v1alpha1.ReasonFailoverInProgress, "replacing master "+m.Pod+": "+d.Message,
		)
	}
	if n, ok := obs.Node(m.NodeRef); ok {
		if c, heard := heardCondition(rha, n); heard {
			return c
		}
	}
	lives := []failover.Reason{
		failover.ReasonMasterUnreachableButReplicating,
		failover.ReasonMasterAccessDenied,
		failover.ReasonMasterUnreachableWithReplicas,
		failover.ReasonMasterUnreachableWithoutGuard,
	}
	if slices.Contains(lives, d.Reason) { // or may live, and others may well reach it
		c := conditions.New(v1alpha1.ConditionAvailable, false, v1alpha1.ReasonMasterUnreachable, d.Message)
		c.Status = metav1.ConditionUnknown
		return c
	}
	return conditions.New(
		v1alpha1.ConditionAvailable, false, v1alpha1.ReasonMasterUnreachable, "master "+m.Pod+" does not answer",
	)
}

// heardCondition is about a master that answers, in whatever way; false about one that does not.
func heardCondition(rha *v1alpha1.RedisHA, master failover.Node) (metav1.Condition, bool) {
	switch master.Contact {
	case failover.ContactAnswering, failover.ContactNone:
		return servingCondition(rha, master), true
	case failover.ContactBusy:
		return conditions.New(v1alpha1.ConditionAvailable, false, v1alpha1.ReasonMasterBusy, fmt.Sprintf(
			"master %s runs a script and answers BUSY to everything else; SCRIPT KILL (FUNCTION KILL) ends one that has not "+
				"written; after %s a replica takes over",
			master.Name,
			failover.BusyPatience,
		)), true
	case failover.ContactFull:
		return turnsAwayCondition(master), true
	case failover.ContactSilent, failover.ContactRefused, failover.ContactDenied, failover.ContactErring:
	}
	return metav1.Condition{}, false
}

func turnsAwayCondition(master failover.Node) metav1.Condition {
	return conditions.New(v1alpha1.ConditionAvailable, false, v1alpha1.ReasonMasterTurnsClientsAway, fmt.Sprintf(
		"master %s turns new connections away (max number of clients reached); clients that are connected go on: close "+
			"idle connections, or raise maxclients",
		master.Name,
	))
}

// servingCondition is about a master that answers. One whose replicas have all gone silent refuses writes, because
// nothing tells whether it is not the one that is cut off.
func servingCondition(rha *v1alpha1.RedisHA, master failover.Node) metav1.Condition {
	r := master.Replication
	switch {
	case !master.Answers():
	case r.Followers < r.MinReplicas:
		return conditions.New(v1alpha1.ConditionAvailable, false, v1alpha1.ReasonTooFewReplicas, fmt.Sprintf(
			"master %s refuses writes until %d replica(s) follow it (min-replicas-to-write); %d do", master.Name,
			r.MinReplicas, r.Followers,
		))
	case r.AOFFailed || r.SaveFailed && resources.RefusesWritesUnsaved(rha):
		return conditions.New(v1alpha1.ConditionAvailable, false, v1alpha1.ReasonMasterCannotPersist, fmt.Sprintf(
			"master %s refuses writes because it cannot persist them (MISCONF): is its volume full? Make room, or switch "+
				"over to a pod that has some",
			master.Name,
		))
	case r.OutOfMemory:
		return conditions.New(v1alpha1.ConditionAvailable, false, v1alpha1.ReasonMasterOutOfMemory, fmt.Sprintf(
			"master %s refuses commands that need memory (OOM): maxmemory is reached, and maxmemory-policy evicts too "+
				"little; delete keys, raise maxmemory, or choose "+
				"a policy that evicts",
			master.Name,
		))
	case r.TurnsAway:
		return turnsAwayCondition(master)
	}
	return conditions.New(v1alpha1.ConditionAvailable, true, v1alpha1.ReasonMasterServing, "master "+master.Name+" serves")
}

// attachedReplicas counts the replicas that follow the master with their link up, by the settled picture.
func attachedReplicas(p failover.Progress) int {
	count := 0
	for _, k := range p.Nodes {
		if k.Role == failover.RoleReplica && k.LinkUp {
			count++
		}
	}
	return count
}

func initializedCondition(d failover.Decision) metav1.Condition {
	switch {
	case d.Next.Initialized:
		return conditions.New(
			v1alpha1.ConditionInitialized, true, v1alpha1.ReasonFirstMasterPromoted, "a first master has been promoted",
		)
	case d.Reason == failover.ReasonWaitingForData:
		return conditions.New(v1alpha1.ConditionInitialized, false, v1alpha1.ReasonWaitingForData,
			d.Message+"; if what its volume holds is not wanted, delete its claim and its pod")
	}
	return conditions.New(
		v1alpha1.ConditionInitialized, false, v1alpha1.ReasonWaitingForPods, "no Redis has become master yet: "+d.Message,
	)
}

// possibleCondition answers the question before it is asked: would we survive the loss of the master's process now? It
// asks the core.
func possibleCondition(
	rha *v1alpha1.RedisHA, d failover.Decision, obs failover.Observation, now time.Time,
) metav1.Condition {
	kind := v1alpha1.ConditionFailoverPossible
	switch {
	case d.Next.State == failover.StateHibernated:
		return hibernated(kind, rha)
	case resources.Replicas(rha) == 1:
		return conditions.New(kind, false, v1alpha1.ReasonSingleNode, "spec.replicas is 1; there is nothing to fail over to")
	case rha.Spec.Failover.Mode == v1alpha1.ModeManual:
		return conditions.New(
			kind,
			false,
			v1alpha1.ReasonManualMode,
			"spec.failover.mode is Manual; annotate "+v1alpha1.AnnotationRequest+"="+requests.Switchover+requests.IDMark+
				"ID, with an ID not used before",
		)
	case rha.Spec.Failover.Mode == v1alpha1.ModePaused:
		return conditions.New(
			kind, false, v1alpha1.ReasonPausedBySpec, "spec.failover.mode is Paused; a lost master is not replaced",
		)
	}
	if d.Next.State == failover.StateBlocked { // what was attached is from before
		return conditions.New(kind, false, v1alpha1.ReasonNoCandidate, d.Message)
	}
	foreseen := decide.Foresee(now, policyOf(rha), obs, d.Next)
	switch {
	case foreseen.Candidate != "":
		return conditions.New(kind, true, v1alpha1.ReasonCandidateAvailable, "a replica may take over")
	case d.Next.Master == nil || attachedReplicas(d.Next) == 0:
		return conditions.New(kind, false, v1alpha1.ReasonNoReplica, "no replica follows the master: "+foreseen.Why)
	}
	return conditions.New(
		kind, false, v1alpha1.ReasonNoCandidate,
		fmt.Sprintf("a failover would be refused (%s): %s", foreseen.Reason, foreseen.Why),
	)
}

func pausedCondition(d failover.Decision) metav1.Condition {
	if d.Reason == failover.ReasonPaused {
		return conditions.New(
			v1alpha1.ConditionPaused, true, v1alpha1.ReasonPausedBySpec,
			"spec.failover.mode is Paused; the operator observes only",
		)
	}
	return conditions.New(v1alpha1.ConditionPaused, false, v1alpha1.ReasonNotPaused, "failover management is active")
}

func blockedCondition(d failover.Decision) metav1.Condition {
	// A set that comes up waits for pods and data; that is no refusal, and the condition Initialized tells.
	comesUp := !d.Next.Initialized &&
		(d.Reason == failover.ReasonWaitingForPods || d.Reason == failover.ReasonWaitingForData)
	if d.Reason == failover.ReasonNone || d.Reason == failover.ReasonPaused || comesUp {
		return conditions.New(v1alpha1.ConditionBlocked, false, v1alpha1.ReasonNotBlocked, "no operation is blocked")
	}
	return conditions.New(v1alpha1.ConditionBlocked, true, string(d.Reason), d.Message)
}
