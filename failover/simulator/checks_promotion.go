// SPDX-License-Identifier: Apache-2.0

package simulator

import "github.com/redisha/redisha/failover"

// onPromoteSent: the intent is persisted before (S5). That it has been replaced since, by what a former leader had
// under way, who decided before a watch brought it cannot know.
func (c *checks) onPromoteSent(o *operator, m *monitor, intent failover.Progress) {
	if decided := o.last.Next; intends(decided) && c.intended[decided.Epoch].UID == m.target.UID {
		intent = decided
	}
	if !intends(intent) || intent.Candidate.UID != m.target.UID {
		c.fail("S5", "%s promotes %s without a persisted intent (state %s)", o.name, m.target.Pod, intent.State)
		return
	}
	c.onChosen(intent)
	if intent.State == failover.StateSwitchingOver {
		c.onSwitchedOver(m, intent)
	}
}

// intends tells whether a progress names whom to promote: a switchover does so from its beginning.
func intends(p failover.Progress) bool {
	return p.Candidate != nil && (p.State == failover.StatePromoting || p.State == failover.StateSwitchingOver)
}

// onChosen: an epoch has one candidate (S5).
func (c *checks) onChosen(intent failover.Progress) {
	if was, ok := c.chosen[intent.Epoch]; ok && was != *intent.Candidate && !c.forgotten[intent.Epoch] {
		c.fail("S5", "epoch %d has two candidates: %s and %s", intent.Epoch, was.Pod, intent.Candidate.Pod)
	}
	c.chosen[intent.Epoch] = *intent.Candidate
}

// onSwitchedOver: the candidate of a switchover is promoted once the old master takes no writes any more (S6).
func (c *checks) onSwitchedOver(m *monitor, intent failover.Progress) {
	for _, s := range c.w.servers {
		serves := intent.Master != nil && s.alive && s.runID == intent.Master.RunID && s.role == failover.RoleMaster
		if serves && s.pod.uid != m.target.UID && !c.byHand {
			c.fail("S6", "%s is ordered to take over while %s is master", m.target.Pod, s.pod.name)
		}
	}
}

// onPromote: whom, with which data, and what is lost by it (S3, S4, S6, S9).
func (c *checks) onPromote(s *server, intent failover.Progress) {
	if c.w.api.now.progress.Epoch != intent.Epoch && !c.forgotten[intent.Epoch] ||
		!intends(intent) {
		return // an order that was under way for long; whoever was chosen since is the master
	}
	c.onFitness(s, intent)
	for _, other := range c.w.servers {
		stays := c.forgotten[intent.Epoch] && other.pod.uid == c.w.api.now.published.UID // see onSetBack
		if other != s && other.role == failover.RoleMaster && other.deposedAt == 0 && !stays {
			other.deposedAt = c.w.now
			other.givenUp = intent.Cause == failover.Cause(failover.DiagnosisMasterDown)
		}
	}
	s.deposedAt, s.givenUp = 0, false
	c.onLoss(s, intent)
}

// onFitness: who is promoted may be (S3), and is the one that was chosen (S5).
func (c *checks) onFitness(s *server, intent failover.Progress) {
	switch {
	case intent.Candidate.RunID != s.runID && intent.Candidate.RunID != "":
		c.fail("S5", "another process of %s is promoted than the one chosen", s.pod.name)
	case s.syncing && s.flushed:
		c.fail("S3", "%s is promoted in the middle of a full synchronisation", s.pod.name)
	case intent.ForcedPod != "":
	case c.isKnownForeign(s):
		c.fail("S3", "%s is promoted and holds the data of another RedisHA", s.pod.name)
	case s.priority == 0 && intent.Initialized && !c.isOld(s, intent):
		c.fail("S3", "%s is promoted although its priority is 0", s.pod.name)
	}
}

// isKnownForeign reports a process with the data of another RedisHA, which an operator could know.
func (c *checks) isKnownForeign(s *server) bool {
	return s.isForeign() && c.knownForeign[s.pod.ordinal] && !c.byHand
}

func (c *checks) isOld(s *server, intent failover.Progress) bool {
	return intent.OldMaster != nil && intent.OldMaster.RunID == s.runID
}

// onChoice: most data of those within reach, of the lineage, frozen (S3, S4).
func (c *checks) onChoice(o *operator, chosen failover.NodeRef) {
	if c.byHand {
		return
	}
	for _, s := range c.w.servers {
		if s.runID != chosen.RunID {
			continue
		}
		for _, x := range c.w.servers {
			if x != s && c.couldBeChosen(o, x) {
				c.onPassedOver(s, x)
			}
		}
	}
}

// couldBeChosen reports a process that the operator has had the time to look at.
func (c *checks) couldBeChosen(o *operator, x *server) bool {
	if x.pod.terminating || x.syncing || c.w.now-x.pod.created < reachable || c.w.now-x.priorityAt < reachable {
		return false
	}
	return c.w.reachableFor(o, x) >= reachable
}

// onPassedOver compares the one that was chosen with one that was not.
func (c *checks) onPassedOver(s, x *server) {
	x.catchUp()
	more := x.head.keyCount() > s.head.keyCount()
	related := x.replid == s.replid || x.replid2 == s.replid || x.replid == s.replid2
	switch {
	case !more || !c.official.contains(x.head):
		// It holds what was given up, or was never a published master's.
	case s.head.keyCount() == 0:
		c.fail(
			"S3", "%s is empty and promoted, with %s within reach, which holds %d keys", s.pod.name, x.pod.name,
			x.head.keyCount(),
		)
	case x.priority != 0 && related && x.head.contains(s.head):
		c.fail(
			"S4", "%s is promoted with %d keys, with %s within reach, which holds %d", s.pod.name, s.head.keyCount(),
			x.pod.name, x.head.keyCount(),
		)
	}
}
