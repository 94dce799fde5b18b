// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
)

// onLoss looks at what a promotion leaves behind.
func (c *checks) onLoss(s *server, intent failover.Progress) {
	for len(c.excused) <= len(c.w.writes) {
		c.excused = append(c.excused, false)
	}
	lost := c.leftBehind(s)
	if intent.ForcedPod != "" || c.byHand || s.isForeign() {
		return // what is foreign and could be known to be is onFitness's; what could not is no operator's fault
	}
	lost = slices.DeleteFunc(lost, func(wr *write) bool { return c.copies(wr, s) == 0 })
	tail := c.onLost(s, lost, intent.Planned() && c.fenced != intent.Epoch)
	if intent.Initialized {
		end := lastOf(lost)
		c.onTail(s, slices.DeleteFunc(tail, func(wr *write) bool { return c.diedBeside(wr, end) }), end)
	}
}

// leftBehind lists the writes that a promotion gives up, for the first time. What a replaced master took is none of
// them.
func (c *checks) leftBehind(s *server) (lost []*write) {
	kept := s.numbers()
	for _, wr := range c.w.writes {
		if wr.entry != nil && !kept[wr.number] && !c.excused[wr.number] && !wr.late() {
			c.excused[wr.number] = true
			lost = append(lost, wr)
		}
	}
	return lost
}

// onLost: a switchover loses nothing that was acknowledged (S6), Strict nothing that WAIT counted (S9). It returns the
// acknowledged writes that a failover may lose.
func (c *checks) onLost(s *server, lost []*write, planned bool) (tail []*write) {
	for _, wr := range lost {
		switch {
		case wr.acked == 0:
		case planned:
			c.fail("S6", "a switchover to %s loses write %d, acknowledged at %s", s.pod.name, wr.number, wr.acked)
		case wr.waited && c.w.cfg.consistency == failover.ConsistencyStrict:
			c.fail(
				"S9", "write %d, acknowledged by WAIT at %s, is not on %s, which is promoted, but still exists", wr.number,
				wr.acked, s.pod.name,
			)
		default:
			tail = append(tail, wr)
		}
	}
	return tail
}

// lastOf is when the last of them was taken.
func lastOf(writes []*write) (end instant) {
	for _, wr := range writes {
		if !wr.onWaking() {
			end = max(end, wr.entry.at)
		}
	}
	return end
}

// numbers tells by its number whether a process holds a write.
func (s *server) numbers() []bool {
	held := make([]bool, len(s.w.writes)+1)
	for e := s.head; e != nil; e = e.parent {
		held[e.number] = true
	}
	return held
}

// late reports a write that was taken by a master after it had been replaced.
func (wr *write) late() bool { return wr.by.deposedAt > 0 && wr.entry.at >= wr.by.deposedAt }

// onWaking reports a write that lay in the sockets of a stopped process and was taken when that woke, however long that
// was.
func (wr *write) onWaking() bool {
	woken := wr.entry.at - wr.by.wokeAt
	return woken >= 0 && woken <= 200*time.Millisecond
}

// onTail: a failover loses what an isolated master took until it stopped by itself, and beyond that no more than
// maxLagBytes.
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
	// An append-only file knows no lineage, so nothing tells how far a node with lineage is behind it.
	excused := c.w.cfg.disks == diskAppendOnly || c.w.cfg.priorityZero >= 0
	limit := c.w.cfg.maxLagBytes
	if older > 0 && s.booted > first || !c.official.contains(s.head) {
		limit = 1 // that is for a replica that lags; not for an old disk, and not for another history
	}
	if older > limit && limit > 0 && !excused {
		c.fail(
			"S9", "the promotion of %s loses %s of acknowledged writes, from %s on, and more than maxLagBytes", s.pod.name,
			end-first, first,
		)
	}
}

// diedBeside reports a write that a master took where the operator reaches neither it nor the replica which had it too,
// and that replica has died since. The master cannot be waited for: nothing says that it comes back.
func (c *checks) diedBeside(wr *write, end instant) bool {
	return slices.ContainsFunc(c.died, func(s *server) bool {
		return s != wr.by && s.diedAt >= end-isolatedFor && s.diedAt > wr.entry.at && s.head.contains(wr.entry)
	})
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

// atEnd looks up every acknowledged write (S6, S9).
func (c *checks) atEnd() {
	m := c.w.master()
	if m == nil || m.server == nil {
		return
	}
	kept := m.server.numbers()
	for _, wr := range c.w.writes {
		if wr.acked == 0 || kept[wr.number] {
			continue
		}
		c.lost++
		if excused := wr.number < len(c.excused) && c.excused[wr.number]; !excused && !c.byHand {
			c.onVanished(wr)
		}
	}
}

// onVanished: a write that no promotion is known to have lost.
func (c *checks) onVanished(wr *write) {
	switch {
	case !wr.late():
		c.fail(
			"S9", "write %d, acknowledged at %s by %s, has vanished without a failover", wr.number, wr.acked, wr.by.pod.name,
		)
	case wr.waited && c.w.cfg.consistency == failover.ConsistencyStrict:
		c.fail(
			"S9", "write %d, acknowledged by WAIT at %s by %s, which had been replaced, is lost", wr.number, wr.acked,
			wr.by.pod.name,
		)
	}
}
