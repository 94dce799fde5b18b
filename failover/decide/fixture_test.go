// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// world is a little Redis world for table tests: it carries out actions at once and lets the
// clock stand still unless told. The real searching is done elsewhere; this shows one way through.
type world struct {
	t        *testing.T
	now      time.Time
	policy   failover.Policy
	nodes    []*failover.Node
	absent   []failover.AbsentNode
	pub      failover.Published
	progress failover.Progress
	request  *failover.Request
	sick     bool
	writes   int // of progress
	history  []failover.Record

	publishing failover.Publication
	departures failover.Departures
	log        []string
	deaf       map[string]bool // nodes that do not obey
	onAction   func(failover.Action) bool
}

func newWorld(t *testing.T, replicas int) *world {
	t.Helper()
	w := &world{
		t:    t,
		now:  time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		deaf: map[string]bool{},
		policy: failover.Policy{
			Mode:        failover.ModeAutomatic,
			DownAfter:   3 * time.Second,
			Cooldown:    30 * time.Second,
			MaxLagBytes: 1 << 20,
			Consistency: failover.ConsistencyBounded,
			Replicas:    replicas,
			Port:        6379,
		},
	}
	for i := range replicas {
		w.nodes = append(w.nodes, w.boot(i))
	}
	return w
}

// settled is a world whose master is r-0, followed by the others.
func settled(t *testing.T, replicas int) *world {
	t.Helper()
	w := newWorld(t, replicas)
	w.run()
	w.pass(2 * time.Second)
	if w.progress.State != failover.StateStable || w.master() != "r-0" {
		t.Fatalf("the world did not settle: %s\n%s", w.progress.State, strings.Join(w.log, "\n"))
	}
	w.log, w.history = nil, nil
	return w
}

func (w *world) boot(i int) *failover.Node {
	name := fmt.Sprintf("r-%d", i)
	return &failover.Node{
		Name:     name,
		UID:      fmt.Sprintf("uid-%d-%d", i, len(w.log)),
		IP:       fmt.Sprintf("10.0.0.%d", i+1),
		Ordinal:  i,
		PodFacts: failover.PodFacts{Ready: true},
		RedisFacts: failover.RedisFacts{
			Contact:      failover.ContactAnswering,
			ContactSince: w.now,
			LastAnswer:   w.now,
			WatchedSince: w.now,
			Sampled:      true,
			SampledAt:    w.now,
			Replication: failover.Replication{
				RunID: fmt.Sprintf(
					"run-%d-%d", i, len(w.log),
				),
				Role:       failover.RoleReplica,
				MasterHost: failover.FenceHost,
				MasterPort: failover.FencePort,
				LastIO:     -1,
				Lineage: failover.Lineage{
					ReplID:       fmt.Sprintf("lin-%d-%d", i, len(w.log)),
					ReplID2:      failover.NoReplID,
					SecondOffset: -1,
				},
				Priority: 100,
			},
		},
	}
}

func (w *world) node(name string) *failover.Node {
	for _, n := range w.nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

func (w *world) master() string {
	if w.progress.Master == nil {
		return ""
	}
	return w.progress.Master.Pod
}

// sleep lets time pass: who answers is sampled anew, replicas of a silent master hear nothing.
func (w *world) sleep(d time.Duration) {
	w.now = w.now.Add(d)
	w.sample(d)
}

// pass lets time pass as sleep does, and the operator act meanwhile.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for step := 200 * time.Millisecond; d > 0; d -= step {
		w.sleep(min(d, step))
		w.run()
	}
}

// write appends bytes on the master; attached replicas get them but for lag.
func (w *world) write(bytes int64, lag map[string]int64) {
	m := w.node(w.master())
	m.Replication.Lineage.Offset += bytes
	for _, n := range w.nodes {
		if n != m && n.Follows(m.IP) && n.Replication.LinkUp {
			n.Replication.Lineage.Offset = m.Replication.Lineage.Offset - lag[n.Name]
		}
	}
}

// sample recomputes what links show.
func (w *world) sample(passed time.Duration) {
	for _, n := range w.nodes {
		if n.Contact != failover.ContactAnswering {
			continue
		}
		n.SampledAt, n.LastAnswer, n.Stale, n.Sampled = w.now, w.now, false, true
		r := &n.Replication
		if r.Role != failover.RoleReplica {
			was := r.Fresh
			r.Followers, r.Fresh = 0, 0
			for _, o := range w.nodes {
				if o.Contact != failover.ContactRefused && o.Contact != failover.ContactNone && !o.Exited && o.Follows(n.IP) {
					r.Followers++
				}
				if o.Contact == failover.ContactAnswering && o.Follows(n.IP) {
					r.Fresh++
				}
			}
			if r.Fresh != was {
				n.FreshSince = w.now
			}
			continue
		}
		var m *failover.Node
		for _, o := range w.nodes {
			if o.IP == r.MasterHost && o != n {
				m = o
			}
		}
		switch {
		case m == nil && r.MasterHost == foreignHost:
			w.link(n, true, 0)
		case m == nil || m.Contact == failover.ContactRefused || (m.Contact == failover.ContactAnswering && m.Replication.Role != failover.RoleMaster):
			w.link(n, false, -1)
		case m.Contact == failover.ContactAnswering:
			w.link(n, true, 0)
			w.sync(n, m)
		case r.LinkUp:
			w.link(n, true, r.LastIO+passed)
		}
	}
}

func (w *world) link(n *failover.Node, up bool, lastIO time.Duration) {
	if n.Replication.LinkUp != up {
		n.LinkSince = w.now
	}
	n.Replication.LinkUp, n.Replication.LastIO = up, lastIO
	if up {
		n.Heard = failover.Heard{Master: n.Replication.MasterHost, At: w.now.Add(-lastIO), RunID: n.Replication.RunID}
	}
	n.Replication.Linked = n.Replication.Linked || up
}

// sync gives a freshly linked replica the master's history, by part or in full.
func (w *world) sync(n, m *failover.Node) {
	if n.Replication.Lineage.ReplID != m.Replication.Lineage.ReplID {
		n.Replication.Lineage = m.Replication.Lineage
		n.Replication.Keys = m.Replication.Keys
	}
}

func (w *world) die(name string) {
	n := w.node(name)
	n.Contact, n.ContactSince = failover.ContactRefused, w.now
	w.sample(0)
}

func (w *world) hang(name string) {
	n := w.node(name)
	n.Contact, n.ContactSince = failover.ContactSilent, w.now
	w.sample(0)
}

// restart gives the pod a new process, booted fenced; keep says whether its data survived.
func (w *world) restart(name string, keep bool) {
	n := w.node(name)
	w.log = append(w.log, "restart "+name)
	fresh := w.boot(n.Ordinal)
	fresh.UID, fresh.RoleLabel, fresh.MayHoldData, fresh.OrderedAt = n.UID, n.RoleLabel, n.MayHoldData, n.OrderedAt
	fresh.Former = failover.Former{RunID: n.Replication.RunID, Lineage: n.Replication.Lineage}
	if keep {
		fresh.Replication.Lineage, fresh.Replication.Keys = n.Replication.Lineage, n.Replication.Keys
	}
	*n = *fresh
	w.sample(0)
}

func (w *world) remove(name string) {
	w.nodes = slices.DeleteFunc(w.nodes, func(n *failover.Node) bool { return n.Name == name })
	w.sample(0)
}

func (w *world) observe() failover.Observation {
	o := failover.Observation{
		Published:       w.pub,
		PublishedSince:  w.publishing.Seen(w.now, w.pub),
		Absent:          w.absent,
		ObserverSuspect: w.sick,
	}
	for _, n := range w.nodes {
		o.Nodes = append(o.Nodes, *n)
	}
	o.Departed = w.departures.Seen(w.now, o.Nodes)
	return o
}

// once is one round: decide, persist, act, observe. It reports whether anything happened.
func (w *world) once() (failover.Decision, bool) {
	d := Decide(w.now, w.policy, w.observe(), w.progress, w.request)
	again := Decide(w.now, w.policy, w.observe(), w.progress, w.request)
	if !reflect.DeepEqual(d, again) {
		w.t.Fatalf("two decisions on the same input differ:\n%+v\n%+v", d, again)
	}
	if d.Err != nil {
		w.t.Fatalf("no decision: %v", d.Err)
	}
	changed := !reflect.DeepEqual(d.Next, w.progress)
	if changed {
		w.writes++
		if d.Next.Epoch < w.progress.Epoch {
			w.t.Fatalf("the epoch went back from %d to %d", w.progress.Epoch, d.Next.Epoch)
		}
	}
	w.log = append(
		w.log, fmt.Sprintf("%s→%s e%d %T %s", w.progress.State, d.Next.State, d.Next.Epoch, d.Actions, d.Message),
	)
	w.progress = d.Next.Clone()
	if d.Record != nil {
		w.history = append(w.history, *d.Record)
	}
	for _, a := range d.Actions {
		w.log = append(w.log, fmt.Sprintf("  %T %+v", a, a))
		if w.onAction == nil || w.onAction(a) {
			w.apply(a)
		}
	}
	w.sample(0)
	w.invariants()
	return d, changed || len(d.Actions) > 0
}

// run decides until nothing happens any more, at the same instant but for what takes its time.
func (w *world) run() failover.Decision {
	w.t.Helper()
	for range 1000 {
		d, busy := w.once()
		promotes := d.Next.State == failover.StatePromoting || d.Next.State == failover.StateSwitchingOver
		justPublished := promotes && w.now.Sub(w.observe().PublishedSince) < clientsFirstFor
		attending := d.Next.State == failover.StateReattaching || justPublished
		if !busy && !attending {
			return d
		}
		if attending || d.Next.State == failover.StateFencing || d.Next.State == failover.StateSwitchingOver {
			w.now = w.now.Add(50 * time.Millisecond)
			w.sample(50 * time.Millisecond)
		}
	}
	w.t.Fatalf("no end to it:\n%s", strings.Join(w.log[max(0, len(w.log)-30):], "\n"))
	return failover.Decision{}
}

func (w *world) invariants() {
	w.t.Helper()
	masters := w.observe().Masters()
	if w.progress.State == failover.StateStable && len(masters) > 1 && w.progress.Reason == failover.ReasonNone {
		for _, m := range masters {
			if m.Name != w.master() && m.Replication.Keys == 0 {
				w.t.Fatalf("two masters, and nothing to refuse about it:\n%s", strings.Join(w.log, "\n"))
			}
		}
	}
}

func (w *world) apply(a failover.Action) {
	switch a := a.(type) {
	case failover.Publish:
		w.pub = failover.Published{Pod: a.Node.Pod, UID: a.Node.UID, IP: a.Node.IP, Epoch: a.Epoch}
		return
	case failover.Withdraw:
		w.pub = failover.Published{Epoch: a.Epoch}
		return
	case failover.AcknowledgeRequest:
		w.request = nil
		return
	}
	n := w.node(a.Target().Pod)
	if n == nil || n.UID != a.Target().UID {
		return
	}
	if l, ok := a.(failover.Label); ok {
		n.RoleLabel = l.Role
		return
	}
	if _, ok := a.(failover.DeletePod); ok {
		w.remove(n.Name)
		return
	}
	if _, ok := a.(failover.CutClients); !ok {
		n.OrderedAt = w.now
	}
	if n.Contact != failover.ContactAnswering || w.deaf[n.Name] {
		return
	}
	w.command(n, a)
}

func (w *world) command(n *failover.Node, a failover.Action) {
	r := &n.Replication
	demote := func(host string, port int) {
		if r.LinkUp {
			n.LinkSince = w.now
		}
		if r.Role != failover.RoleReplica {
			n.RoleSince = w.now
		}
		r.Linked = r.Linked && r.MasterHost == host
		r.Role, r.MasterHost, r.MasterPort, r.LinkUp, r.LastIO = failover.RoleReplica, host, port, false, -1
	}
	switch a := a.(type) {
	case failover.Detach:
		demote(failover.FenceHost, failover.FencePort)
	case failover.Drain:
		c := w.node(a.Candidate.Pod)
		if c.Contact == failover.ContactAnswering && c.Replication.LinkUp {
			c.Replication.Lineage.Offset = r.Lineage.Offset
			demote(failover.FenceHost, failover.FencePort)
		}
	case failover.Promote:
		if r.Role == failover.RoleMaster {
			return
		}
		r.Role, r.MinReplicas, r.LinkUp, n.RoleSince, n.Cut = failover.RoleMaster, a.MinReplicas, false, w.now, failover.Cut{}
		r.Lineage.ReplID2, r.Lineage.SecondOffset = r.Lineage.ReplID, r.Lineage.Offset+1
		r.Lineage.ReplID = fmt.Sprintf("lin-%s-%d", n.Name, len(w.log))
	case failover.Follow:
		demote(a.Master.IP, 6379)
	case failover.SetMinReplicas:
		r.MinReplicas = a.MinReplicas
	case failover.CutClients:
		if a.WritersOnly {
			n.Cut.Writers = w.now
			return
		}
		n.Cut.Last = w.now
		if n.Cut.First.IsZero() {
			n.Cut.First = w.now
		}
	}
}
