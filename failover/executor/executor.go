// SPDX-License-Identifier: Apache-2.0

// Package executor writes for the failover core: it carries out Actions on Redis and, through Cluster, on
// Kubernetes. It decides nothing and believes no reply: whether an action worked is told by the next observation.
//
// Every change is made under a lease that outlasts it, bounded in time, on the one Redis process it was meant for.
package executor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
)

// ErrLeaseTooShort means that the operator's lease might end before the change would. Nothing was sent.
var ErrLeaseTooShort = errors.New("the lease may end before the change would")

// ErrNoLink means that the prober has no connection to the pod: it is not watched, or has no address.
var ErrNoLink = errors.New("no connection to the pod")

// ErrUnknownAction means that the core asked for something that this package does not know.
var ErrUnknownAction = errors.New("unknown action")

// Links leads to the pods' Redis, and is told what is done to them. The prober is one.
type Links interface {
	Link(key, uid string) (*link.Link, bool)
	MarkStale(key, uid string)
	MarkClientsCut(key, uid string, writersOnly bool, killed int)
	Refresh(ctx context.Context, key string, uids ...string)
}

// Cluster makes the changes that concern Kubernetes. Each is idempotent.
type Cluster interface {
	Publish(ctx context.Context, key string, a failover.Publish) error
	Withdraw(ctx context.Context, key string, a failover.Withdraw) error
	Label(ctx context.Context, key string, a failover.Label) error
	DeletePod(ctx context.Context, key string, a failover.DeletePod) error
	AcknowledgeRequest(ctx context.Context, key string, a failover.AcknowledgeRequest) error
}

// Lease is the operator's right to act.
type Lease interface {
	// Left returns for how long no other can hold the lease, on the monotonic clock; nothing or less when it is lost.
	Left() time.Duration
}

// Defaults of [Options].
const (
	DefaultTimeout       = time.Second
	DefaultRefreshWithin = 150 * time.Millisecond
	DefaultQuietenPause  = 5 * time.Second
)

// Options tune an Executor. The zero value is usable.
type Options struct {
	// Timeout bounds every single change, waiting for the connection included; a second at most.
	Timeout time.Duration
	// RefreshWithin bounds how long Execute waits for fresh samples of what it changed.
	RefreshWithin time.Duration
	// QuietenPause is for how long the writes of a master that is being replaced are held back. It is longer than a
	// failover takes, so that its clients hear nothing until they are disconnected, and ends by itself, so that a
	// master that was paused and then not fenced serves again, whoever has died.
	QuietenPause time.Duration
	// Runtime is the time that passes and the goroutines that run; real unless a simulation sets it.
	Runtime Runtime
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 || o.Timeout > DefaultTimeout {
		o.Timeout = DefaultTimeout
	}
	if o.RefreshWithin <= 0 {
		o.RefreshWithin = DefaultRefreshWithin
	}
	if o.QuietenPause <= 0 {
		o.QuietenPause = DefaultQuietenPause
	}
	if o.Runtime == nil {
		o.Runtime = realRuntime{}
	}
	return o
}

// Executor carries out Actions. It keeps nothing between two calls.
type Executor struct {
	links   Links
	cluster Cluster
	lease   Lease
	opts    Options
}

// New returns an Executor.
func New(links Links, cluster Cluster, lease Lease, opts Options) *Executor {
	return &Executor{links: links, cluster: cluster, lease: lease, opts: opts.withDefaults()}
}

// Result is how an action went. Err is nil if every reply was favourable; that proves nothing.
type Result struct {
	Action failover.Action
	Err    error
	Took   time.Duration
}

// Master is how a replica connects to its master.
type Master struct {
	Port int
	// CanEncrypt is whether the processes have certificates; those of a Redis without TLS do not know the setting that
	// Encrypted is of.
	CanEncrypt, Encrypted bool
}

// Execute carries out the actions, all at the same time, on the RedisHA named key, whose replicas connect like to. It
// returns a Result for each, in order, once all have ended and fresh samples of the nodes that replied were taken or
// were not to be had. An action takes a second at most, unless it says otherwise itself.
func (e *Executor) Execute(ctx context.Context, key string, to Master, actions []failover.Action) []Result {
	results := make([]Result, len(actions))
	var replied uids
	running := make([]func(), 0, len(actions))
	for i, action := range actions {
		running = append(running, func() {
			began := e.opts.Runtime.Now()
			err := guarded(func() error { return e.run(ctx, scope{key: key, master: to, replied: &replied}, action) })
			results[i] = Result{Action: action, Err: err, Took: e.opts.Runtime.Now().Sub(began)}
		})
	}
	e.opts.Runtime.Together(running)
	if nodes := replied.list(); len(nodes) > 0 {
		refresh, cancel := e.opts.Runtime.WithTimeout(ctx, e.opts.RefreshWithin)
		defer cancel()
		e.links.Refresh(refresh, key, nodes...)
	}
	return results
}

// errPanic means that carrying an action out ended in a panic; of what a pod answered, say.
var errPanic = errors.New("panic")

// guarded makes a panic an error: what one pod answers must not end the process.
func guarded(run func() error) (err error) {
	defer func() {
		if why := recover(); why != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, why, debug.Stack())
		}
	}()
	return run()
}

// scope is what the actions of one call have in common.
type scope struct {
	key     string
	master  Master
	replied *uids
}

// uids collects the pods that replied to a command.
type uids struct {
	mu  sync.Mutex
	set []string
}

func (u *uids) add(uid string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !slices.Contains(u.set, uid) {
		u.set = append(u.set, uid)
	}
}

func (u *uids) list() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.set
}

// run knows every action there is.
func (e *Executor) run(ctx context.Context, s scope, action failover.Action) error {
	switch a := action.(type) {
	case failover.Detach:
		return e.detach(ctx, s, a)
	case failover.Drain:
		return e.drain(ctx, s, a)
	case failover.Promote:
		return e.promote(ctx, s, a)
	case failover.Follow:
		return e.follow(ctx, s, a)
	case failover.CutClients:
		return e.cutClients(ctx, s, a)
	case failover.SetMinReplicas:
		return e.setMinReplicas(ctx, s, a)
	case failover.Unpause:
		return e.unpause(ctx, s, a)
	default:
		return e.runOnCluster(ctx, s.key, action)
	}
}

func (e *Executor) runOnCluster(ctx context.Context, key string, action failover.Action) error {
	ctx, cancel := e.opts.Runtime.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	if err := e.covered(ctx); err != nil {
		return err
	}
	switch a := action.(type) {
	case failover.Publish:
		return e.cluster.Publish(ctx, key, a)
	case failover.Withdraw:
		return e.cluster.Withdraw(ctx, key, a)
	case failover.Label:
		return e.cluster.Label(ctx, key, a)
	case failover.DeletePod:
		return e.cluster.DeletePod(ctx, key, a)
	case failover.AcknowledgeRequest:
		return e.cluster.AcknowledgeRequest(ctx, key, a)
	}
	return fmt.Errorf("%w: %T", ErrUnknownAction, action)
}

// covered checks that the lease outlasts ctx. It is called right before each change, not once for an action.
func (e *Executor) covered(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	deadline, bounded := ctx.Deadline()
	left := e.lease.Left()
	if need := deadline.Sub(e.opts.Runtime.Now()); !bounded || left <= need {
		return fmt.Errorf(
			"%w: %s left, %s needed", ErrLeaseTooShort, left.Round(time.Millisecond), need.Round(time.Millisecond),
		)
	}
	return nil
}
