// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"math"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/conditions"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
)

// This file is the only bridge between the words of the API and those of the core.

// maxHistory bounds status.history; the oldest entries go first.
const maxHistory = 10

// policyOf reads what the spec promises and permits.
func policyOf(rha *v1alpha1.RedisHA) failover.Policy {
	spec := rha.Spec.Failover
	policy := failover.Policy{
		Mode:        failover.ModeAutomatic,
		DownAfter:   time.Duration(spec.DownAfterMilliseconds) * time.Millisecond,
		Cooldown:    time.Duration(valueOr(spec.CooldownSeconds, v1alpha1.DefaultCooldownSeconds)) * time.Second,
		MaxLagBytes: valueOr(spec.MaxLagBytes, v1alpha1.DefaultMaxLagBytes),
		Consistency: failover.ConsistencyBounded,
		Replicas:    int(max(1, resources.Replicas(rha))), // a set that is to hibernate goes to one pod first
		Persistent:  rha.Spec.Storage != nil,
		Port:        int(resources.RedisPort),
	}
	if policy.DownAfter <= 0 {
		policy.DownAfter = time.Duration(v1alpha1.DefaultDownAfterMilliseconds) * time.Millisecond
	}
	switch spec.Mode {
	case v1alpha1.ModeManual:
		policy.Mode = failover.ModeManual
	case v1alpha1.ModePaused:
		policy.Mode = failover.ModePaused
	case v1alpha1.ModeAutomatic:
	}
	if spec.Consistency == v1alpha1.ConsistencyStrict {
		policy.Consistency = failover.ConsistencyStrict
	}
	return policy
}

func valueOr[T any](p *T, fallback T) T {
	if p == nil {
		return fallback
	}
	return *p
}

// progressOf reads the persisted progress.
func progressOf(status *v1alpha1.RedisHAStatus) failover.Progress {
	p := failover.Progress{State: failover.StateBootstrapping}
	if m := status.Master; m != nil {
		p.Master = &failover.Master{
			NodeRef: refOf(m.NodeRef),
			Epoch:   m.Epoch,
			Since:   timeOf(m.Since),
			Lineage: lineageOf(m.Lineage),
		}
	}
	for _, n := range status.Nodes {
		p.Nodes = append(p.Nodes, knownOf(n))
	}
	f := status.Failover
	if f == nil {
		return p
	}
	p.State = failover.State(f.State)
	p.Since, p.StartedAt, p.CooldownUntil = timeOf(f.Since), timeOfPtr(f.StartedAt), timeOfPtr(f.CooldownUntil)
	p.Epoch, p.Cause, p.Reason, p.Message = f.Epoch, failover.Cause(f.Cause), failover.Reason(f.Reason), f.Message
	p.Initialized, p.Request, p.ForcedPod = f.Internal.Initialized, f.Request, f.Internal.ForcedPod
	p.Lineage, p.Retired, p.Steps = lineageOf(
		f.Internal.Lineage,
	), append(
		[]string(nil),
		f.Internal.RetiredReplIDs...), stepsOf(
		f.Steps,
	)
	p.InterimMasters = append([]string(nil), f.Internal.InterimMasters...)
	p.UnheardPods = append([]string(nil), f.Internal.UnheardPods...)
	p.AheadPods = append([]string(nil), f.Internal.AheadPods...)
	for _, s := range f.Internal.RecentSoftFailovers {
		p.SoftFailovers = append(p.SoftFailovers, failover.SoftFailover{Pod: s.Pod, At: timeOf(s.At)})
	}
	if f.OldMaster != nil {
		old := refOf(*f.OldMaster)
		p.OldMaster = &old
	}
	if f.Candidate != nil {
		candidate := refOf(*f.Candidate)
		p.Candidate = &candidate
	}
	return p
}

// writeProgress is the inverse of progressOf.
func writeProgress(status *v1alpha1.RedisHAStatus, p failover.Progress) {
	status.Master = nil
	if m := p.Master; m != nil {
		status.Master = &v1alpha1.MasterStatus{
			NodeRef: refTo(m.NodeRef),
			Epoch:   m.Epoch,
			Since:   microTime(m.Since),
			Lineage: lineageTo(m.Lineage),
		}
	}
	status.Nodes = nil
	for _, k := range p.Nodes {
		status.Nodes = append(status.Nodes, knownTo(k))
	}
	f := &v1alpha1.FailoverStatus{
		State: v1alpha1.FailoverState(p.State),
		Since: microTime(p.Since),
		Epoch: p.Epoch,
		Cause: string(
			p.Cause,
		),
		Reason:        string(p.Reason),
		Message:       conditions.Bounded(p.Message),
		Request:       p.Request,
		Steps:         stepsTo(p.Steps),
		StartedAt:     microTimePtr(p.StartedAt),
		CooldownUntil: microTimePtr(p.CooldownUntil),
		Internal: v1alpha1.FailoverInternal{
			Initialized: p.Initialized,
			ForcedPod:   p.ForcedPod,
			Lineage:     lineageTo(p.Lineage),
			RetiredReplIDs: slices.Clone(
				p.Retired,
			),
			InterimMasters: slices.Clone(p.InterimMasters),
			UnheardPods:    slices.Clone(p.UnheardPods),
			AheadPods:      slices.Clone(p.AheadPods),
		},
	}
	if was := status.Failover; was != nil {
		f.Internal.Revision, f.Internal.WrittenBy = was.Internal.Revision, was.Internal.WrittenBy
	}
	for _, s := range p.SoftFailovers {
		f.Internal.RecentSoftFailovers = append(
			f.Internal.RecentSoftFailovers, v1alpha1.SoftFailover{Pod: s.Pod, At: microTime(s.At)},
		)
	}
	if p.OldMaster != nil {
		old := refTo(*p.OldMaster)
		f.OldMaster = &old
	}
	if p.Candidate != nil {
		candidate := refTo(*p.Candidate)
		f.Candidate = &candidate
	}
	status.Failover = f
}

// historyOf turns a record into an entry of the history.
func historyOf(r failover.Record) v1alpha1.HistoryEntry {
	entry := v1alpha1.HistoryEntry{
		Epoch: r.Epoch, Kind: v1alpha1.HistoryKind(r.Kind), Cause: string(r.Cause), From: r.From, To: r.To,
		StartedAt: microTime(r.StartedAt), FinishedAt: microTime(r.FinishedAt),
		Outcome: v1alpha1.HistoryOutcome(r.Outcome), Message: conditions.Bounded(r.Message), Steps: stepsTo(r.Steps),
	}
	if r.GapBytes >= 0 {
		entry.OffsetGapBytes = &r.GapBytes
	}
	return entry
}

func refOf(r v1alpha1.NodeRef) failover.NodeRef {
	return failover.NodeRef{Pod: r.Pod, UID: r.PodUID, RunID: r.RunID, IP: r.IP}
}

func refTo(r failover.NodeRef) v1alpha1.NodeRef {
	return v1alpha1.NodeRef{Pod: r.Pod, PodUID: r.UID, RunID: r.RunID, IP: r.IP}
}

func lineageOf(l *v1alpha1.LineageStatus) failover.Lineage {
	if l == nil {
		return failover.Lineage{}
	}
	return failover.Lineage{ReplID: l.ReplID, ReplID2: l.ReplID2, SecondOffset: l.SecondOffset, Offset: l.Offset}
}

func lineageTo(l failover.Lineage) *v1alpha1.LineageStatus {
	if l == (failover.Lineage{}) {
		return nil
	}
	return &v1alpha1.LineageStatus{ReplID: l.ReplID, ReplID2: l.ReplID2, SecondOffset: l.SecondOffset, Offset: l.Offset}
}

func knownOf(n v1alpha1.NodeStatus) failover.NodeRecord {
	k := failover.NodeRecord{
		NodeRef:       failover.NodeRef{Pod: n.Pod, UID: n.PodUID, RunID: n.RunID, IP: n.IP},
		Attached:      n.Internal.Attached,
		CatchUpOffset: n.Internal.CatchUpOffset,
		Ineligible:    failover.Ineligibility(n.Ineligible),
		OtherReplID:   n.Internal.OtherReplID,
		WriteGuard:    int(n.Internal.WriteGuard),
		WriteGuardOff: n.Internal.WriteGuardOff,
		Restarts:      int(n.ProcessRestarts),
		Version:       n.Version,
	}
	if n.Role != v1alpha1.RoleUnknown && n.Role != "" {
		k.Role, k.LinkUp = failover.Role(n.Role), n.Link == v1alpha1.LinkUp
	}
	return k
}

// bounded32 is n, or the nearest number that the status can hold.
func bounded32(n int) int32 {
	return int32(max(min(n, math.MaxInt32), math.MinInt32))
}

func knownTo(k failover.NodeRecord) v1alpha1.NodeStatus {
	n := v1alpha1.NodeStatus{
		Pod: k.Pod, PodUID: k.UID, IP: k.IP, RunID: k.RunID,
		Role: string(k.Role), Ineligible: string(k.Ineligible), ProcessRestarts: bounded32(k.Restarts),
		Version: k.Version,
		Internal: v1alpha1.NodeInternal{
			Attached: k.Attached, CatchUpOffset: k.CatchUpOffset, OtherReplID: k.OtherReplID,
			WriteGuard: bounded32(k.WriteGuard), WriteGuardOff: k.WriteGuardOff,
		},
	}
	switch {
	case k.Role == failover.RoleUnknown:
		n.Role = v1alpha1.RoleUnknown
	case k.LinkUp:
		n.Link = v1alpha1.LinkUp
	case k.Role == failover.RoleReplica:
		n.Link = v1alpha1.LinkDown
	}
	return n
}

func stepsOf(steps []v1alpha1.StepStatus) []failover.Step {
	var out []failover.Step
	for _, s := range steps {
		out = append(out, failover.Step{Name: s.Name, At: timeOf(s.At)})
	}
	return out
}

func stepsTo(steps []failover.Step) []v1alpha1.StepStatus {
	var out []v1alpha1.StepStatus
	for _, s := range steps {
		out = append(out, v1alpha1.StepStatus{Name: s.Name, At: microTime(s.At)})
	}
	return out
}

// timeOf reads an instant; the API gives it in local time, the core compares it in UTC.
func timeOf(t metav1.MicroTime) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

func timeOfPtr(t *metav1.MicroTime) time.Time {
	if t == nil {
		return time.Time{}
	}
	return timeOf(*t)
}

func microTime(t time.Time) metav1.MicroTime {
	if t.IsZero() {
		return metav1.MicroTime{}
	}
	return metav1.NewMicroTime(t)
}

func microTimePtr(t time.Time) *metav1.MicroTime {
	if t.IsZero() {
		return nil
	}
	m := microTime(t)
	return &m
}
