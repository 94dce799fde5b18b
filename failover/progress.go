// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"slices"
	"time"
)

// State is where the machine stands. It is persisted, and a closed set.
type State string

// The states; states.go lists the transitions between them.
const (
	// StateBootstrapping: there has never been a master.
	StateBootstrapping State = "Bootstrapping"
	// StateStable: a master serves; upkeep only.
	StateStable State = "Stable"
	// StateSuspected: the master is silent for down-after; witnesses are heard.
	StateSuspected State = "Suspected"
	// StateFencing: the failover is decided; old master and replicas are being fenced.
	StateFencing State = "Fencing"
	// StateSwitchingOver: a planned switchover drains the old master. Once that is demoted the candidate is made master in
	// this state: it may be master already.
	StateSwitchingOver State = "SwitchingOver"
	// StatePromoting: the candidate is chosen; no way back for it but a new epoch.
	StatePromoting State = "Promoting"
	// StateReattaching: the new master is published; the others are pointed at it.
	StateReattaching State = "Reattaching"
	// StateHibernated: no Redis is to run; the data is on the volume of the pod that will be master again.
	StateHibernated State = "Hibernated"
	// StateBlocked: a failover is wanted but cannot be done safely; Progress.Reason says why.
	StateBlocked State = "Blocked"
)

// Cause says why a failover or a switchover was begun.
type Cause string

// Causes: a Diagnosis for failovers, and these.
const (
	CauseBootstrap Cause = "Bootstrap"
	CauseAdopted   Cause = "Adopted"
	CauseRequested Cause = "Requested"
	CauseForced    Cause = "Forced"
	CauseWoken     Cause = "Woken"
)

// Reason says why something wanted is not done. It becomes the reason of a condition.
type Reason string

// Reasons of refusals and of waiting.
const (
	ReasonNone Reason = ""
	// ReasonMasterUnreachableButReplicating: the master does not answer the operator, and a replica still replicates from
	// it.
	ReasonMasterUnreachableButReplicating Reason = "MasterUnreachableButReplicating"
	// ReasonMasterUnreachableNoWitness: the master does not answer the operator, and no replica can testify.
	ReasonMasterUnreachableNoWitness Reason = "MasterUnreachableNoWitness"
	// ReasonMasterUnreachableWithReplicas: the master and as many of its replicas as its write guard asks for do not
	// answer: together they may accept writes.
	ReasonMasterUnreachableWithReplicas Reason = "MasterUnreachableWithReplicas"
	// ReasonMasterMayStillWrite: the master may be isolated, and its write guard has not stopped it for certain yet. It
	// takes 4 s at most.
	ReasonMasterMayStillWrite Reason = "MasterMayStillWrite"
	// ReasonMasterUnreachableWithoutGuard: the master does not answer, and its write guard was off: isolated, it would not
	// stop by itself.
	ReasonMasterUnreachableWithoutGuard Reason = "MasterUnreachableWithoutGuard"
	// ReasonCooldown: the latest failovers were guesses that came too often; the next waits.
	ReasonCooldown Reason = "Cooldown"
	// ReasonObserverSuspect: masters of several owners fell silent at once, so that the operator doubts its own network.
	ReasonObserverSuspect Reason = "ObserverSuspect"
	// ReasonManualMode: spec.failover.mode is Manual, and the failover was not requested.
	ReasonManualMode Reason = "ManualMode"
	// ReasonPaused: spec.failover.mode is Paused.
	ReasonPaused Reason = "Paused"
	// ReasonNoCandidate: no replica may be promoted; the message says why of each.
	ReasonNoCandidate Reason = "NoCandidate"
	// ReasonTooFewReplicasFenced: consistency is Strict, and a replica that may have the only copy of a write that WAIT
	// acknowledged is not fenced.
	ReasonTooFewReplicasFenced Reason = "TooFewReplicasFenced"
	// ReasonWaitingForData: a pod that may hold newer data is loading or away.
	ReasonWaitingForData Reason = "WaitingForData"
	// ReasonWaitingForPods: no pod answers yet.
	ReasonWaitingForPods Reason = "WaitingForPods"
	// ReasonMasterAccessDenied: the master refuses the operator's password or certificate, and may serve others.
	ReasonMasterAccessDenied Reason = "MasterAccessDenied"
	// ReasonOldMasterNotFenced: the old master answers as master, and does not obey.
	ReasonOldMasterNotFenced Reason = "OldMasterNotFenced"
	// ReasonSplitBrain: several masters have data of their own, and none is on record.
	ReasonSplitBrain Reason = "SplitBrain"
	// ReasonSwitchoverTooSlow: the candidate did not catch up in time; the master serves on.
	ReasonSwitchoverTooSlow Reason = "SwitchoverTooSlow"
	// ReasonCandidateBehind: the old master is fenced, and the candidate lacks writes of it.
	ReasonCandidateBehind Reason = "CandidateBehind"
	// ReasonRequestedNodeIneligible: the node that a person asked for may not be promoted.
	ReasonRequestedNodeIneligible Reason = "RequestedNodeIneligible"
	// ReasonDivergentMaster: a master that was not elected has data of its own.
	ReasonDivergentMaster Reason = "DivergentMaster"
	// ReasonEarlierData: a pod came with data that is older than the history on record.
	ReasonEarlierData Reason = "EarlierData"
	// ReasonUnknownState: the state on record is one that this version does not know.
	ReasonUnknownState Reason = "UnknownState"
)

// Names of the steps that a history entry carries a timestamp for.
const (
	StepEvidence   = "evidence"
	StepIntent     = "intent"
	StepDetached   = "detached"
	StepDemoted    = "demoted"
	StepPromoted   = "promoted"
	StepPublished  = "published"
	StepReattached = "reattached"
)

// Step is an instant of a failover.
type Step struct {
	Name string
	At   time.Time
}

// Master is the node that was made master, by which epoch, and the history it writes.
type Master struct {
	NodeRef
	Epoch   int64
	Since   time.Time
	Lineage Lineage // as of its promotion; Offset is not kept up to date
}

// NodeRecord is the last settled snapshot of a node: which incarnation was attached, and how.
type NodeRecord struct {
	NodeRef
	Role     Role
	LinkUp   bool
	Attached bool // this incarnation has been in sync with the master of this epoch, or is it
	// offset that it has to reach before it counts as attached: where the master was when its link came up; 0: none
	CatchUpOffset int64
	Ineligible    Ineligibility // why it may not be promoted now; empty: it may
	WriteGuard    int           // min-replicas-to-write of this master, where it is certain to be more than 1; else 0
	// this master may accept writes without a replica: its min-replicas-to-write is 0, or about to become it
	WriteGuardOff bool
	Restarts      int    // how often another process was met in its pod
	Version       string // of Redis, for people; nothing is decided by it
	// replid of the history that this incarnation got elsewhere, where Ineligible is IneligibleForeign; empty: not known
	OtherReplID string
}

// Progress is the persisted part of the machine. It alone carries a failover over a crash.
type Progress struct {
	State     State
	Since     time.Time // entered State
	StartedAt time.Time // of the running failover or switchover; while a set hibernates and wakes, of its hibernation
	Epoch     int64     // number of promotions begun; only grows
	Cause     Cause
	Reason    Reason
	Message   string // as of the last transition

	Initialized bool // a master has been promoted once
	Master      *Master
	OldMaster   *NodeRef
	Candidate   *NodeRef
	Lineage     Lineage  // of the master that was lost, as last seen
	Retired     []string // replids of former masters, and run IDs of those whose replid was never seen, newest first
	// run IDs of those who led in the running failover and were lost, and names of pods whose volume has what they wrote
	InterimMasters []string
	// pods that had not been heard when the first master was chosen, nor seen empty or in sync since
	UnheardPods []string
	// unreachable replicas that may hold what the old master took after all that can be reached had lost it, as it was
	// seen when the failover began: who was detached since tells that no more
	AheadPods []string
	ForcedPod string // pod that a person wants promoted, whatever is lost by it
	Request   string // ID of the request that is being carried out, or was last refused or done
	Steps     []Step

	CooldownUntil time.Time      // no second attempt at a planned switchover before
	SoftFailovers []SoftFailover // the last ones, newest first

	Nodes []NodeRecord
}

// MaxRetired bounds Progress.Retired. A master that was away for more failovers than this is
// taken for a divergent master, and left alone.
const MaxRetired = 8

// maxInterimMasters bounds Progress.InterimMasters.
const maxInterimMasters = 16

// Retire remembers a history that came to its end by a decision of ours.
func (p *Progress) Retire(replID string) {
	if !slices.Contains(p.Retired, replID) {
		p.Retired = slices.Insert(p.Retired, 0, replID)
		p.Retired = p.Retired[:min(len(p.Retired), MaxRetired)]
	}
}

// AddInterimMaster remembers a process that leads or led in the running failover, by a name for its history that may
// never be seen. Should it come back as master later, it is not divergent either.
func (p *Progress) AddInterimMaster(runID string) {
	p.Retire(runID)
	p.RememberInterimMaster(runID)
}

// RememberInterimMaster adds a process or a pod to those who led in the running failover.
func (p *Progress) RememberInterimMaster(id string) {
	if !slices.Contains(p.InterimMasters, id) {
		p.InterimMasters = slices.Insert(p.InterimMasters, 0, id)
		p.InterimMasters = p.InterimMasters[:min(len(p.InterimMasters), maxInterimMasters)]
	}
}

// Running reports whether a failover or switchover is under way.
func (p Progress) Running() bool {
	switch p.State {
	case StateFencing, StateSwitchingOver, StatePromoting, StateReattaching:
		return true
	case StateBootstrapping, StateStable, StateSuspected, StateHibernated, StateBlocked:
		return false
	}
	return false
}

// Planned reports whether what runs, or ran last, was begun as a switchover.
func (p Progress) Planned() bool {
	for _, s := range p.Steps {
		if s.Name == StepDemoted {
			return true
		}
	}
	return p.State == StateSwitchingOver
}

// WithStep returns the steps with one more; a step that is there already keeps its first instant.
func WithStep(steps []Step, name string, at time.Time) []Step {
	for _, s := range steps {
		if s.Name == name {
			return steps
		}
	}
	return append(append([]Step(nil), steps...), Step{Name: name, At: Stamp(at)})
}

// Stamp makes an instant fit to be persisted: microseconds, no monotonic reading.
func Stamp(t time.Time) time.Time {
	return t.Round(0).UTC().Truncate(time.Microsecond)
}

// Clone returns a copy that shares nothing with p.
func (p Progress) Clone() Progress {
	c := p
	if p.Master != nil {
		m := *p.Master
		c.Master = &m
	}
	if p.OldMaster != nil {
		o := *p.OldMaster
		c.OldMaster = &o
	}
	if p.Candidate != nil {
		n := *p.Candidate
		c.Candidate = &n
	}
	c.Retired = append([]string(nil), p.Retired...)
	c.InterimMasters = append([]string(nil), p.InterimMasters...)
	c.UnheardPods = append([]string(nil), p.UnheardPods...)
	c.AheadPods = append([]string(nil), p.AheadPods...)
	c.Steps = append([]Step(nil), p.Steps...)
	c.SoftFailovers = append([]SoftFailover(nil), p.SoftFailovers...)
	c.Nodes = append([]NodeRecord(nil), p.Nodes...)
	return c
}

// SoftFailover is a failover that was begun on soft evidence.
type SoftFailover struct {
	Pod string // the node that was given up
	At  time.Time
}

// RecentSoftFailovers are those that were begun within a time, newest first. One that lies in the future was written by
// an operator whose clock was ahead of ours; how long ago it really was is not known, and it is not waited for.
func (p Progress) RecentSoftFailovers(now time.Time, within time.Duration) []SoftFailover {
	return slices.DeleteFunc(
		slices.Clone(p.SoftFailovers),
		func(s SoftFailover) bool { return s.At.After(now) || now.Sub(s.At) >= within },
	)
}

// MasterLineage is the history that the present master writes; empty when there is none.
func (p Progress) MasterLineage() Lineage {
	if p.Master == nil {
		return Lineage{}
	}
	return p.Master.Lineage
}
