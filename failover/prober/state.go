// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

// state is what was learnt about a pod.
type state struct {
	node  failover.Node
	marks uint64    // how often the sample was marked stale
	eofAt time.Time // when the connection ended; zero when the pod has answered since
	// awaited says that the sample was stale when a decision was made on it: that it is fresh again is news then, and else
	// it is not.
	awaited bool

	refused   int64     // writes that the process had refused as a replica, as of the last sample
	busySince time.Time // since when it answers BUSY and nothing else; zero: it does not
	memory    rising    // commands refused for want of memory (OOM)
	rejected  rising    // connections turned away (maxclients)
}

func newState(t Target, now time.Time) state {
	return state{
		node: failover.Node{Name: t.Pod, UID: t.UID, IP: t.IP, RedisFacts: failover.RedisFacts{WatchedSince: now}},
	}
}

// outcome is what came of a probe.
type outcome struct {
	began, ended time.Time
	marks        uint64 // state.marks when it began
	info         redisclient.Info
	class        redisclient.Class
}

// record takes an outcome into the state. A sample is dated from the beginning of its probe: what it says was true
// then or later, so that two samples are never put into the wrong order.
func (s *state) record(o outcome) {
	s.contact(contactOf(o.class), o)
	if s.signOfLife(o) {
		s.node.LastAnswer = o.ended
		s.eofAt = time.Time{}
	}
	if o.class == redisclient.ClassNone {
		s.sample(o)
	}
	if o.class == redisclient.ClassLoading {
		s.node.Replication.Loading = true
	}
}

// signOfLife reports an outcome by which the process that is known counts as alive. An error in the place of its state
// may be another process's, and a script that never ends is no life.
func (s *state) signOfLife(o outcome) bool {
	switch contactOf(o.class) {
	case failover.ContactAnswering, failover.ContactDenied:
		s.busySince = time.Time{}
		return true
	case failover.ContactBusy:
	case failover.ContactNone,
		failover.ContactSilent,
		failover.ContactRefused,
		failover.ContactFull,
		failover.ContactErring:
		return false
	}
	if s.busySince.IsZero() {
		s.busySince = o.ended
	}
	return o.ended.Sub(s.busySince) < failover.BusyPatience
}

// contact dates a loss of contact from when the attempt that failed began, or from the EOF that led to it: what others
// have testified since then is about the time after the loss.
func (s *state) contact(c failover.Contact, o outcome) {
	if c == s.node.Contact {
		return
	}
	since := o.ended
	if c != failover.ContactAnswering && c != failover.ContactDenied {
		since = o.began
		if !s.eofAt.IsZero() && s.eofAt.Before(since) {
			since = s.eofAt
		}
	}
	if c == failover.ContactRefused {
		s.noteEnd(since)
	}
	s.node.Contact, s.node.ContactSince = c, since
}

// noteEnd dates what the link of a process that has ended may have carried: all until then, if the link was up when it
// was last seen. It may have been unreachable, and in touch with a master that was, too.
func (s *state) noteEnd(at time.Time) {
	if last := s.node.Replication; s.node.Sampled && last.LinkUp && at.After(s.node.Heard.At) {
		s.node.Heard = failover.Heard{Master: last.MasterHost, At: at, RunID: last.RunID}
	}
}

func (s *state) sample(o outcome) {
	r := replication(o.info)
	last := s.node.Replication
	first := !s.node.Sampled || r.RunID != last.RunID
	if first && s.node.Sampled {
		s.node.Former = failover.Former{RunID: last.RunID, Lineage: last.Lineage}
		s.noteEnd(o.began)
	}
	if !r.LinkUp && !first {
		// Redis keeps the age of its last link when it is told to follow another master.
		r.Linked = last.Linked && sameMaster(r, last)
	}
	s.date(first, last, r, o.began)
	s.noteLink(first, last, r, o)
	s.noteRefusals(first, r, o.info.RefusedWrites, o.began)
	r.OutOfMemory = s.memory.lately(first, o.info.OutOfMemory, o.began)
	r.TurnsAway = s.rejected.lately(first, o.info.RejectedConnections, o.began)
	s.node.Sampled, s.node.SampledAt, s.node.Replication = true, o.began, r
	if o.marks == s.marks {
		s.node.Stale, s.awaited = false, false
	}
}

// look is what is known, for a decision.
func (s *state) look() failover.Node {
	s.awaited = s.awaited || s.node.Stale
	return s.node
}

// date notes since when role and link are what they are; the first sample of a process is since now.
func (s *state) date(first bool, last, now failover.Replication, at time.Time) {
	if first || now.Role != last.Role {
		s.node.RoleSince = at
	}
	if first || now.LinkUp != last.LinkUp {
		s.node.LinkSince = at
	}
	if first || now.Fresh != last.Fresh {
		s.node.FreshSince = at
	}
}

// noteLink dates what the link to a master has last carried. When it was ended by an order of ours, the sample from
// before has told.
func (s *state) noteLink(first bool, last, now failover.Replication, o outcome) {
	ordered := s.node.OrderedAt.After(s.node.SampledAt)
	heard := func(master string, ago time.Duration) failover.Heard {
		return failover.Heard{Master: master, At: o.began.Add(-ago), RunID: now.RunID}
	}
	switch {
	case now.LinkUp:
		s.node.Heard = heard(now.MasterHost, now.LastIO)
	case o.info.LinkDownFor < 0:
	case first:
		s.node.Heard = heard(now.MasterHost, o.info.LinkDownFor)
	case last.LinkUp && !ordered:
		s.node.Heard = heard(last.MasterHost, o.info.LinkDownFor)
	}
}

// sameMaster reports that two samples of a process show it in the same role, under the same master.
func sameMaster(a, b failover.Replication) bool {
	return a.Role == b.Role && a.MasterHost == b.MasterHost && a.MasterPort == b.MasterPort
}

func (s *state) markStale(now time.Time) {
	s.node.OrderedAt = now
	s.node.Stale = true
	s.marks++
}

// calmAfter is how long a process must have refused no write before looks for clients that write are counted anew.
const calmAfter = 10 * time.Second

func (s *state) markClientsCut(now time.Time, writersOnly bool, killed int) {
	c := &s.node.Cut
	if !writersOnly {
		if c.First.IsZero() {
			c.First = now
		}
		if killed > 0 {
			c.Hit = now
		}
		c.Last, c.Misses = now, 0
		return
	}
	if now.Sub(c.Writers) > calmAfter {
		c.Looks, c.Misses = 0, 0
	}
	c.Writers = now
	c.Looks++
	if c.Misses++; killed > 0 {
		c.Misses = 0
	}
}

// noteRefusals dates the writes that a replica has refused. A process that is met for the first time may have refused
// its before: where they came from, more will come.
func (s *state) noteRefusals(first bool, r failover.Replication, refused int64, at time.Time) {
	switch {
	case first:
		s.node.Cut, s.node.RefusedAt = failover.Cut{}, time.Time{}
		s.refused = 0
	case r.Role == failover.RoleMaster && r.MinReplicas < failover.WriteGuardClosed:
		s.node.Cut = failover.Cut{}
	}
	if r.Role == failover.RoleReplica && refused > s.refused {
		s.node.RefusedAt = at
	}
	s.refused = refused
}

// rising is a counter of a process, as of its last sample.
type rising struct {
	count int64
	at    time.Time // when it was last seen to have grown
}

// lately reports a counter that has grown within the last troubleLasts. What a process had counted when it was met is
// past.
func (r *rising) lately(first bool, count int64, at time.Time) bool {
	switch {
	case first:
		r.at = time.Time{}
	case count > r.count:
		r.at = at
	}
	r.count = count
	return !r.at.IsZero() && at.Sub(r.at) < troubleLasts
}

// troubleLasts is how long after the last refusal a process is said to refuse, so that what people are told does not
// change with each command.
const troubleLasts = 10 * time.Second

func (s *state) connected(now time.Time) { s.node.ConnectedAt = now }

// voidSilence makes silence be counted from now on, and what was learnt before be looked at again before anybody acts
// on it: we were away, and the world was not.
func (s *state) voidSilence(now time.Time) {
	s.node.WatchedSince = now
	s.node.Stale = true
	s.marks++
}

// contactOf tells what an outcome says about the process. An error on our own side says nothing; it is a silence, and
// witnesses will have to tell.
func contactOf(c redisclient.Class) failover.Contact {
	switch c {
	case redisclient.ClassAuth:
		return failover.ContactDenied
	case redisclient.ClassRefused:
		return failover.ContactRefused
	case redisclient.ClassTimeout, redisclient.ClassUnreachable, redisclient.ClassOther, redisclient.ClassCanceled:
		return failover.ContactSilent
	case redisclient.ClassBusy:
		return failover.ContactBusy
	case redisclient.ClassMaxClients:
		return failover.ContactFull
	case redisclient.ClassServer,
		redisclient.ClassMasterDown,
		redisclient.ClassMisconf,
		redisclient.ClassReadOnly,
		redisclient.ClassNoReplicas:
		return failover.ContactErring
	default:
		return failover.ContactAnswering
	}
}

// replication is the part of an Info that the core looks at.
func replication(i redisclient.Info) failover.Replication {
	followers, fresh := 0, 0
	for _, r := range i.ConnectedReplicas {
		if r.State != "online" {
			continue
		}
		followers++
		if r.Lag < i.MaxLag || i.MaxLag < 0 {
			fresh++
		}
	}
	return failover.Replication{
		RunID:      i.RunID,
		Version:    version(i),
		Role:       failover.Role(i.Role),
		MasterHost: i.MasterHost,
		MasterPort: i.MasterPort,
		LinkUp:     i.LinkUp,
		Linked:     i.LinkUp || i.LinkDownFor >= 0,
		LastIO:     i.LastIO,
		Syncing:    i.SyncInProgress,
		Loading:    i.Loading,
		Lineage: failover.Lineage{
			ReplID: i.ReplID, ReplID2: i.ReplID2, SecondOffset: i.SecondOffset, Offset: i.AppliedOffset,
		},
		Priority:    i.Priority,
		Keys:        i.Keys,
		Followers:   followers,
		Fresh:       fresh,
		MinReplicas: i.MinReplicas,
		AOFFailed:   i.AOFEnabled && !i.AOFLastWriteOK,
		SaveFailed:  !i.RDBLastSaveOK,
	}
}

// maxVersion bounds what goes into the status: a text that is too long there would be refused, and all else with it.
const maxVersion = 64

// version is what a server says that it is: 7.4.1, or valkey 8.1.1.
func version(i redisclient.Info) string {
	is := i.Version
	if i.ServerVersion != "" {
		is = i.Server + " " + i.ServerVersion
	}
	return is[:min(len(is), maxVersion)]
}

// kind is what of a state is worth waking the controller for when it changes.
type kind struct {
	contact                  failover.Contact
	sampled, awaited         bool
	runID, masterHost        string
	role                     failover.Role
	masterPort               int
	linkUp, syncing, loading bool
	aofFailed, saveFailed    bool
	outOfMemory, turnsAway   bool
	replID, replID2          string
	priority, minReplicas    int
	followers, fresh         int
	misled                   bool
}

// changed compares what a pod was with what it is. That a sample is fresh again, and that commands or clients were
// refused, is no reason to ask the other pods: an overloaded prober would ask more, the later it is.
func changed(before, after kind) Change {
	c := Change{Wakes: before != after, Urgent: before.contact != after.contact || before.runID != after.runID}
	before.misled, before.awaited = after.misled, after.awaited
	before.outOfMemory, before.turnsAway = after.outOfMemory, after.turnsAway
	c.Hurries = before != after
	return c
}

func (s *state) kind() kind {
	r := s.node.Replication
	return kind{
		contact: s.node.Contact, sampled: s.node.Sampled, awaited: s.awaited,
		runID: r.RunID, masterHost: r.MasterHost, role: r.Role, masterPort: r.MasterPort,
		linkUp: r.LinkUp, syncing: r.Syncing, loading: r.Loading, aofFailed: r.AOFFailed, saveFailed: r.SaveFailed,
		outOfMemory: r.OutOfMemory, turnsAway: r.TurnsAway,
		replID: r.Lineage.ReplID, replID2: r.Lineage.ReplID2,
		priority: r.Priority, followers: r.Followers, fresh: r.Fresh, minReplicas: r.MinReplicas,
		misled: s.node.RefusedAt.After(s.node.Cut.Writers) && s.node.RefusedAt.After(s.node.Cut.Last),
	}
}
