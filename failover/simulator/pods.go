// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
)

// pod is a Redis pod with its kubelet.
type pod struct {
	w       *world
	name    string
	ordinal int
	slot    party
	uid, ip string

	server      *server
	created     instant
	exited      bool // as the kubelet has reported
	ready       bool
	unlabelled  bool    // it has lost the label by which it is found
	fullTill    instant // until when its processes turn new connections away (maxclients)
	terminating bool
	nodeGone    bool
	cordoned    bool
	outdated    bool
	label       failover.Role
	labelled    int64 // how often the label was written
	labelLate   bool  // it was written by an operator that did not lead any more, or has not had an answer
	restarts    int
	gone        bool
}

// diskMode says what outlives a process.
type diskMode int

const (
	diskNone diskMode = iota
	diskSnapshot
	diskAppendOnly
)

func (d diskMode) String() string {
	return [...]string{"no disks", "snapshots", "append-only files"}[d]
}

// disk is what the pod finds when its process starts.
func (p *pod) disk() *image { return p.w.disks[p.ordinal] }

// createPod is what the StatefulSet controller and a kubelet do for an ordinal.
func (w *world) createPod(ordinal int) {
	p := &pod{
		w:       w,
		name:    fmt.Sprintf("r-%d", ordinal),
		ordinal: ordinal,
		slot:    party(ordinal),
		uid:     w.id("uid"),
		created: w.now,
	}
	w.pods = append(w.pods, p)
	slices.SortFunc(w.pods, func(a, b *pod) int { return a.ordinal - b.ordinal })
	w.api.podsChanged()
	w.after(max(w.between(20*time.Millisecond, 400*time.Millisecond), w.lateTill[ordinal]-w.now), func() {
		if p.gone {
			return
		}
		p.ip = w.freeIP()
		p.start()
	})
}

// freeIP hands out addresses; one that was given back may be given out again at once.
func (w *world) freeIP() string {
	for n := range 64 {
		ip := fmt.Sprintf("10.0.0.%d", n+1)
		used := slices.ContainsFunc(w.pods, func(p *pod) bool { return p.ip == ip })
		if used || w.cfg.freshIPs && w.usedIPs[ip] {
			continue
		}
		w.usedIPs[ip] = true
		return ip
	}
	return w.id("ip")
}

// start starts the process of the pod.
func (p *pod) start() {
	p.server = p.w.newServer(p)
	p.exited = false
	p.w.note("%s starts at %s: %s", p.name, p.ip, p.server.describe())
	p.w.api.podsChanged()
	if p.w.cfg.disks == diskSnapshot {
		p.snapshotLater(p.server)
	}
}

// snapshotLater is a save point.
func (p *pod) snapshotLater(s *server) {
	p.w.after(p.w.between(500*time.Millisecond, 8*time.Second), func() {
		if s.alive && p.server == s {
			if !s.hung && !s.loading() && !s.syncing {
				s.save()
			}
			p.snapshotLater(s)
		}
	})
}

// save writes the data to the disk as a snapshot.
func (s *server) save() {
	s.catchUp()
	im := &image{head: s.head, offset: s.offset}
	if s.backlog || s.role == failover.RoleReplica {
		im.replid = s.replid
	}
	s.w.disks[s.pod.ordinal] = im
}

// kill ends the process; the kubelet reports that, and starts another one.
func (p *pod) kill(restartAfter time.Duration) {
	s := p.server
	if s == nil || !s.alive {
		return
	}
	if p.w.cfg.disks == diskAppendOnly && !s.flushed {
		s.catchUp()
		p.w.disks[p.ordinal] = &image{head: s.head}
	}
	s.die()
	p.server, p.ready = nil, false
	p.w.note("%s: the process dies", p.name)
	p.w.after(p.w.between(10*time.Millisecond, 300*time.Millisecond), func() {
		if p.server == nil && !p.gone {
			p.exited = true
			p.w.api.podsChanged()
		}
	})
	p.w.after(restartAfter, func() {
		if !p.gone && !p.terminating && p.server == nil && !p.nodeGone {
			p.restarts++
			p.start()
		}
	})
}

// Bounds of a pod's end.
const (
	preStopPoll   = 100 * time.Millisecond
	preStopWithin = 20 * time.Second
)

// terminate is a deletion: the preStop hook holds the process while it is a master, then it ends, and another pod
// comes.
func (p *pod) terminate(grace time.Duration) {
	if p.terminating || p.gone {
		return
	}
	p.terminating = true
	p.w.note("pod %s is being deleted", p.name)
	p.w.api.podsChanged()
	hold := min(preStopWithin, grace)
	deadline := p.w.now + hold
	var poll func()
	poll = func() {
		s := p.server
		if s != nil && !s.hung && s.role == failover.RoleMaster && p.w.now < deadline {
			p.w.after(preStopPoll, poll)
			return
		}
		if s != nil && s.hung && p.w.now < deadline {
			p.w.after(preStopPoll, poll)
			return
		}
		p.end()
	}
	p.w.after(p.w.between(5*time.Millisecond, 100*time.Millisecond), poll)
}

// end ends the process in good order, and then the pod.
func (p *pod) end() {
	if s := p.server; s != nil {
		if p.w.cfg.disks == diskSnapshot && !s.hung && !s.loading() {
			s.save()
		}
		if p.w.cfg.disks == diskAppendOnly && !s.flushed {
			s.catchUp()
			p.w.disks[p.ordinal] = &image{head: s.head}
		}
		s.die()
		p.server = nil
	}
	p.w.after(p.w.between(5*time.Millisecond, 200*time.Millisecond), p.vanish)
}

// vanish removes the pod; the StatefulSet controller makes another one if it is wanted.
func (p *pod) vanish() {
	w := p.w
	if p.gone {
		return
	}
	if s := p.server; s != nil {
		s.die()
		p.server = nil
	}
	p.gone = true
	w.pods = slices.DeleteFunc(w.pods, func(o *pod) bool { return o == p })
	w.note("pod %s is gone", p.name)
	w.api.podsChanged()
	w.after(w.between(20*time.Millisecond, w.cfg.recreate), func() { w.refill() })
}

// refill is the StatefulSet controller: it makes the pods that are missing, and deletes those that are too many, once
// the workload controller lets it: not before the master is elsewhere.
func (w *world) refill() {
	for ordinal := range w.wanted {
		if w.podAt(ordinal) == nil {
			w.createPod(ordinal)
		}
	}
}

func (w *world) podAt(ordinal int) *pod {
	for _, p := range w.pods {
		if p.ordinal == ordinal {
			return p
		}
	}
	return nil
}

// serverAt is the process that listens at an address.
func (w *world) serverAt(ip string) *server {
	if p := w.podOf(ip); p != nil && p.server != nil && p.server.alive {
		return p.server
	}
	return nil
}
