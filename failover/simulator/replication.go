// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
)

// replicaOf is REPLICAOF host port.
func (s *server) replicaOf(ip string, port int) {
	if s.role == failover.RoleReplica && s.masterIP == ip && s.masterPort == port {
		return
	}
	s.catchUp()
	s.dropUpstream()
	if s.role != failover.RoleReplica {
		s.roleSince = s.w.now
	}
	s.role, s.masterIP, s.masterPort = failover.RoleReplica, ip, port
	s.writable = ""
	s.connectAfter(0)
}

// promote is REPLICAOF NO ONE.
func (s *server) promote(by string) {
	if s.role == failover.RoleMaster {
		return
	}
	s.catchUp()
	s.dropUpstream()
	s.role, s.masterIP, s.masterPort, s.writable = failover.RoleMaster, "", 0, by
	s.replid2, s.second = s.replid, s.offset+1
	s.replid = s.w.id("lin")
	s.aloneSince, s.roleSince = s.w.now, s.w.now
	s.dropFollowers()
}

// dropUpstream ends the connection to the master; the master hears of it if anything gets there.
func (s *server) dropUpstream() {
	s.attempt++
	if !s.flushed {
		s.syncing = false
	}
	if l := s.up; l != nil {
		s.up, s.linkEnded = nil, s.w.now
		l.up = false
		if !s.w.cut(s.pod.slot, l.source.pod.slot) {
			l.source.arrive(func() { l.source.forget(l) })
		}
	}
}

// forget is what a master does when a replica's connection ends.
func (s *server) forget(l *upstream) {
	l.counted = false
	s.followers = slices.DeleteFunc(s.followers, func(o *upstream) bool { return o == l })
	if len(s.followers) == 0 {
		s.aloneSince = s.w.now
	}
}

// dropFollowers disconnects the replicas, because the history they follow has another name now.
func (s *server) dropFollowers() {
	followers := s.followers
	s.followers = nil
	for _, l := range followers {
		l.counted = false
		if !s.w.cut(s.pod.slot, l.replica.pod.slot) {
			l.replica.arrive(func() { l.replica.lost(l) })
		}
	}
}

// lost is what a replica does when its connection ends.
func (s *server) lost(l *upstream) {
	if s.up != l {
		return
	}
	l.deliver(s.w.now - time.Duration(s.w.rng.Int64N(int64(l.lag)+1)))
	l.up, s.up, s.linkEnded = false, nil, s.w.now
	s.attempt++
	s.connectAfter(s.w.between(0, 5*time.Millisecond))
}

// connectAfter tries to connect to the master, again and again.
func (s *server) connectAfter(d time.Duration) {
	if s.masterIP == failover.FenceHost || s.role != failover.RoleReplica {
		return
	}
	attempt := s.attempt
	s.w.after(d, func() {
		if !s.alive || s.attempt != attempt || s.role != failover.RoleReplica || s.up != nil || s.flushed {
			return
		}
		if !s.hung && !s.loading() && s.tryConnect() {
			return
		}
		s.connectAfter(cronPeriod)
	})
}

// tryConnect reports whether the connection was made, or a full synchronisation begun.
func (s *server) tryConnect() bool {
	source := s.w.serverAt(s.masterIP)
	if source == nil || source == s || !source.serves(s) {
		return false
	}
	source.catchUp()
	if s.mayContinue(source) {
		if s.replid != source.replid {
			s.replid2, s.second, s.replid = s.replid, s.offset+1, source.replid
			s.dropFollowers()
		}
		if !s.backlog {
			s.backlog, s.backlogFrom = true, s.offset
		}
		s.attach(source)
		return true
	}
	return s.fullSync(source)
}

// serves reports whether a process would let another one synchronise from it.
func (s *server) serves(replica *server) bool {
	switch {
	case s.hung || s.loading() || s.full():
		return false
	case s.w.cut(s.pod.slot, replica.pod.slot) || s.w.cut(replica.pod.slot, s.pod.slot):
		return false
	}
	return s.role == failover.RoleMaster || s.linked() // else NOMASTERLINK
}

// mayContinue is masterTryPartialResynchronization.
func (s *server) mayContinue(source *server) bool {
	if !source.backlog || s.offset < source.backlogFrom || s.offset > source.offset {
		return false
	}
	if source.offset-s.offset > s.w.cfg.backlogSize {
		return false
	}
	return s.replid == source.replid || s.replid == source.replid2 && s.offset+1 <= source.second
}

func (s *server) attach(source *server) {
	l := &upstream{
		replica: s, source: source, lag: s.w.between(time.Millisecond, s.w.cfg.lag), since: s.w.now,
		up: true, counted: true, stalledAt: -1, silentAt: -1, unconfirmed: -1,
	}
	if s.w.cfg.laggard == s.pod.ordinal {
		l.lag += s.w.cfg.laggardBy
	}
	s.up, s.hadLink = l, true
	if !s.isForeign() {
		delete(s.w.checks.knownForeign, s.pod.ordinal)
	}
	source.followers = append(source.followers, l)
	l.replica.w.note("%s replicates from %s", s.pod.name, source.pod.name)
}

// fullSync copies the source's data: first across the network, while the old data stays, then into memory, in its
// place.
func (s *server) fullSync(source *server) bool {
	if !source.backlog {
		source.backlog, source.backlogFrom = true, source.offset
		source.replid, source.replid2, source.second = s.w.id("lin"), noReplID, -1
	}
	head, replid, offset := source.head, source.replid, source.offset
	s.syncing = true
	attempt := s.attempt
	s.w.note("%s begins a full sync from %s", s.pod.name, source.pod.name)
	s.w.after(s.w.between(5*time.Millisecond, s.w.cfg.syncing), func() {
		if !s.alive || s.attempt != attempt {
			return
		}
		if !source.alive || source.replid != replid || s.w.cut(source.pod.slot, s.pod.slot) || source.hung || s.hung {
			s.syncing = false
			s.connectAfter(cronPeriod)
			return
		}
		s.flushed = true
		s.w.after(
			s.w.between(time.Millisecond, s.w.cfg.syncing/4),
			func() { s.synced(source, head, replid, offset, attempt) },
		)
	})
	return true
}

// synced ends a full synchronisation; that the order to follow was changed meanwhile does not bring the old data back.
func (s *server) synced(source *server, head *entry, replid string, offset int64, attempt uint64) {
	if !s.alive {
		return
	}
	s.flushed, s.syncing, s.reachableSince = false, false, s.w.now
	s.head, s.replid, s.replid2, s.second, s.offset = head, replid, noReplID, -1, offset
	s.backlog, s.backlogFrom = true, offset
	s.dropFollowers()
	gone := !source.alive || source.replid != replid || s.w.cut(source.pod.slot, s.pod.slot) ||
		s.w.cut(s.pod.slot, source.pod.slot)
	if s.attempt != attempt || gone {
		s.connectAfter(0)
		return
	}
	s.attach(source)
}

// die ends the process. Data in flight to its replicas arrives or not.
func (s *server) die() {
	if !s.alive {
		return
	}
	w := s.w
	w.beforeFlowChanges()
	s.alive, s.hung, s.busy, s.diedAt = false, false, false, w.now
	s.inbox, s.held = nil, nil
	s.dropUpstream()
	s.dropFollowers()
	for _, c := range s.conns {
		c.serverEnded()
	}
	for _, c := range s.clients {
		c.serverEnded()
	}
	s.conns, s.clients = nil, nil
	w.servers = slices.DeleteFunc(w.servers, func(o *server) bool { return o == s })
	w.checks.died = append(w.checks.died, s)
	w.afterFlowChanged()
}
