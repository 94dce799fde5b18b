// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Dialer opens connections, from wherever the client is supposed to be.
type Dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// errUnreplicated: the master took the write, and too few replicas confirmed it in time. Nothing is promised about it.
var errUnreplicated = errors.New("too few replicas confirmed the write")

// errLeft ends the connection of a client that was told that the master is somewhere else.
var errLeft = errors.New("the master has moved")

// writer has one connection and one write outstanding at most.
type writer struct {
	id      int
	options Options
	run     string
	ledger  *ledger
	number  int64
}

func (w *writer) loop(ctx context.Context) {
	for ctx.Err() == nil {
		if err := w.connection(ctx); err != nil && ctx.Err() == nil {
			w.ledger.fail(err)
			sleep(ctx, w.options.Redial)
		}
	}
}

// connection writes over one connection until an error ends it.
func (w *writer) connection(ctx context.Context) error {
	place, err := w.find(ctx)
	if err != nil {
		return err
	}
	conn := &leash{dial: w.options.Dial}
	client := redis.NewClient(w.options.client(place.Addr, conn.open))
	defer client.Close()
	if place.Left != nil {
		done := make(chan struct{})
		defer close(done)
		go func() {
			select {
			case <-place.Left:
				conn.cut()
			case <-done:
			}
		}()
	}
	for next := time.Now(); ctx.Err() == nil; {
		if err := w.write(ctx, client); err != nil {
			if conn.isCut() {
				return errLeft
			}
			return err
		}
		next = next.Add(w.options.Interval)
		if late := time.Until(next); late < -w.options.Interval {
			next = time.Now() // a machine that could not keep up owes nothing
		}
		sleep(ctx, time.Until(next))
	}
	return nil
}

func (w *writer) find(ctx context.Context) (Place, error) {
	ctx, cancel := context.WithTimeout(ctx, w.options.Timeout)
	defer cancel()
	return w.options.Finder.Find(ctx)
}

func (w *writer) write(ctx context.Context, client *redis.Client) error {
	ctx, cancel := context.WithTimeout(ctx, w.options.Timeout)
	defer cancel()
	w.number++
	if err := w.set(ctx, client, w.options.key(w.id, w.number)); err != nil {
		return err
	}
	w.ledger.ack(w.id, w.number)
	return nil
}

// set returns nil when the write is acknowledged: by the master, and by as many replicas as Options.Wait asks for. Both
// commands go out together: WAIT speaks of the writes of its own connection, so one that was sent by itself might find
// a new connection, on which nothing was written, and be told at once that all is well.
func (w *writer) set(ctx context.Context, client *redis.Client, key string) error {
	if w.options.Wait == 0 {
		return client.Set(ctx, key, w.run, 0).Err()
	}
	pipe := client.Pipeline()
	set := pipe.Set(ctx, key, w.run, 0)
	patience := w.options.Timeout * 4 / 5 // less than the deadline, so that the answer is heard
	wait := pipe.Do(ctx, "WAIT", w.options.Wait, patience.Milliseconds())
	_, _ = pipe.Exec(ctx) // each command has its own error
	if err := set.Err(); err != nil {
		return err
	}
	confirmed, err := wait.Int()
	if err == nil && confirmed < w.options.Wait {
		err = fmt.Errorf("%w: %d of %d", errUnreplicated, confirmed, w.options.Wait)
	}
	return err
}

// leash cuts a connection off a go-redis client, which itself obeys deadlines only. It is good for one client.
type leash struct {
	dial Dialer
	mu   sync.Mutex
	conn net.Conn
	gone bool
}

func (l *leash) open(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := l.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return nil, errors.Join(errLeft, conn.Close())
	}
	l.conn = conn
	return conn, nil
}

func (l *leash) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

func (l *leash) isCut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gone
}

// clientOptions are those of a client that tries once: whoever measures must know of every failure.
func clientOptions(addr string, timeout time.Duration, dial Dialer) *redis.Options {
	return &redis.Options{
		Addr:                     addr,
		Dialer:                   dial,
		DialTimeout:              timeout,
		ReadTimeout:              timeout,
		WriteTimeout:             timeout,
		ContextTimeoutEnabled:    true,
		MaxRetries:               -1,
		DialerRetries:            1,
		PoolSize:                 1,
		PipelinePoolSize:         -1,
		ConnMaxIdleTime:          -1,
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
