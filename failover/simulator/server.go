// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

// Facts of Redis and of the configuration that the operator gives it.
const (
	noReplID     = failover.NoReplID
	cronPeriod   = time.Second          // replicationCron: retries, acknowledgements, pings
	maxLag       = failover.GuardMaxLag // min-replicas-max-lag
	replTimeout  = 15 * time.Second     // repl-timeout
	writeBytes   = 100
	pingBytes    = 14
	redisPort    = 6379
	backlogTTL   = 12 * time.Second // repl-backlog-ttl; an hour in truth, which no schedule lasts
	maxClockLook = 1 << 62
)

// server is a Redis process.
type server struct {
	w   *world
	pod *pod

	runID       string
	alive, hung bool
	diedAt      instant
	busy        bool    // it hangs in a script: it answers BUSY to whatever it is sent
	garbageTill instant // until when it answers INFO with what is none
	lies        bool    // that what it answers until then can be parsed
	loadingTill instant

	role       failover.Role
	masterIP   string
	masterPort int

	replid, replid2 string
	second, offset  int64
	backlog         bool  // it counts what it writes, and can serve partial synchronisations
	backlogFrom     int64 // the oldest offset in the backlog
	aloneSince      instant
	head            *entry
	minReplicas     int
	priorityAt      instant // when a person set it
	priority        int     // replica-priority; a restart forgets what a person set

	pausedTill instant
	held       []func() // writes held back by CLIENT PAUSE
	inbox      []func() // what arrived while the process was stopped
	staleGood  int      // good replicas as of the moment it was stopped

	up        *upstream // to its master
	attempt   uint64    // grows when a connection attempt is void
	hadLink   bool      // to anybody, ever
	linkEnded instant   // when the last link ended
	syncing   bool
	flushed   bool        // a full synchronisation is replacing the data
	followers []*upstream // who is connected to it, as far as it knows
	conns     []*operatorConn
	clients   []*clientConn

	refused        int64   // writes, as a replica
	withoutSince   instant // it refuses writes for want of replicas; zero: it does not
	writable       string  // who made it a master: an operator, or a person
	deposedAt      instant
	givenUp        bool // it was replaced because it was silent
	booted         instant
	roleSince      instant
	wokeAt         instant
	reachableSince instant // it runs and answers
}

// upstream is the connection of a replica to its master.
type upstream struct {
	replica, source *server
	lag             time.Duration
	since           instant
	up              bool    // as the replica sees it
	counted         bool    // as the master sees it
	stalledAt       instant // since when no data flows; negative: it does
	silentAt        instant // since when no acknowledgement flows; negative: it does
	flowing         instant // since when data flows again
	pinged          instant // when the last ping came before data ceased to flow
	heardAgain      instant // since when acknowledgements flow again
	unconfirmed     instant // the stall in which the last acknowledgement came through; negative: there was none
	visiting        bool
}

func (w *world) newServer(p *pod) *server {
	s := &server{
		w: w, pod: p, runID: w.id("run"), alive: true, role: failover.RoleReplica,
		masterIP: failover.FenceHost, masterPort: failover.FencePort,
		replid: w.id("lin"), priority: w.cfg.priority(p.ordinal), replid2: noReplID, second: -1, aloneSince: w.now,
		booted: w.now, roleSince: w.now, reachableSince: w.now, wokeAt: -time.Hour,
	}
	if im := p.disk(); im != nil {
		s.head = im.head
		s.loadingTill = w.now + w.between(0, w.cfg.loading)
		if im.replid != "" {
			s.replid, s.offset = im.replid, im.offset
		}
	}
	if w.defect.bootAsMaster {
		s.role, s.masterIP, s.masterPort = failover.RoleMaster, "", 0
	}
	w.servers = append(w.servers, s)
	w.checks.onBoot(s)
	s.cron()
	return s
}

func (s *server) loading() bool { return s.w.now < s.loadingTill || s.flushed }

// linked reports whether the replica's link to its master is up.
func (s *server) linked() bool { return s.up != nil && s.up.up }

// cron is what Redis does once a second: pings to replicas, and freeing a backlog that no replica needs.
func (s *server) cron() {
	s.w.after(cronPeriod, func() {
		if !s.alive {
			return
		}
		s.cron()
		if s.hung || s.role != failover.RoleMaster || !s.backlog {
			return
		}
		if len(s.followers) > 0 {
			s.aloneSince = s.w.now
			s.append(0, pingBytes)
		} else if s.w.now-s.aloneSince > backlogTTL {
			// Without a backlog nothing is counted; no replica may continue from here (freeReplicationBacklog).
			s.backlog, s.replid, s.replid2, s.second = false, s.w.id("lin"), noReplID, -1
		}
	})
}

func (s *server) append(number int, bytes int64) {
	if s.backlog {
		s.offset += bytes
	}
	s.head = s.head.then(number, s.offset, s.w.now)
}

// info is INFO.
func (s *server) info() redisclient.Info {
	s.catchUp()
	i := redisclient.Info{
		RunID:          s.runID,
		Role:           redisclient.Role(s.role),
		MasterHost:     s.masterIP,
		MasterPort:     s.masterPort,
		LastIO:         redisclient.Unknown,
		LinkDownFor:    redisclient.Unknown,
		Loading:        s.loading(),
		SyncInProgress: s.syncing,
		ReplID:         s.replid,
		ReplID2:        s.replid2,
		SecondOffset:   s.second,
		Offset:         s.offset,
		AppliedOffset:  s.offset,
		Priority:       s.priority,
		Keys:           s.head.keyCount(),
		MinReplicas:    s.minReplicas,
		MaxLag:         maxLag,
		RefusedWrites:  s.refused,
	}
	if s.role == failover.RoleMaster {
		i.Priority = redisclient.Unknown
	}
	if s.loading() {
		i.Keys = 0
		if !s.flushed { // its disk's history is known when it is read
			i.ReplID, i.ReplID2, i.SecondOffset, i.Offset, i.AppliedOffset = s.runID, noReplID, -1, 0, 0
		}
	}
	if s.hadLink && s.role == failover.RoleReplica {
		i.LinkDownFor = (s.w.now - s.linkEnded).Truncate(time.Second)
	}
	if s.linked() {
		i.LinkUp, i.LastIO = true, s.up.lastIO()
	}
	for _, l := range s.followers {
		i.ConnectedReplicas = append(i.ConnectedReplicas, redisclient.ConnectedReplica{State: "online", Lag: l.ackLag()})
	}
	return i
}

// lastIO is master_last_io_seconds_ago: whole seconds since anything came.
func (l *upstream) lastIO() time.Duration {
	last := l.since
	if h := l.replica.head; h != nil {
		last = max(last, h.at+l.lag)
	}
	if l.stalledAt >= 0 {
		last = max(min(last, l.stalledAt), l.pinged)
	} else if l.source.role == failover.RoleMaster {
		last = max(last, l.replica.w.now-cronPeriod)
	}
	return (l.replica.w.now - last).Truncate(time.Second)
}

// ackLag is since when the master has heard nothing of a replica, in whole seconds.
func (l *upstream) ackLag() time.Duration {
	if l.silentAt < 0 {
		return 0
	}
	return (l.replica.w.now - l.silentAt).Truncate(time.Second)
}

// catchUp applies what has arrived by now.
func (s *server) catchUp() {
	if s.linked() {
		s.up.deliver(s.w.now - s.up.lag)
	}
}

// deliver applies what the source had executed by an instant, and what no break of the connection kept back.
func (l *upstream) deliver(by instant) {
	if l.visiting || !l.up {
		return
	}
	l.visiting = true
	defer func() { l.visiting = false }()
	if l.stalledAt >= 0 {
		by = min(by, l.stalledAt-l.lag)
	} else if l.source.alive {
		l.source.catchUp()
	}
	l.replica.apply(l.source.head.asOf(by, l.replica.head))
}

// apply takes in the stream up to an entry, if it has not got there yet.
func (s *server) apply(e *entry) {
	if e != nil && e != s.head && (s.head == nil || e.depth > s.head.depth) {
		s.head, s.offset = e, max(s.offset, e.offset)
	}
}

// good counts the replicas that min-replicas-to-write counts.
func (s *server) good() int {
	count := 0
	for _, l := range s.followers {
		if l.silentAt < 0 || s.w.now-l.silentAt <= maxLag {
			count++
		}
	}
	return count
}

// refuses says why a write is refused; empty if it is not.
func (s *server) refuses(good int) string {
	switch {
	case s.loading():
		return "LOADING"
	case s.role != failover.RoleMaster:
		return "READONLY"
	case good < s.minReplicas:
		return "NOREPLICAS"
	}
	return ""
}

// paused reports whether writes are held back.
func (s *server) paused() bool { return s.w.now < s.pausedTill }

func (s *server) pause(d time.Duration) {
	s.pausedTill = max(s.pausedTill, s.w.now+d)
	s.w.at(s.pausedTill, func() {
		if !s.paused() {
			s.release()
		}
	})
}

// release lets the writes go that were held back.
func (s *server) release() {
	if !s.alive {
		return
	}
	held := s.held
	s.held = nil
	for _, run := range held {
		s.arrive(run)
	}
}

// arrive runs what a connection brought, at once or when the process runs again.
func (s *server) arrive(run func()) {
	switch {
	case !s.alive:
	case s.hung:
		s.inbox = append(s.inbox, run)
	default:
		run()
	}
}

// serve runs what a connection brought as arrive does, or answers that a script runs.
func (s *server) serve(run, busy func()) {
	if s.busy {
		busy()
		return
	}
	s.arrive(run)
}

func (s *server) full() bool { return s.w.now < s.pod.fullTill }

// stop is SIGSTOP, resume SIGCONT.
func (s *server) stop() {
	s.w.beforeFlowChanges()
	s.staleGood = s.good()
	s.hung = true
	s.w.afterFlowChanged()
}

func (s *server) resume() {
	s.w.beforeFlowChanges()
	s.hung, s.busy, s.wokeAt, s.reachableSince = false, false, s.w.now, s.w.now
	s.w.afterFlowChanged()
	inbox := s.inbox
	s.inbox = nil
	for _, run := range inbox {
		s.arrive(run)
	}
	s.staleGood = 0
}

// describe is for timelines.
func (s *server) describe() string {
	return fmt.Sprintf("%s of %d keys at %s:%d", s.role, s.head.keyCount(), s.replid, s.offset)
}
