// SPDX-License-Identifier: Apache-2.0

// Package prober reads for the failover core: it holds one connection to every Redis pod, asks each how it is,
// notices the end of a process when it happens, and keeps what is known as facts with ages. It has no opinion.
package prober

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
	"github.com/redisha/redisha/redisclient"
)

// Target is a pod to be watched. A pod without an IP is known, but not probed yet.
type Target struct {
	Pod, UID, IP string
	Port         int
	// ServerName is the name that the certificate of its Redis is for; without one it is talked to in clear.
	ServerName string
}

// Credentials are asked for at each connection.
type Credentials struct {
	// Shown are those in force, and then what is tried in turn where a Redis refuses them; none when nil.
	Shown func() []redisclient.Credentials
	// TLS verifies a Redis, but for the name, and has our certificate; nil while none is known. It is asked for targets
	// with a ServerName only, and nothing is sent to them before it is known.
	TLS func() *tls.Config
}

// Prober watches the pods of all RedisHA of this process. A RedisHA is named by its key, "namespace/name".
type Prober struct {
	opts   Options
	ctx    context.Context
	cancel context.CancelFunc
	loops  sync.WaitGroup

	mu      sync.Mutex
	watches map[string]*watch
	closed  bool

	dog *watchdog
}

// New returns a Prober that watches nothing yet. It must be closed.
func New(opts Options) *Prober {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Prober{opts: opts.withDefaults(), ctx: ctx, cancel: cancel, watches: map[string]*watch{}}
	p.dog = newWatchdog(p.opts, p.voidSilence)
	p.loops.Go(func() { p.dog.run(ctx) })
	return p
}

// Ensure makes targets the pods that are watched for key, in this order. Pods that are watched already go on
// undisturbed; one of which anything is another than before is a new pod.
func (p *Prober) Ensure(key string, targets []Target, credentials Credentials) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	w := p.watches[key]
	if w == nil {
		w = &watch{key: key, opts: p.opts}
		p.watches[key] = w
	}
	for _, started := range w.ensure(targets, credentials, p.newPod) {
		p.loops.Go(started.run)
	}
}

// newPod makes the pod of a target, with its link but not yet with its loop.
func (p *Prober) newPod(w *watch, t Target) *pod {
	ctx, cancel := context.WithCancel(p.ctx)
	q := &pod{
		target: t, watch: w, opts: p.opts, dog: p.dog,
		ctx: ctx, cancel: cancel, trigger: make(chan struct{}, 1),
		state: newState(t, p.opts.Clock.Now()),
	}
	q.link = link.New(redisclient.Options{
		Addr:        net.JoinHostPort(t.IP, strconv.Itoa(t.Port)),
		Credentials: w.shown,
		TLS:         w.encryptionFor(t.ServerName),
		DialTimeout: p.opts.ProbeTimeout,
		Name:        p.opts.Name,
		OnConnect:   q.onConnect,
		OnEOF:       q.onEOF,
	}, p.opts.Dial)
	return q
}

// Remove stops watching all pods of key.
func (p *Prober) Remove(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.watches[key]; w != nil {
		w.ensure(nil, Credentials{}, nil)
		delete(p.watches, key)
	}
}

// Observe returns what is known of the pods of key, in the order of Ensure. Only what Redis says is filled in.
func (p *Prober) Observe(key string) []failover.Node {
	pods := p.pods(key)
	for _, q := range pods {
		q.noteGap()
	}
	nodes := make([]failover.Node, 0, len(pods))
	for _, q := range pods {
		nodes = append(nodes, q.look())
	}
	return nodes
}

// Refresh probes pods, named by UID, at once, and returns when each was probed by a probe that began after the call,
// or when ctx ends. Without UIDs it refreshes every pod that answers.
func (p *Prober) Refresh(ctx context.Context, key string, uids ...string) {
	var pending []<-chan struct{}
	for _, q := range p.pods(key) {
		if q.isWanted(uids) {
			pending = append(pending, q.request())
		}
	}
	for _, done := range pending {
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
	}
}

// MarkStale says that a command is sent, or was sent, to a pod that may change it. Its sample is stale until a probe
// that began after this call was answered.
func (p *Prober) MarkStale(key, uid string) {
	if q := p.pod(key, uid); q != nil {
		q.update(func(s *state) { s.markStale(q.opts.Clock.Now()) })
	}
}

// MarkClientsCut says that the clients of a pod, or those of them that write, were disconnected, and how many there
// were.
func (p *Prober) MarkClientsCut(key, uid string, writersOnly bool, killed int) {
	if q := p.pod(key, uid); q != nil {
		q.update(func(s *state) { s.markClientsCut(q.opts.Clock.Now(), writersOnly, killed) })
	}
}

// Link returns the connection that a pod is probed over, if the pod is watched and has an address.
func (p *Prober) Link(key, uid string) (*link.Link, bool) {
	if q := p.pod(key, uid); q != nil && q.target.IP != "" {
		return q.link, true
	}
	return nil, false
}

// Close stops all watching and returns when no goroutine of the Prober runs any more.
func (p *Prober) Close() {
	p.mu.Lock()
	p.closed = true
	p.watches = map[string]*watch{}
	p.mu.Unlock()
	p.cancel()
	p.loops.Wait()
}

// voidSilence starts all silences anew: whoever was not asked in time cannot be blamed for not having answered.
func (p *Prober) voidSilence(now time.Time) {
	p.mu.Lock()
	watches := make([]*watch, 0, len(p.watches))
	for _, w := range p.watches {
		watches = append(watches, w)
	}
	p.mu.Unlock()
	for _, w := range watches {
		for _, q := range w.list() {
			q.void(now)
		}
	}
}

func (p *Prober) pods(key string) []*pod {
	p.mu.Lock()
	w := p.watches[key]
	p.mu.Unlock()
	if w == nil {
		return nil
	}
	return w.list()
}

func (p *Prober) pod(key, uid string) *pod {
	for _, q := range p.pods(key) {
		if q.target.UID == uid {
			return q
		}
	}
	return nil
}
