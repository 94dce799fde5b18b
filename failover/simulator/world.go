// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
)

// config is what a schedule's seed makes of the world before anything goes wrong.
type config struct {
	pods        int
	disks       diskMode
	consistency failover.Consistency
	downAfter   time.Duration
	cooldown    time.Duration
	maxLagBytes int64

	latency, lag, laggardBy time.Duration
	laggard                 int // ordinal of a replica that lags; -1: none
	priorityZero            int // ordinal; -1: none
	preferred               int // ordinal of a pod with a better priority than the others; -1: none
	syncing, loading        time.Duration
	backlogSize             int64
	period                  time.Duration // of probes
	watchDelay, apiLatency  time.Duration
	proxyDelay, recreate    time.Duration
	think                   time.Duration
	freshIPs                bool
	rates                   [2]float64
	skews                   [2]time.Duration
	crashAfter              failover.State // an operator dies soon after it has persisted this
	machines                [maxPods]int   // by ordinal: the machine that the pod runs on
	stays                   [2]bool        // the clients stay on a connection whatever it answers
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func randomConfig(r *rand.Rand) config {
	ms := time.Millisecond
	c := config{
		pods:         pick(r, 1, 2, 2, 3, 3, 3, 3, 3, 4),
		disks:        pick(r, diskNone, diskNone, diskSnapshot, diskAppendOnly),
		consistency:  pick(r, failover.ConsistencyBounded, failover.ConsistencyBounded, failover.ConsistencyStrict),
		downAfter:    pick(r, 1000*ms, 2000*ms, 3000*ms),
		cooldown:     pick(r, time.Second, 3*time.Second),
		maxLagBytes:  pick[int64](r, 0, 1<<20, 3000),
		latency:      pick(r, 200*time.Microsecond, ms, 5*ms),
		lag:          pick(r, 2*ms, 5*ms, 50*ms),
		laggard:      -1,
		priorityZero: -1,
		preferred:    -1,
		syncing:      pick(r, 20*ms, 100*ms, 800*ms),
		loading:      pick(r, 5*ms, 50*ms, 1500*ms),
		backlogSize:  pick[int64](r, 1<<30, 1<<30, 1500),
		period:       pick(r, 200*ms, 300*ms),
		watchDelay:   pick(r, 5*ms, 20*ms, 150*ms),
		apiLatency:   pick(r, 2*ms, 10*ms, 60*ms),
		proxyDelay:   pick(r, 50*ms, 1000*ms, 2500*ms),
		recreate:     pick(r, 100*ms, 1500*ms),
		think:        pick(r, 30*ms, 60*ms, 120*ms),
		freshIPs:     r.IntN(3) > 0,
		rates:        [2]float64{1 + (r.Float64()-0.5)*0.06, 1 + (r.Float64()-0.5)*0.06},
		skews: [2]time.Duration{
			0,
			pick(r, time.Duration(r.IntN(1000)-500)*ms, time.Duration(r.IntN(1000)-500)*ms, time.Hour, -time.Hour),
		},
	}
	if r.IntN(4) == 0 {
		c.laggard, c.laggardBy = r.IntN(c.pods), pick(r, 20*ms, 200*ms, 500*ms)
	}
	if c.pods > 1 && r.IntN(8) == 0 {
		c.priorityZero = r.IntN(c.pods)
	}
	if r.IntN(4) == 0 {
		c.preferred = r.IntN(c.pods)
	}
	if r.IntN(5) == 0 {
		c.crashAfter = pick(
			r, failover.StateFencing, failover.StatePromoting, failover.StateReattaching, failover.StateSwitchingOver,
			failover.StateStable,
		)
	}
	layout := pick(
		r, [maxPods]int{0, 1, 2, 3, 4}, [maxPods]int{0, 1, 2, 3, 4}, [maxPods]int{0, 0, 1, 2, 3},
		[maxPods]int{0, 1, 0, 1, 0}, [maxPods]int{0, 1, 1, 0, 2}, [maxPods]int{},
	)
	c.machines = layout
	c.stays = [2]bool{r.IntN(4) > 0, r.IntN(2) > 0}
	return c
}

// world is everything there is.
type world struct {
	clock
	rng           *rand.Rand
	cfg           config
	net           network
	api           *api
	operators     []*operator
	pods          []*pod
	servers       []*server // that run
	foreignMaster *pod      // of another RedisHA, with the same password
	disks         map[int]*image
	usedIPs       map[string]bool
	lateTill      [maxPods]instant // by ordinal: when its volume can be attached
	wanted        int              // pods, by the StatefulSet
	clients       []*client
	writes        []*write
	quiet         bool // no more writes
	sickTill      instant
	busyTill      instant // when the last fault that has struck ends
	ids           int

	defect *defect
	checks *checks
	stats  Stats

	tracing  bool
	timeline []string
}

// Stats counts what happened in schedules.
type Stats struct {
	Schedules, Steps, Faults           int
	Decisions, Failovers, Switchovers  int // failovers and switchovers as they were begun
	crashes, takeovers, heirs          int // of operators; heirs took the lease of one that was proven dead
	acked, lostPlain, forced, discards int
}

func newWorld(seed uint64, cfg config, d *defect, tracing bool) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 0x5EED)), cfg: cfg, disks: map[int]*image{}, usedIPs: map[string]bool{},
		wanted: cfg.pods, defect: d, tracing: tracing,
	}
	w.overrun = func() { w.checks.fail("convergence", "something runs in circles") }
	w.checks = &checks{
		w:            w,
		intended:     map[int64]failover.NodeRef{},
		chosen:       map[int64]failover.NodeRef{},
		forgotten:    map[int64]bool{},
		knownForeign: map[int]bool{},
	}
	w.api = &api{w: w}
	w.api.now = objects{
		progress: &failover.Progress{State: failover.StateBootstrapping},
		wanted:   cfg.pods,
		policy: failover.Policy{
			Mode: failover.ModeAutomatic, DownAfter: cfg.downAfter, Cooldown: cfg.cooldown, MaxLagBytes: cfg.maxLagBytes,
			Consistency: cfg.consistency, Replicas: cfg.pods, Persistent: cfg.disks != diskNone, Port: redisPort,
		},
	}
	for i, name := range []string{"operator A", "operator B"} {
		w.operators = append(
			w.operators, &operator{world: w, name: name, party: operatorA + party(i), rate: cfg.rates[i], skew: cfg.skews[i]},
		)
	}
	for _, o := range w.operators {
		o.start()
	}
	for ordinal := range cfg.pods {
		w.createPod(ordinal)
	}
	w.createForeignMaster()
	for i := range 2 {
		w.clients = append(w.clients, &client{w: w, wait: i == 1, stays: cfg.stays[i]})
	}
	for _, c := range w.clients {
		c.start()
	}
	return w
}

// between returns a duration in [least, most).
func (w *world) between(least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(w.rng.Int64N(int64(most-least)))
}

func (w *world) id(kind string) string {
	w.ids++
	return kind + "-" + itoa(w.ids)
}

func itoa(n int) string {
	var digits [20]byte
	i := len(digits)
	for {
		i--
		digits[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return string(digits[i:])
		}
	}
}

// note writes a line of the timeline, if it is going to be read.
func (w *world) note(format string, args ...any) {
	if w.tracing {
		w.timeline = append(w.timeline, fmt.Sprintf("%10.3fs  %s", w.now.Seconds(), fmt.Sprintf(format, args...)))
	}
}

// master is the pod that the world takes for the master: the one that is published.
func (w *world) master() *pod {
	for _, p := range w.pods {
		if p.uid == w.api.now.published.UID {
			return p
		}
	}
	return nil
}

// settled says what is missing from a healthy, published, fully attached set; empty if nothing is.
func (w *world) settled() string {
	if slices.ContainsFunc(w.pods, (*pod).leftToAPerson) {
		return w.missingWhileAPersonDecides()
	}
	for _, look := range []func() string{w.missingInStatus, w.missingInMaster} {
		if missing := look(); missing != "" {
			return missing
		}
	}
	for _, p := range w.pods {
		if missing := p.missing(); missing != "" {
			return missing
		}
	}
	return ""
}

// missingWhileAPersonDecides says what a set lacks that waits for a person: it has to have a published master all the
// same.
func (w *world) missingWhileAPersonDecides() string {
	if m := w.master(); m == nil || m.server == nil || m.server.role != failover.RoleMaster {
		return "the Service leads to " + orNone(w.api.now.published.Pod) + ", which is no master"
	}
	return ""
}

func (w *world) missingInStatus() string {
	p := w.api.now.progress
	switch {
	case p.State != failover.StateStable:
		return fmt.Sprintf("state %s (%s: %s)", p.State, p.Reason, p.Message)
	case w.api.now.request != nil:
		return "a request is not acknowledged"
	case len(w.pods) != w.wanted || w.wanted != w.api.now.policy.Replicas:
		return fmt.Sprintf("%d pods instead of %d", len(w.pods), w.wanted)
	}
	return ""
}

func (w *world) missingInMaster() string {
	p, m := w.api.now.progress, w.master()
	if p.Master == nil || m == nil || m.server == nil || !m.server.isNode(p.Master.NodeRef) {
		return "the Service leads to " + orNone(w.api.now.published.Pod) + ", which is not the master's process"
	}
	switch s := m.server; {
	case s.role != failover.RoleMaster:
		return m.name + " is published and no master"
	case w.wanted > 1 && s.minReplicas != w.fittingGuard(m):
		return "min-replicas-to-write is " + itoa(s.minReplicas)
	case s.paused():
		return m.name + " holds writes back"
	}
	return ""
}

func (s *server) isNode(ref failover.NodeRef) bool {
	return s.pod.uid == ref.UID && s.runID == ref.RunID
}

// missing says what a pod lacks in a set whose master is as it should be.
func (p *pod) missing() string {
	s, m := p.server, p.w.master()
	role := failover.RoleReplica
	if p == m {
		role = failover.RoleMaster
	}
	switch {
	case p.terminating || s == nil || s.loading():
		return p.name + " does not run"
	case p != m && !s.attachedTo(m):
		return p.name + " is not attached"
	case p.label != role:
		return p.name + " is labelled " + string(p.label)
	}
	return ""
}

// leftToAPerson reports a pod that found data on its volume, in a set whose status was set back to a time before that
// pod was first seen. Only the status knew that the data are the set's own, where the disk knows no lineage, or the
// master has lost its own.
func (p *pod) leftToAPerson() bool {
	w := p.w
	return w.checks.setBack && slices.Contains(w.api.now.progress.UnheardPods, p.name)
}

// attachedTo reports a replica that is in sync with a pod's process.
func (s *server) attachedTo(m *pod) bool {
	return s.role == failover.RoleReplica && s.masterIP == m.ip && s.linked() && !s.syncing
}
