package simulator

import (
	"fmt"
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
	w        *world
	first    *Violation
	chosen   map[int64]failover.NodeRef // by epoch
	official *entry                     // the last write that a published master took
	byHand   bool                       // a person has meddled: what follows may not be the operator's fault
	excused  []bool                     // by write: how it was lost is known and permitted
	lost     int
	fenced   int64 // the last epoch of a failover
}

// Bounds that the checks grant.
const (
	reachable   = 2500 * time.Millisecond // after which a node cannot be overlooked any more
	isolatedFor = 6 * time.Second         // min-replicas-max-lag, Redis's cron, and a margin
)

func (c *checks) fail(invariant, format string, args ...any) {
	if c.first == nil {
		c.first = &Violation{Invariant: invariant, Sentence: fmt.Sprintf(format, args...), At: c.w.now}
		c.w.note("VIOLATION of %s: %s", invariant, c.first.Sentence)
	}
}

// onDecision: nothing is done or left undone without a word (S7).
func (c *checks) onDecision(o *operator, _ failover.Observation, before failover.Progress, d failover.Decision) {
	c.w.stats.Decisions++
	if c.w.tracing && (d.Verdict != o.last.Verdict || len(d.Actions) > 0) {
		c.w.note("%s decides: %s %s", o.name, d.Verdict, actionNames(d.Actions))
	}
	if before.State == failover.StateFencing && d.Next.State == failover.StatePromoting && d.Next.Forced == "" {
		for _, s := range c.w.servers {
			if s.runID == d.Next.Candidate.RunID {
				c.onChoice(o, s)
			}
		}
	}
	idle := len(d.Actions) == 0 && d.Next.State == before.State
	switch {
	case d.Verdict == "":
		if d.Next.State == before.State {
			c.fail("S7", "a decision without a verdict in state %s", d.Next.State)
		}
	case idle && d.Next.State == failover.StateBlocked && d.Reason == failover.ReasonNone:
		c.fail("S7", "blocked without a reason: %s", d.Verdict)
	}
	// What was not heard yet, by a successor, needs no reason for as long as it may still be silent.
	if !idle || d.Next.State != failover.StateSuspected || d.Reason != failover.ReasonNone || c.w.now-o.lastAt > 2*time.Second {
		o.speechless = c.w.now
	} else if c.w.now-max(o.speechless, o.awakeSince) > c.w.cfg.downAfter+2*time.Second {
		c.fail("S7", "the master is suspected, nothing is done, and no reason is given: %s", d.Verdict)
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
		return before.State != failover.StateFencing && before.State != failover.StateBlocked
	case failover.StateHandingOver:
		return before.State != failover.StateHandingOver
	case failover.StatePromoting:
		return before.State == failover.StateBootstrapping || before.State == ""
	default:
		return false
	}
}

// onSwap: the epoch grows by one for each promotion begun, and has one candidate (S5).
func (c *checks) onSwap(o *operator, before, next failover.Progress) {
	want := before.Epoch
	if begins(before, next) {
		want++
	}
	if next.Epoch != want {
		c.fail("S5", "epoch %d follows %d from %s to %s; want %d", next.Epoch, before.Epoch, before.State, next.State, want)
	}
	if next.State == failover.StatePromoting && next.Candidate != nil {
		if was, ok := c.chosen[next.Epoch]; ok && was != *next.Candidate {
			c.fail("S5", "epoch %d has two candidates: %s and %s", next.Epoch, was.Pod, next.Candidate.Pod)
		}
		c.chosen[next.Epoch] = *next.Candidate
	}
	if next.State == failover.StateFencing {
		c.fenced = next.Epoch
	}
	if next.State == failover.StateFencing && begins(before, next) && before.State != failover.StatePromoting && next.Cause == failover.Cause(failover.DiagnosisDown) {
		c.onSoftFailover(o, next)
	}
	switch {
	case next.Epoch == before.Epoch:
	case next.State == failover.StateFencing:
		c.w.stats.Failovers++
	case next.State == failover.StateHandingOver:
		c.w.stats.Handovers++
	}
}

// onSoftFailover: no reachable replica still replicates from the master (S3, the veto).
func (c *checks) onSoftFailover(o *operator, next failover.Progress) {
	for _, s := range c.w.servers {
		l := s.up
		if l == nil || !l.up || l.stalledAt >= 0 || l.source.runID != next.Old.RunID || l.source.role != failover.RoleMaster || l.source.hung {
			continue
		}
		if c.w.reachableFor(o, s) > reachable && c.w.now-l.since > reachable && c.w.now-l.flowing > reachable {
			c.fail("S3", "failed over on a guess although %s, within reach, replicates from %s", s.pod.name, next.Old.Pod)
		}
	}
}

// reachableFor is since when an operator could talk to a process without hindrance.
func (w *world) reachableFor(o *operator, s *server) time.Duration {
	if !s.alive || s.hung || s.loading() || w.cut(o.party, s.pod.slot) || w.cut(s.pod.slot, o.party) || !o.alive || o.stopped {
		return -1
	}
	since := max(s.reachableSince, w.net.mended[o.party][s.pod.slot], w.net.mended[s.pod.slot][o.party], o.awakeSince, s.loadingTill)
	return w.now - since
}

// onEffect: only the operator that holds the lease acts (S5).
func (c *checks) onEffect(o *operator, what string) {
	if l := c.w.api.lease; l.held && l.holder != o.party {
		c.fail("S5", "%s sends %q although another operator holds the lease", o.name, what)
	}
}

// onPromoteSent: the intent is persisted before (S5).
func (c *checks) onPromoteSent(o *operator, m *monitor, intent failover.Progress) {
	if intent.State != failover.StatePromoting || intent.Candidate == nil || intent.Candidate.UID != m.target.UID {
		c.fail("S5", "%s promotes %s without a persisted intent (state %s)", o.name, m.target.Pod, intent.State)
	}
}

// onPromote: whom, with which data, and what is lost by it (S3, S4, S6, S9).
func (c *checks) onPromote(s *server, intent failover.Progress) {
	if c.w.api.now.progress.Epoch != intent.Epoch || intent.State != failover.StatePromoting {
		return // an order that was under way for long; whoever was chosen since is the master
	}
	switch {
	case intent.Candidate.RunID != s.runID && intent.Candidate.RunID != "":
		c.fail("S5", "another process of %s is promoted than the one chosen", s.pod.name)
	case s.syncing && s.flushed:
		c.fail("S3", "%s is promoted in the middle of a full synchronisation", s.pod.name)
	case s.isForeign() && intent.Forced == "" && !c.byHand:
		c.fail("S3", "%s is promoted and holds the data of another RedisHA", s.pod.name)
	case s.priority == 0 && c.w.now > reachable && intent.Forced == "" && intent.Initialized && !c.isOld(s, intent):
		c.fail("S3", "%s is promoted although its priority is 0", s.pod.name)
	}
	for _, other := range c.w.servers {
		if other != s && other.role == failover.RoleMaster && other.deposedAt == 0 {
			other.deposedAt = c.w.now
		}
	}
	s.deposedAt = 0
	c.onLoss(s, intent)
}

func (c *checks) isOld(s *server, intent failover.Progress) bool {
	return intent.Old != nil && intent.Old.RunID == s.runID
}

// onChoice: most data of those within reach, of the lineage, frozen (S3, S4).
func (c *checks) onChoice(o *operator, s *server) {
	if c.byHand {
		return
	}
	for _, x := range c.w.servers {
		if x == s || c.w.reachableFor(o, x) < reachable || x.pod.terminating || x.syncing || c.w.now-x.pod.created < reachable || c.w.now-x.priorityAt < reachable {
			continue
		}
		x.catchUp()
		more := x.head.keyCount() > s.head.keyCount()
		if !c.official.contains(x.head) {
			continue // it holds what was given up, or was never a published master's
		}
		related := x.replid == s.replid || x.replid2 == s.replid || x.replid == s.replid2
		switch {
		case more && s.head.keyCount() == 0:
			c.fail("S3", "%s is empty and promoted, with %s within reach, which holds %d keys", s.pod.name, x.pod.name, x.head.keyCount())
		case x.priority == 0:
		case more && related && x.head.contains(s.head):
			c.fail("S4", "%s is promoted with %d keys, with %s within reach, which holds %d", s.pod.name, s.head.keyCount(), x.pod.name, x.head.keyCount())
		}
	}
}

// onLoss looks at what a promotion leaves behind.
func (c *checks) onLoss(s *server, intent failover.Progress) {
	kept := make([]bool, len(c.w.writes)+1)
	for e := s.head; e != nil; e = e.parent {
		kept[e.number] = true
	}
	for len(c.excused) <= len(c.w.writes) {
		c.excused = append(c.excused, false)
	}
	planned := intent.Planned() && c.fenced != intent.Epoch
	var lost []*write // acknowledged, in a failover
	var end instant
	for _, wr := range c.w.writes {
		if wr.entry == nil || kept[wr.number] || c.excused[wr.number] {
			continue
		}
		c.excused[wr.number] = true
		if wr.by.deposedAt > 0 && wr.entry.at >= wr.by.deposedAt {
			c.excused[wr.number] = false // atEnd looks at what a replaced master took
			continue
		}
		if intent.Forced != "" || c.byHand || c.copies(wr, s) == 0 {
			continue
		}
		switch {
		case wr.acked == 0:
		case planned:
			c.fail("S6", "a handover to %s loses write %d, acknowledged at %s", s.pod.name, wr.number, wr.acked)
		case wr.waited && c.w.cfg.consistency == failover.ConsistencyStrict:
			c.fail("S9", "write %d, acknowledged by WAIT at %s, is not on %s, which is promoted, but still exists", wr.number, wr.acked, s.pod.name)
		default:
			lost = append(lost, wr)
		}
		// What lay in the sockets of a stopped process is taken when it wakes, however long that was.
		if woken := wr.entry.at - wr.by.wokeAt; woken < 0 || woken > 200*time.Millisecond {
			end = max(end, wr.entry.at)
		}
	}
	if intent.Initialized {
		c.onTail(s, lost, end)
	}
}

// onTail: a failover loses what an isolated master took until it stopped by itself, and beyond that no more than maxLagBytes.
func (c *checks) onTail(s *server, lost []*write, end instant) {
	older, first := int64(0), instant(0)
	for _, wr := range lost {
		if wr.entry.at < end-isolatedFor-c.w.cfg.laggardBy {
			older += writeBytes
			if first == 0 {
				first = wr.acked
			}
		}
	}
	// An append-only file knows no lineage, so nobody can tell how far a node with lineage is behind it.
	excused := c.w.cfg.disks == diskAppendOnly || c.w.cfg.priorityZero >= 0
	limit := c.w.cfg.maxLagBytes
	if older > 0 && s.booted > first || !c.official.contains(s.head) {
		limit = 1 // that is for a replica that lags; not for an old disk, and not for another history
	}
	if older > limit && limit > 0 && !excused {
		c.fail("S9", "the promotion of %s loses %s of acknowledged writes, from %s on, and more than maxLagBytes", s.pod.name, end-first, first)
	}
}

// copies counts who else holds a write: in memory, or on a disk that may come back.
func (c *checks) copies(wr *write, except *server) int {
	n := 0
	for _, s := range c.w.servers {
		if s != except && !s.flushed && s.head.contains(wr.entry) {
			n++
		}
	}
	for ordinal := range c.w.api.now.policy.Replicas {
		if im := c.w.disks[ordinal]; im != nil && im.head.contains(wr.entry) && c.w.podAt(ordinal) == nil {
			n++
		}
	}
	return n
}

// onFlush: a full synchronisation takes a node's data away.
func (c *checks) onFlush(*server, *entry) {}

// onReplicaOfSent: the master that serves is not taken away without an intent (S5).
func (c *checks) onReplicaOfSent(o *operator, s *server, host string) {
	p := c.w.api.now.progress
	serving := p.State == failover.StateStable && p.Master != nil && p.Master.RunID == s.runID && s.role == failover.RoleMaster
	if serving && c.w.api.lease.holder == o.party && c.w.now-o.lastAt < time.Second && o.last.Next.State == failover.StateStable {
		c.fail("S5", "%s orders the serving master %s to follow %s without a persisted intent", o.name, s.pod.name, c.w.nameOf(host))
	}
}

// onPublish: who is published is a master, by this epoch or a later one (S1).
func (c *checks) onPublish(o *operator, before, next failover.Published) {
	if next.Epoch < before.Epoch {
		c.fail("S5", "%s publishes epoch %d after %d", o.name, next.Epoch, before.Epoch)
	}
	if next.Pod == "" {
		return
	}
	if chosen, ok := c.chosen[next.Epoch]; ok && chosen.UID != next.UID {
		c.fail("S1", "%s is published for epoch %d, whose candidate is %s", next.Pod, next.Epoch, chosen.Pod)
	}
	for _, s := range c.w.servers {
		if s.pod.uid == next.UID && s.role == failover.RoleMaster {
			c.official = s.head
		}
	}
}

// onPublishSent: who is to be published is a master, or was one a moment ago (S1).
func (c *checks) onPublishSent(next failover.Published) {
	for _, s := range c.w.servers {
		if s.pod.uid == next.UID && s.role != failover.RoleMaster && c.w.now-s.roleSince > time.Second && c.w.now-s.booted > time.Second {
			c.fail("S1", "%s is published as master and has been a replica for %s", next.Pod, c.w.now-s.roleSince)
		}
	}
}

// onLabel: at most one pod carries the master's label (S1).
func (c *checks) onLabel(labelled *pod) {
	for _, p := range c.w.pods {
		if p != labelled && p.label == failover.RoleMaster && labelled.label == failover.RoleMaster {
			c.fail("S1", "%s is labelled as master while %s is", labelled.name, p.name)
		}
	}
}

// onMinReplicasSent: the master's own fence is not taken away while it has replicas (S1).
func (c *checks) onMinReplicasSent(s *server, n int) {
	for _, l := range s.followers {
		if s.role == failover.RoleMaster && n < s.minReplicas && l.counted && l.replica.alive && c.w.now-l.since > time.Second {
			c.fail("S1", "min-replicas-to-write of %s is lowered although %s is attached", s.pod.name, l.replica.pod.name)
		}
	}
}

// onKillClients: clients are cut only once they are led elsewhere (design section 4, step 6).
func (c *checks) onKillClients(o *operator, s *server) {
	if p := c.w.api.now.published; p.UID == s.pod.uid && p.Epoch < o.last.Next.Epoch {
		c.fail("S1", "the clients of %s are cut while they are still led there", s.pod.name)
	}
}

// onWrite: who takes a write was made writable by an operator, and was not replaced long ago (S1, S2).
func (c *checks) onWrite(s *server) {
	if s.writable == "" {
		c.fail("S2", "%s takes writes, and nobody made it a master", s.pod.name)
	}
	woke := c.w.now-s.wokeAt < 200*time.Millisecond
	if s.deposedAt > 0 && c.w.now-s.deposedAt > isolatedFor && !woke && !c.byHand {
		c.fail("S1", "%s still takes writes %s after another node was promoted", s.pod.name, c.w.now-s.deposedAt)
	}
	if c.w.api.now.published.UID == s.pod.uid {
		c.official = s.head
	}
}

// onBoot: a process that starts is no master (S2).
func (c *checks) onBoot(s *server) {
	if s.role == failover.RoleMaster {
		c.fail("S2", "%s starts as a master", s.pod.name)
	}
}

// atEnd looks up every acknowledged write (S6, S9).
func (c *checks) atEnd() {
	m := c.w.master()
	if m == nil || m.server == nil {
		return
	}
	kept := make([]bool, len(c.w.writes)+1)
	for e := m.server.head; e != nil; e = e.parent {
		kept[e.number] = true
	}
	for _, wr := range c.w.writes {
		if wr.acked == 0 || kept[wr.number] {
			continue
		}
		c.lost++
		excused := wr.number < len(c.excused) && c.excused[wr.number]
		late := wr.by.deposedAt > 0 && wr.entry.at >= wr.by.deposedAt
		if !excused && !late && !c.byHand {
			c.fail("S9", "write %d, acknowledged at %s by %s, has vanished without a failover", wr.number, wr.acked, wr.by.pod.name)
		}
		if late && !excused && wr.waited && c.w.cfg.consistency == failover.ConsistencyStrict && !c.byHand {
			c.fail("S9", "write %d, acknowledged by WAIT at %s by %s, which had been replaced, is lost", wr.number, wr.acked, wr.by.pod.name)
		}
	}
}
