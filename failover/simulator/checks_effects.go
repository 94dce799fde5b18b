// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
)

// onReplicaOfSent: the master that serves is not taken away without an intent (S5).
func (c *checks) onReplicaOfSent(o *operator, s *server, host string) {
	p := c.w.api.now.progress
	// A status that a person has set back may name a master that clients have been led away from since.
	led := c.w.api.now.published.UID == s.pod.uid
	serving := led && p.State == failover.StateStable && p.Master != nil && p.Master.RunID == s.runID &&
		s.role == failover.RoleMaster
	if serving && c.w.api.lease.holder == o.party && c.w.now-o.lastAt < time.Second &&
		o.last.Next.State == failover.StateStable {
		c.fail(
			"S5", "%s orders the serving master %s to follow %s without a persisted intent", o.name, s.pod.name,
			c.w.nameOf(host),
		)
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
	c.noteOfficial(next)
}

// noteOfficial remembers whose data is the set's from now on, and who is to stop.
func (c *checks) noteOfficial(next failover.Published) {
	for _, s := range c.w.servers {
		switch {
		case s.role != failover.RoleMaster:
		case s.pod.uid == next.UID:
			c.official = s.head
			if c.setBack { // it is adopted, whatever it was before
				s.deposedAt, s.givenUp = 0, false
			}
		case s.pod.ip == next.IP: // the operator has not heard yet that another pod has the name and the address
		case c.setBack && s.deposedAt == 0: // the publication of its successor was under way, see onSetBack
			s.deposedAt = c.w.now
		}
	}
}

// onPublishSent: who is to be published is a master, or was one a moment ago, or says so and lies (S1).
func (c *checks) onPublishSent(next failover.Published) {
	for _, s := range c.w.servers {
		truthful := c.w.now > s.garbageTill+time.Second || !s.lies
		if s.pod.uid == next.UID && truthful && s.role != failover.RoleMaster && c.w.now-s.roleSince > time.Second &&
			c.w.now-s.booted > time.Second {
			c.fail("S1", "%s is published as master and has been a replica for %s", next.Pod, c.w.now-s.roleSince)
		}
	}
}

// onLabel: at most one pod carries the master's label (S1). What a former leader had under way when the network was cut
// may still arrive; no client is led by it, and it is mended when it is seen.
func (c *checks) onLabel(labelled *pod) {
	for _, p := range c.w.pods {
		if p != labelled && !p.labelLate && !labelled.labelLate && p.label == failover.RoleMaster &&
			labelled.label == failover.RoleMaster {
			c.fail("S1", "%s is labelled as master while %s is", labelled.name, p.name)
		}
	}
}

// onMinReplicasSent: the master's own fence is not taken away while it hears a replica (S1).
func (c *checks) onMinReplicasSent(o *operator, s *server, n int) {
	for _, l := range s.followers {
		heard := l.counted && l.replica.alive && l.silentAt < 0 && c.w.now-max(l.since, l.heardAgain) > time.Second
		if s.role == failover.RoleMaster && n < min(1, s.minReplicas) && heard && c.w.reachableFor(o, s) > time.Second {
			c.fail("S1", "min-replicas-to-write of %s is lowered to %d although it hears %s", s.pod.name, n, l.replica.pod.name)
		}
	}
}

// onKillClientsSent: clients are cut only once they are led elsewhere (design section 4, step 6). An order that the
// network holds up may arrive at a process that was promoted again since; its clients come back to where they are led.
func (c *checks) onKillClientsSent(o *operator, uid string) {
	if p := c.w.api.now.published; p.UID == uid && p.Epoch < o.last.Next.Epoch {
		c.fail("S1", "the clients of %s are cut while they are still led there", p.Pod)
	}
}

// onWrite: a node that takes a write was made writable by an operator, and was not replaced long ago (S1, S2).
func (c *checks) onWrite(s *server) {
	if s.writable == "" {
		c.fail("S2", "%s takes writes, and was not made a master", s.pod.name)
	}
	if woke := c.w.now-s.wokeAt < 200*time.Millisecond; s.deposedAt > 0 && !woke && !c.byHand {
		c.onLateWrite(s)
	}
	c.onSecondWriter(s)
	if c.w.api.now.published.UID == s.pod.uid {
		c.official = s.head
	}
}

// onLateWrite: a replaced master stops soon, and one that may have been isolated has stopped before (S1).
func (c *checks) onLateWrite(s *server) {
	late := c.w.now - s.deposedAt
	switch {
	case late > isolatedFor:
		c.fail("S1", "%s still takes writes %s after another node was promoted", s.pod.name, late)
	case s.givenUp && c.w.cfg.downAfter >= 3*time.Second && !s.heardUnseen() && late > s.heardLonger():
		c.fail(
			"S1", "%s, which was silent and may have been isolated, takes writes %s after another node was promoted",
			s.pod.name, late,
		)
	}
}

// heardUnseen reports a master that has heard a replica since it was cut off from it for the first time, and was not
// heard by it: the network let acknowledgements through for less than a second, in which no ping came. Nothing tells of
// that but the master.
func (s *server) heardUnseen() bool {
	return slices.ContainsFunc(s.followers, func(l *upstream) bool { return l.counted && l.heardAgain > l.pinged })
}

// heardLonger is for how long a master may have heard a replica that did not hear it any more: the network lost what it
// sent, and let through what came. Nothing tells of that but the master.
func (s *server) heardLonger() time.Duration {
	if slices.ContainsFunc(
		s.followers,
		func(l *upstream) bool { return l.counted && l.unconfirmed >= 0 && l.unconfirmed == l.stalledAt },
	) {
		return cronPeriod
	}
	return 0
}

// onBoot: a process that starts is no master (S2).
func (c *checks) onBoot(s *server) {
	if s.role == failover.RoleMaster {
		c.fail("S2", "%s starts as a master", s.pod.name)
	}
}
