// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
	"github.com/redisha/redisha/failover/prober"
	"github.com/redisha/redisha/redisclient"
)

// monitor is the prober's watch over one pod: its loop is modelled after failover/prober, what it learns is the real
// thing.
type monitor struct {
	o       *operator
	target  prober.Target
	link    *link.Link
	turn    *turn
	redis   *redisConn
	learned *prober.Learned
	ended   bool
	poked   bool
	waiters []func()
	wakeUp  func()
	due     time.Time

	exitedAt time.Time
}

// turn is a link's turn among tasks.
type turn struct {
	o      *operator
	taken  bool
	queued []func()
}

func (t *turn) Take(ctx context.Context) error {
	for t.taken {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("waiting for the connection: %w", err)
		}
		err := t.o.await(ctx, func(done func(error)) { t.queued = append(t.queued, func() { done(nil) }) })
		if err != nil {
			return fmt.Errorf("waiting for the connection: %w", err)
		}
	}
	t.taken = true
	return nil
}

func (t *turn) Give() {
	t.taken = false
	queued := t.queued
	t.queued = nil
	for _, wake := range queued {
		wake()
	}
}

// Timing of the prober, as in failover/prober.
const (
	probeTimeout = prober.DefaultProbeTimeout
	fastPeriod   = prober.DefaultFastPeriod
	fastFor      = 300 * time.Millisecond
)

func (o *operator) tolerated() time.Duration { return max(2*o.world.cfg.period, time.Second) }

// ensure makes the pods of the cache those that are watched.
func (o *operator) ensure(pods []podView) {
	old := o.monitors
	o.monitors = make([]*monitor, 0, len(pods))
	for _, p := range pods {
		if o.world.defect.labelsTrusted && p.unlabelled {
			continue
		}
		target := prober.Target{Pod: p.name, UID: p.uid, IP: p.ip, Port: redisPort}
		if i := slices.IndexFunc(old, func(m *monitor) bool { return m.target == target }); i >= 0 {
			o.monitors = append(o.monitors, old[i])
			continue
		}
		o.monitors = append(o.monitors, o.watch(target))
	}
	for _, m := range old {
		if !slices.Contains(o.monitors, m) {
			m.end()
		}
	}
}

func (o *operator) watch(target prober.Target) *monitor {
	m := &monitor{o: o, target: target, turn: &turn{o: o}, learned: prober.Learn(target, o.now()), wakeUp: func() {}}
	dial := func(opts redisclient.Options) link.Redis {
		m.redis = &redisConn{o: o, m: m, opts: opts}
		return m.redis
	}
	m.link = link.NewWithTurn(redisclient.Options{
		Addr: target.IP,
		OnConnect: func() {
			if !m.ended {
				m.learned.Connected(o.now())
			}
		},
		OnEOF:  func(error) { m.onEOF() },
		Dialer: func(context.Context, string, string) (net.Conn, error) { return nil, nil },
	}, dial, m.turn)
	if target.IP != "" {
		o.spawn(m.run)
	}
	return m
}

func (m *monitor) end() {
	m.ended = true
	m.redis.Close()
	m.wakeUp()
	for _, w := range m.waiters {
		w()
	}
	m.waiters = nil
}

// run is prober.pod.run.
func (m *monitor) run(t *task) {
	for !m.ended {
		waiters := m.waiters
		m.waiters, m.poked = nil, false
		m.due = m.o.now().Add(probeTimeout)
		m.probe()
		for _, w := range waiters {
			w()
		}
		m.noteGap()
		m.rest(t)
	}
}

func (m *monitor) probe() {
	o := m.o
	ctx, cancel := runtime{o}.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	began := o.now()
	probe := m.learned.Begin(began)
	info, err := m.link.Info(ctx)
	ended := o.now()
	if m.ended {
		return
	}
	if errors.Is(err, context.DeadlineExceeded) && ended.Sub(began) > probeTimeout+o.tolerated() {
		return
	}
	change := m.learned.End(probe, ended, info, err)
	switch fast := ended.Before(o.fastTill); {
	case !change.Hurries:
	case change.Urgent || !fast:
		o.hurry()
	default:
		o.fastTill = ended.Add(fastFor)
	}
	if change.Wakes {
		o.wake()
	}
}

func (o *operator) hurry() {
	o.fastSince, o.fastTill = o.now(), o.now().Add(fastFor)
	for _, m := range o.monitors {
		m.poke()
	}
}

func (m *monitor) poke() {
	m.poked = true
	m.wakeUp()
}

func (m *monitor) onEOF() {
	m.o.do(func() {
		if !m.ended {
			m.learned.EOF(m.o.now())
			m.o.hurry()
		}
	})
}

func (m *monitor) rest(t *task) {
	o := m.o
	interval := o.world.cfg.period
	if o.now().Before(o.fastTill) {
		interval = min(max(o.now().Sub(o.fastSince), fastPeriod/8), fastPeriod)
	}
	m.due = o.now().Add(interval)
	if !m.poked && !m.ended {
		m.wakeUp = t.waker()
		o.world.after(o.real(interval), m.wakeUp)
		t.park()
	}
	m.noteGap()
}

// toldOfExit is when this operator was told that the container has ended; zero: it runs.
func (m *monitor) toldOfExit(exited bool) time.Time {
	switch {
	case !exited:
		m.exitedAt = time.Time{}
	case m.exitedAt.IsZero():
		m.exitedAt = m.o.now()
	}
	return m.exitedAt
}

// noteGap is the prober's watchdog: in this world a process is paused as a whole.
func (m *monitor) noteGap() {
	o := m.o
	now := o.now()
	if m.due.IsZero() || now.Sub(m.due) <= o.tolerated() {
		return
	}
	m.due = time.Time{}
	if !o.voided.IsZero() && now.Sub(o.voided) < o.world.cfg.period {
		return
	}
	o.voided = now
	for _, each := range o.monitors {
		each.learned.VoidSilence(now)
	}
}

// probes is the prober as the executor knows it.
type probes struct{ o *operator }

func (e probes) monitor(uid string) *monitor {
	for _, m := range e.o.monitors {
		if m.target.UID == uid {
			return m
		}
	}
	return nil
}

func (e probes) Link(_, uid string) (*link.Link, bool) {
	if m := e.monitor(uid); m != nil && m.target.IP != "" {
		return m.link, true
	}
	return nil, false
}

func (e probes) MarkStale(_, uid string) {
	if m := e.monitor(uid); m != nil {
		m.learned.MarkStale(e.o.now())
	}
}

func (e probes) MarkClientsCut(_, uid string, writersOnly bool, killed int) {
	if m := e.monitor(uid); m != nil {
		m.learned.MarkClientsCut(e.o.now(), writersOnly, killed)
	}
}

func (e probes) Refresh(ctx context.Context, _ string, uids ...string) {
	var pending []*bool
	o := e.o
	for _, m := range o.monitors {
		if m.ended || m.target.IP == "" || !slices.Contains(uids, m.target.UID) {
			continue
		}
		done := new(bool)
		pending = append(pending, done)
		m.waiters = append(m.waiters, func() { *done = true })
		m.poke()
	}
	for _, done := range pending {
		for !*done && ctx.Err() == nil {
			t := o.world.current
			t.sleep(200 * time.Microsecond)
		}
	}
}

// observe is what the prober and the cache know (controllers/failover_observe.go).
func (o *operator) observe() failover.Observation {
	obs := failover.Observation{Published: o.cache.published}
	if o.own.slice > o.cache.slice {
		obs.Published = o.own.published
	}
	obs.PublishedSince = o.publishing.Seen(o.now(), obs.Published)
	for _, m := range o.monitors {
		m.noteGap()
	}
	p := o.progress()
	holds := o.cache.policy.Persistent && p.Initialized
	present := map[int]bool{}
	for _, v := range o.pods(p) {
		if o.world.defect.labelsTrusted && v.unlabelled {
			continue
		}
		n := o.learned(v)
		n.Name, n.UID, n.IP, n.Ordinal = v.name, v.uid, v.ip, v.ordinal
		n.Ready, n.Terminating, n.Outdated, n.Cordoned = v.ready, v.terminating, v.outdated, v.cordoned
		n.NodeGone, n.Exited, n.RoleLabel, n.MayHoldData = v.nodeGone, v.exited, v.label, holds
		n.Machine = v.machine
		if own := o.own.labels[v.uid]; own.version > o.cache.version {
			n.RoleLabel = own.role
		}
		present[v.ordinal] = true
		obs.Nodes = append(obs.Nodes, n)
	}
	obs.Departed = o.departures.Seen(o.now(), obs.Nodes)
	for ordinal := range max(o.cache.policy.Replicas, o.cache.wanted) {
		if !present[ordinal] {
			obs.Absent = append(obs.Absent, failover.AbsentNode{Name: fmt.Sprintf("r-%d", ordinal), MayHoldData: holds})
		}
	}
	return obs
}

// learned is what the prober knows of a pod.
func (o *operator) learned(v podView) failover.Node {
	m := (probes{o}).monitor(v.uid)
	if m == nil {
		return failover.Node{}
	}
	n := m.learned.Node()
	n.ExitedAt = m.toldOfExit(v.exited)
	return n
}

// pods are those of the cache, and those that the progress names, as they are: who is not in the cache is looked up
// (controllers/failover_pods.go).
func (o *operator) pods(p *failover.Progress) []podView {
	pods := slices.Clone(o.cache.pods)
	for _, live := range o.world.api.now.pods {
		named := slices.ContainsFunc(p.Nodes, func(k failover.NodeRecord) bool { return k.UID == live.uid }) ||
			p.Master != nil && p.Master.UID == live.uid
		if !named || slices.ContainsFunc(pods, func(v podView) bool { return v.uid == live.uid }) {
			continue
		}
		pods = slices.DeleteFunc(pods, func(v podView) bool { return v.name == live.name })
		pods = append(pods, live)
	}
	slices.SortFunc(pods, func(a, b podView) int { return a.ordinal - b.ordinal })
	return pods
}

// progress is the newest progress known: the cache's, or what was written since.
func (o *operator) progress() *failover.Progress {
	if o.own.progress != nil && o.own.swaps > o.cache.swaps {
		return o.own.progress
	}
	return o.cache.progress
}

func (o *operator) swaps() int64 { return max(o.cache.swaps, o.own.swaps) }
