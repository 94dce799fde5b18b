// SPDX-License-Identifier: Apache-2.0

// Package link is the way from RedisHA to the Redis of one pod: one connection, shared by the prober, who reads, and
// the executor, who changes. It sees to it that an order reaches the process it was meant for, or none.
package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/redisha/redisha/redisclient"
)

// ErrOtherIncarnation means that another process answers at the pod's address than the one an order was meant for.
// Nothing was sent to it.
var ErrOtherIncarnation = errors.New("another Redis process runs in this pod by now")

// ErrConnectionLost means that the connection ended before the order was sent. Who listens there now is not known, so
// nothing was sent.
var ErrConnectionLost = errors.New("the connection ended before the order was sent")

// Redis is what a Link says to a Redis process; [redisclient.Client] documents each method.
type Redis interface {
	Info(ctx context.Context) (redisclient.Info, error)
	ReplicaOf(ctx context.Context, host string, port int) error
	Promote(ctx context.Context) error
	PauseWrites(ctx context.Context, d time.Duration) error
	PauseAndInfo(ctx context.Context, d time.Duration) (redisclient.Info, error)
	UnpauseWrites(ctx context.Context) error
	KillClients(ctx context.Context) (int, error)
	KillWriters(ctx context.Context) (int, error)
	KillOperatorConnections(ctx context.Context, namePrefix string) (int, error)
	SetMinReplicas(ctx context.Context, n int, maxLag time.Duration) error
	Encrypt(ctx context.Context, e redisclient.Encryption) (ended int, err error)
	SetReplicationTLS(ctx context.Context, is bool) error
	SetUsers(ctx context.Context, u redisclient.Users) (fingerprint string, err error)
	Users(ctx context.Context) (fingerprint string, err error)
	TryUsers(ctx context.Context, users []redisclient.User) ([]redisclient.RefusedUser, error)
	SetSettings(ctx context.Context, want []redisclient.Setting) (redisclient.ToldSettings, error)
	TryConfig(ctx context.Context, settings []redisclient.Setting) ([]redisclient.RefusedSetting, error)
	Close()
}

// Dial makes the client of a Link. It opens no connection.
type Dial func(redisclient.Options) Redis

// Client is the Dial that speaks to a real Redis.
func Client(o redisclient.Options) Redis { return redisclient.New(o) }

// Link leads to the Redis at one address. Its methods may be called from several goroutines; they take turns.
type Link struct {
	dial func() Redis
	turn Turn

	mu     sync.Mutex
	redis  Redis
	closed bool
	runID  string // of the process at the other end of the present connection; empty when not known
}

// New returns a Link that connects when it is first asked something.
func New(o redisclient.Options, dial Dial) *Link { return NewWithTurn(o, dial, make(turn, 1)) }

// NewWithTurn is New with another way of waiting for one's turn.
func NewWithTurn(o redisclient.Options, dial Dial, turn Turn) *Link {
	l := &Link{turn: turn}
	connect := o.Dialer
	if connect == nil {
		connect = dialer(o.LocalAddr).DialContext
	}
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if ctx.Value(mayConnect{}) == nil {
			return nil, ErrConnectionLost
		}
		l.setRunID("")
		return connect(ctx, network, addr)
	}
	l.dial = func() Redis { return dial(o) }
	l.redis = l.dial()
	return l
}

// dialer keeps TCP connections alive only to tidy up those whose peer vanished without a word; the prober notices long
// before.
func dialer(localAddr string) *net.Dialer {
	d := &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 5},
	}
	if ip := net.ParseIP(localAddr); ip != nil {
		d.LocalAddr = &net.TCPAddr{IP: ip}
	}
	return d
}

// mayConnect marks a context under which a connection may be opened. Orders are given without it: a connection that a
// command opens on its way may lead to a process that was started a moment ago.
type mayConnect struct{}

// Info asks the process for its state, connecting first if need be, and again if the connection turns out to have
// ended: that it is gone does not say that the process is. The context bounds waiting for the turn too.
func (l *Link) Info(ctx context.Context) (redisclient.Info, error) {
	if err := l.turn.Take(ctx); err != nil {
		return redisclient.Info{}, err
	}
	defer l.turn.Give()
	defer l.renewOnPanic()
	return l.info(ctx)
}

func (l *Link) info(ctx context.Context) (redisclient.Info, error) {
	ctx = context.WithValue(ctx, mayConnect{}, true)
	info, err := l.client().Info(ctx)
	if redisclient.Classify(err) == redisclient.ClassRefused {
		info, err = l.client().Info(ctx)
	}
	if err == nil {
		l.setRunID(info.RunID)
	}
	return info, err
}

// Do runs an order on the connection to the process runID, and on no other: if that process is gone it fails with
// [ErrOtherIncarnation] or [ErrConnectionLost], before anything was sent. An empty runID means whoever answers.
// No other caller uses the connection meanwhile, so order should be short.
func (l *Link) Do(ctx context.Context, runID string, order func(context.Context, Redis) error) error {
	if err := l.turn.Take(ctx); err != nil {
		return err
	}
	defer l.turn.Give()
	defer l.renewOnPanic()
	if l.RunID() == "" {
		if _, err := l.info(ctx); err != nil {
			return fmt.Errorf("asking who is there: %w", err)
		}
	}
	if known := l.RunID(); runID != "" && known != runID {
		return fmt.Errorf("%w: %s instead of %s", ErrOtherIncarnation, known, runID)
	}
	return order(ctx, l.client())
}

// RunID names the process that was last heard on the present connection; empty when there is none.
func (l *Link) RunID() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.runID
}

// Close ends the connection and fails calls in flight.
func (l *Link) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.client().Close()
}

func (l *Link) client() Redis {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.redis
}

// renewOnPanic is deferred by whoever has the turn. What made the client panic has left it in an unknown state, and its
// connection with half an answer: the next call gets another one. The panic goes on.
func (l *Link) renewOnPanic() {
	why := recover()
	if why == nil {
		return
	}
	l.mu.Lock()
	old := l.redis
	if !l.closed {
		l.redis = l.dial()
	}
	l.runID = ""
	l.mu.Unlock()
	old.Close()
	panic(why)
}

func (l *Link) setRunID(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runID = id
}

// Turn lets one user of a Link at a time through.
type Turn interface {
	// Take waits until no other has the turn, or until ctx ends, whose error it returns then.
	Take(ctx context.Context) error
	// Give passes the turn on.
	Give()
}

// turn is a Turn for goroutines: who has put a value into it has the turn.
type turn chan struct{}

func (t turn) Take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the connection: %w", ctx.Err())
	}
}

func (t turn) Give() { <-t }
