// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
)

// Violation is a promise that was broken.
type Violation struct {
	Invariant string // S1 to S9 of docs/architecture.md, or "convergence"
	Sentence  string
	At        time.Duration
}

func (v Violation) String() string {
	return fmt.Sprintf("%s at %.3fs: %s", v.Invariant, v.At.Seconds(), v.Sentence)
}

// checks looks at every effect while it happens, with the world's knowledge, not the operators'.
type checks struct {
	w         *world
	first     *Violation
	intended  map[int64]failover.NodeRef // by epoch: whom a status has named to be promoted
	chosen    map[int64]failover.NodeRef // by epoch: the one of them that may have been
	forgotten map[int64]bool             // epochs that only a status knew which was lost; they may be begun once more
	official  *entry                     // the last write that a published master took
	setBack   bool                       // the status was set back
	died      []*server                  // processes that have ended
	byHand    bool                       // a person has meddled: what follows may not be the operator's fault
	excused   []bool                     // by write: how it was lost is known and permitted
	lost      int
	strikes   int   // faults so far
	fenced    int64 // the last epoch of a failover
	// by ordinal: an operator has seen it in sync with another RedisHA, and it has not been in sync with ours since
	knownForeign map[int]bool
}

// Bounds that the checks grant.
const (
	reachable   = 2500 * time.Millisecond // after which a node cannot be overlooked any more
	isolatedFor = 4 * time.Second         // min-replicas-max-lag, Redis's cron, and a margin
)

func (c *checks) fail(invariant, format string, args ...any) {
	if c.first == nil {
		c.first = &Violation{Invariant: invariant, Sentence: fmt.Sprintf(format, args...), At: c.w.now}
		c.w.note("VIOLATION of %s: %s", invariant, c.first.Sentence)
	}
}

// onDecision: nothing is done or left undone without a word (S7).
func (c *checks) onDecision(o *operator, before failover.Progress, d failover.Decision) {
	c.w.stats.Decisions++
	if d.Err != nil {
		c.fail("S7", "%s cannot decide: %v", o.name, d.Err)
	}
	if c.w.tracing && (d.Message != o.last.Message || len(d.Actions) > 0) {
		c.w.note("%s decides: %s %s", o.name, d.Message, actionNames(d.Actions))
	}
	if choosesIn(before, d.Next) && d.Next.ForcedPod == "" {
		c.onChoice(o, *d.Next.Candidate)
	}
	if d.Next.State == failover.StateFencing && before.State != failover.StatePromoting && begins(before, d.Next) &&
		d.Next.Cause == failover.Cause(failover.DiagnosisMasterDown) {
		c.onSoftFailover(o, d.Next)
	}
	c.onGone(before, d.Next)
	c.onIdleness(o, before, d)
}

// onGone: a pod that exists is not taken for gone (S3).
func (c *checks) onGone(before, next failover.Progress) {
	if !begins(before, next) || next.Cause != failover.Cause(failover.DiagnosisMasterPodGone) || next.OldMaster == nil {
		return
	}
	for _, p := range c.w.pods {
		if p.uid == next.OldMaster.UID {
			c.fail("S3", "pod %s is taken for gone, and exists", p.name)
		}
	}
}

// onSeen remembers who was seen in sync with another RedisHA, by an operator that could write it down: who leaves a
// status alone that a newer version has written, could not.
func (c *checks) onSeen(before failover.State, obs failover.Observation) {
	if before == unknownState {
		return
	}
	for _, n := range obs.Nodes {
		if n.Answers() && n.Replication.LinkUp && n.Follows(c.w.foreignMaster.ip) {
			c.knownForeign[n.Ordinal] = true
		}
	}
}

// onNames: the API server takes the status (S7).
func (c *checks) onNames(known []failover.NodeRecord) {
	for i, k := range known {
		if slices.ContainsFunc(known[:i], func(o failover.NodeRecord) bool { return o.Pod == k.Pod }) {
			c.fail("S7", "the status names %s twice: the API server refuses that", k.Pod)
		}
	}
}

// onIdleness: who does nothing says why (S7).
func (c *checks) onIdleness(o *operator, before failover.Progress, d failover.Decision) {
	idle := len(d.Actions) == 0 && d.Next.State == before.State
	switch {
	case d.Message == "" && d.Next.State == before.State:
		c.fail("S7", "a decision without a message in state %s", d.Next.State)
	case idle && d.Next.State == failover.StateBlocked && d.Reason == failover.ReasonNone:
		c.fail("S7", "blocked without a reason: %s", d.Message)
	}
	c.onSilence(o, idle, d)
}

// onSilence: a suspicion that nothing is done about for long has a reason (S7).
func (c *checks) onSilence(o *operator, idle bool, d failover.Decision) {
	// What was not heard yet, by a successor, needs no reason for as long as it may still be silent.
	if !idle || d.Next.State != failover.StateSuspected || d.Reason != failover.ReasonNone ||
		c.w.now-o.lastAt > 2*time.Second {
		o.speechless = c.w.now
	} else if c.w.now-max(
		o.speechless, o.awakeSince,
	) > c.w.cfg.downAfter+2*time.Second {
		c.fail("S7", "the master is suspected, nothing is done, and no reason is given: %s", d.Message)
	}
}

func actionNames(actions []failover.Action) string {
	names := ""
	for _, a := range actions {
		names += fmt.Sprintf(" %T(%s)", a, a.Target().Pod)
	}
	return names
}

// begins tells whether a step from one progress to the next begins a promotion under a new epoch.
func begins(before, next failover.Progress) bool {
	switch next.State {
	case failover.StateFencing:
		orphaned := next.Cause == failover.CauseAdopted && next.Epoch > before.Epoch // by a status that was set back
		return before.State != failover.StateFencing && before.State != failover.StateBlocked || orphaned
	case failover.StateSwitchingOver:
		return before.State != failover.StateSwitchingOver
	case failover.StatePromoting:
		return before.State == failover.StateBootstrapping || before.State == "" || chosenAtOnce(before, next)
	default:
		return false
	}
}

// choosesIn tells whether a step chooses the candidate of a failover.
func choosesIn(before, next failover.Progress) bool {
	return before.State == failover.StateFencing && next.State == failover.StatePromoting || chosenAtOnce(before, next)
}

// chosenAtOnce tells whether a step takes a failover from its intent to its choice.
func chosenAtOnce(before, next failover.Progress) bool {
	switch before.State {
	case failover.StateStable, failover.StateSuspected, failover.StateReattaching, failover.StateSwitchingOver:
		return next.State == failover.StatePromoting && next.Epoch != before.Epoch
	default:
		return false
	}
}

// onSwap: the epoch grows by one for each promotion begun, and has one candidate (S5). A status that was set back
// follows what the operator knew to be published when it decided that, and what another one has published. Its own
// publication may not have come back to it yet, through a cache that is behind, or as a reply that was lost: it
// overrules that status at the next look.
func (c *checks) onSwap(before, next failover.Progress, published failover.Published) {
	c.onNames(next.Nodes)
	want := max(before.Epoch, published.Epoch)
	if begins(before, next) {
		want++
	}
	if next.Epoch != want {
		c.fail("S5", "epoch %d follows %d from %s to %s; want %d", next.Epoch, before.Epoch, before.State, next.State, want)
	}
	if intends(next) {
		if c.forgotten[next.Epoch] { // whoever was chosen by the status that was set back, nothing tells of it
			delete(c.forgotten, next.Epoch)
			delete(c.chosen, next.Epoch)
		}
		c.intended[next.Epoch] = *next.Candidate
		if next.State == failover.StatePromoting {
			c.onChosen(next)
		}
	}
	switch {
	case next.State == failover.StateFencing, chosenAtOnce(before, next):
		c.onFencing(before, next)
	case next.State == failover.StateSwitchingOver && next.Epoch != before.Epoch:
		c.w.stats.Switchovers++
	}
}

// onSetBack: what only the status knew, no operator can be blamed for not knowing.
func (c *checks) onSetBack() {
	c.setBack = true
	for epoch := range c.intended {
		if p := c.w.api.now.published; epoch > p.Epoch || epoch == p.Epoch && p.Pod == "" {
			c.forgotten[epoch] = true
		}
	}
	clear(c.knownForeign)
	for _, s := range c.w.servers {
		if s.pod.uid == c.w.api.now.published.UID { // whoever was to replace it was not published
			s.deposedAt, s.givenUp = 0, false
		}
	}
}

// onFencing counts failovers.
func (c *checks) onFencing(before, next failover.Progress) {
	c.fenced = next.Epoch
	if next.Epoch != before.Epoch {
		c.w.stats.Failovers++
	}
}

// onSoftFailover: no reachable replica still replicates from the master (S3, the veto).
func (c *checks) onSoftFailover(o *operator, next failover.Progress) {
	for _, s := range c.w.servers {
		l := s.up
		if l == nil || !l.up || l.stalledAt >= 0 || l.source.runID != next.OldMaster.RunID ||
			l.source.role != failover.RoleMaster ||
			l.source.hung {
			continue
		}
		if c.w.reachableFor(o, s) > reachable && c.w.now-l.since > reachable && c.w.now-l.flowing > reachable {
			c.fail("S3", "failed over on a guess although %s, within reach, replicates from %s", s.pod.name, next.OldMaster.Pod)
		}
	}
}

// reachableFor is since when an operator could talk to a process without hindrance.
func (w *world) reachableFor(o *operator, s *server) time.Duration {
	if !s.alive || s.hung || s.full() || s.garbage() || s.loading() || w.cut(o.party, s.pod.slot) ||
		w.cut(s.pod.slot, o.party) ||
		!o.alive ||
		o.stopped {
		return -1
	}
	since := max(
		s.reachableSince, w.net.mended[o.party][s.pod.slot], w.net.mended[s.pod.slot][o.party], o.awakeSince, s.loadingTill,
		s.pod.fullTill, s.garbageTill,
	)
	return w.now - since
}

// onEffect: only the operator that holds the lease acts (S5).
func (c *checks) onEffect(o *operator, what string) {
	if l := c.w.api.lease; l.held && l.holder != o.party {
		c.fail("S5", "%s sends %q although another operator holds the lease", o.name, what)
	}
	if o.last.Next.State == unknownState {
		c.fail("S7", "%s sends %q in a state that it does not know", o.name, what)
	}
}
