// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Leader asks for the process of a leader; [Peer] is one.
type Leader interface {
	Ask(ctx context.Context, identity string) (Answer, Connection)
}

// Witnesses are the Redis nodes.
type Witnesses interface {
	// Count asks the nodes, in a bounded time. An error means that it is not known which nodes there are.
	Count(ctx context.Context) (Census, error)
}

// Pods knows the pods of operators.
type Pods interface {
	// Watch looks the pod of that name up and returns a function that reports that this very pod is gone or has ended, by
	// the API server's word of now. It returns nil if there is no such pod.
	Watch(ctx context.Context, name string) func(context.Context) bool
}

// Records reads the Lease.
type Records interface {
	// Read returns who holds the lease, and what tells this renewal from every other, as the API server has it now.
	Read(ctx context.Context) (holder, renewal string, err error)
}

// How often a standby asks again that has no answer, or no proof: the first gaps are short, since the kernels of the
// Redis nodes take a moment to tell that a process has ended.
const (
	firstPause = 25 * time.Millisecond
	mostPause  = 2 * time.Second
	askAPI     = time.Second // bounds each question to the API server
)

var errOtherHolder = errors.New("another process holds the lease by now")

// Succession watches whoever holds the lease, for a standby.
type Succession struct {
	// Self is this process's identity.
	Self      string
	Leader    Leader
	Witnesses Witnesses
	Pods      Pods
	Records   Records
	Clock     clock.Clock
	// Hurry is called when the Lease is worth a look at once: the leader's connection ended, so it may have let the lease
	// go; or it is proven dead.
	Hurry func()
	// Told, if set, is called for a log with what was found out about a leader that seems to be gone, how long after the
	// end of its connection, and why it is not more.
	Told func(holder string, e Evidence, after time.Duration, err error)

	mu      sync.Mutex
	holder  string
	renewal string // the last one of a holder that is proven dead; empty when it is not
	changed chan struct{}
}

// Saw tells who holds the lease; empty if none does.
func (s *Succession) Saw(holder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if holder == s.holder {
		return
	}
	s.holder, s.renewal = holder, ""
	select {
	case s.changes() <- struct{}{}:
	default:
	}
}

// Dead reports that this renewal of the lease was the last one when its holder was found dead. A holder that has
// renewed it since is not.
func (s *Succession) Dead(renewal string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return renewal != "" && s.renewal == renewal
}

// changes is the channel that tells of another holder. The caller holds mu.
func (s *Succession) changes() chan struct{} {
	if s.changed == nil {
		s.changed = make(chan struct{}, 1)
	}
	return s.changed
}

// Start watches until ctx ends.
func (s *Succession) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		s.mu.Lock()
		holder, changed := s.holder, s.changes()
		s.mu.Unlock()
		watching, cancel := context.WithCancel(ctx)
		var done sync.WaitGroup
		if holder != "" && holder != s.Self {
			done.Go(func() { s.watch(watching, holder) })
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
		cancel()
		done.Wait()
	}
	return nil
}

// NeedLeaderElection tells the manager that standbys need it.
func (s *Succession) NeedLeaderElection() bool { return false }

// watch follows one holder of the lease until ctx ends.
func (s *Succession) watch(ctx context.Context, holder string) {
	gone := s.pod(ctx, holder)
	ended, since := false, s.Clock.Now()
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, mostPause) {
		answer, conn := Silent, Connection(nil)
		if Address(holder) != "" {
			answer, conn = s.Leader.Ask(ctx, holder)
		}
		if answer == Alive {
			s.conclude(holder, "")
			began := s.Clock.Now()
			if !s.outlives(ctx, conn) {
				return
			}
			ended, since = true, s.Clock.Now()
			s.Hurry()
			if since.Sub(began) >= mostPause { // one that ends again and again is not worth more than silence
				pause = firstPause
				continue
			}
		} else {
			e := Evidence{Ended: ended, Answer: answer}
			e.PodGone = !e.Suspect() && gone(ctx)
			s.judge(ctx, holder, e, since)
		}
		select {
		case <-ctx.Done():
		case <-s.Clock.After(pause):
		}
	}
}

// pod is Pods.Watch, with a bound; a pod that is not known is never gone.
func (s *Succession) pod(ctx context.Context, holder string) func(context.Context) bool {
	bounded, cancel := context.WithTimeout(ctx, askAPI)
	defer cancel()
	gone := s.Pods.Watch(bounded, Host(holder))
	return func(ctx context.Context) bool {
		if gone == nil {
			return false
		}
		ctx, cancel := context.WithTimeout(ctx, askAPI)
		defer cancel()
		return gone(ctx)
	}
}

// outlives waits for the end of the leader's connection. It returns false when ctx ends first.
func (s *Succession) outlives(ctx context.Context, conn Connection) bool {
	defer conn.Close()
	select {
	case <-ctx.Done():
		return false
	case <-conn.Ended():
		return ctx.Err() == nil
	}
}

// judge asks the Redis nodes about a process that seems to be gone. The Lease is read before they are: a leader that
// renews it later than that is alive, whatever they say.
func (s *Succession) judge(ctx context.Context, holder string, e Evidence, since time.Time) {
	if !e.Suspect() {
		s.conclude(holder, "")
		return
	}
	renewal, err := s.read(ctx, holder)
	if err == nil {
		e.Census, err = s.Witnesses.Count(ctx)
	}
	if err != nil || !e.Dead() {
		renewal = ""
	}
	s.conclude(holder, renewal)
	if s.Told != nil && ctx.Err() == nil {
		s.Told(holder, e, s.Clock.Since(since), err)
	}
	if renewal != "" {
		s.Hurry()
	}
}

// read is Records.Read, with a bound. A Lease that another process holds by now is looked at by the election, at once.
func (s *Succession) read(ctx context.Context, holder string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askAPI)
	defer cancel()
	now, renewal, err := s.Records.Read(ctx)
	if err == nil && now != holder {
		s.Hurry()
		err = errOtherHolder
	}
	return renewal, err
}

// conclude remembers, or forgets, the proof.
func (s *Succession) conclude(holder, renewal string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holder == holder {
		s.renewal = renewal
	}
}
