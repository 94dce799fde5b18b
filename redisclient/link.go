// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// reviveWithin bounds how long the reply to the mark is waited for that ends a late reply.
const reviveWithin = 100 * time.Millisecond

// redialAfter is how long after a question the connection on which its reply is overdue is kept as the only witness
// before another one is opened: one slow answer must not cost the connection of a Redis that may let no other one in
// (maxclients). A hung process completes every TCP handshake without reading a byte, so dialling at each probe would
// fill its accept queue and shut out its clients once it wakes.
const redialAfter = time.Second

var errSpent = errors.New("connection was given up")

// link is one TCP connection and the go-redis client that speaks over it. A go-redis pool would dial behind our back,
// repeat an old dial error for up to a second after the server is back, and retry; so the pool here has one
// connection, is handed it ready-made, and is thrown away with it.
type link struct {
	conn     *watchedConn
	secured  bool // by TLS
	shown    Credentials
	rdb      *redis.Client
	handed   atomic.Bool // go-redis took the connection
	released atomic.Bool // go-redis gave it up: never to be used for a command again
	proven   atomic.Bool // it is worth reporting when this connection ends
	reported atomic.Bool

	// What follows belongs to whoever holds the Client's turn.
	asked time.Time // when the last exchange was begun
	stale bool      // a reply is overdue
	heard uint64    // bytes received when it became stale
}

// handle is what go-redis sees of the connection.
type handle struct {
	*watchedConn
	released *atomic.Bool
}

func (h handle) Close() error {
	h.released.Store(true)
	return nil
}

func openLink(ctx context.Context, o Options, shown Credentials) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, o.DialTimeout)
	defer cancel()
	conn, err := o.Dialer(ctx, "tcp", o.Addr)
	if err != nil {
		return nil, err
	}
	o.OnConnect()
	if o.TLS != nil {
		if conn, err = handshake(ctx, conn, o); err != nil {
			return nil, err
		}
	}
	l := &link{secured: o.TLS != nil, shown: shown}
	l.conn = watch(conn, func(err error) { l.report(err, o.OnEOF) })
	l.rdb = redis.NewClient(l.options(o))
	return l, nil
}

func handshake(ctx context.Context, conn net.Conn, o Options) (net.Conn, error) {
	config := o.TLS()
	if config == nil {
		return nil, errors.Join(ErrNoCertificate, conn.Close())
	}
	config = config.Clone()
	if config.ServerName == "" && !config.InsecureSkipVerify {
		host, _, err := net.SplitHostPort(o.Addr)
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		config.ServerName = host
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secured, nil
}

func (l *link) options(o Options) *redis.Options {
	return &redis.Options{
		Addr:                  o.Addr,
		ClientName:            o.Name,
		Protocol:              2,
		CredentialsProvider:   func() (string, string) { return l.shown.User, l.shown.Password },
		ContextTimeoutEnabled: true,
		ReadTimeout:           o.Timeout,
		WriteTimeout:          o.Timeout,
		MaxRetries:            -1,
		DialerRetries:         1,
		PoolSize:              1,
		PipelinePoolSize:      -1,
		ConnMaxIdleTime:       -1,
		ReadBufferSize:        16 << 10,
		WriteBufferSize:       4 << 10,
		DisableIdentity:       true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			if l.handed.Swap(true) {
				return nil, errSpent
			}
			return handle{watchedConn: l.conn, released: &l.released}, nil
		},
	}
}

// report passes on, once, the end of a connection that is known to lead to a Redis, if that end is a fact (closed or
// reset) and not one more form of silence.
func (l *link) report(err error, onEOF func(error)) {
	if onEOF == nil || !l.proven.Load() || Classify(err) != ClassRefused || l.reported.Swap(true) {
		return
	}
	onEOF(err)
}

// usable reports whether a command can be sent.
func (l *link) usable() bool {
	return !l.stale && !l.released.Load() && l.conn.end() == nil
}

// settle records what a command's outcome means for the connection, and reports whether the link is to be kept.
func (l *link) settle(err error, onEOF func(error)) bool {
	answered, silent := err == nil || isReply(err), Classify(err) == ClassTimeout
	if answered || silent {
		l.proven.Store(true)
	}
	if end := l.conn.end(); end != nil {
		go l.report(end, onEOF) // it may have ended before it was proven
		return false
	}
	if l.released.Load() && silent {
		l.stale, l.heard = true, l.conn.bytesReceived()
		return true
	}
	return !l.released.Load()
}

// overdue waits until something comes of a stale connection: a byte, its end, or the time to try another one.
// It returns ctx's error if that comes first.
func (l *link) overdue(ctx context.Context) error {
	timer := time.NewTimer(time.Until(l.asked.Add(redialAfter)))
	defer timer.Stop()
	for l.conn.end() == nil && l.conn.bytesReceived() == l.heard {
		select {
		case <-l.conn.wake:
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// revive makes a stale connection usable again on which something has come by now: what is asked next would be taken
// for answered by the late reply. So a mark is echoed, and all that comes before it is dropped. It reports whether the
// mark came.
func (l *link) revive(ctx context.Context, o Options) bool {
	if l.conn.end() != nil || l.conn.bytesReceived() == l.heard {
		return false
	}
	mark := rand.Text()
	until := time.Now().Add(reviveWithin)
	if deadline, bounded := ctx.Deadline(); bounded && deadline.Before(until) {
		until = deadline
	}
	if l.conn.SetDeadline(until) != nil {
		return false
	}
	if _, err := fmt.Fprintf(l.conn, "*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n", len(mark), mark); err != nil {
		return false
	}
	end := []byte(mark + "\r\n")
	var tail []byte
	for chunk := make([]byte, 4<<10); !bytes.HasSuffix(tail, end); {
		n, err := l.conn.Read(chunk)
		if err != nil {
			return false
		}
		tail = append(tail, chunk[:n]...)
		tail = tail[max(0, len(tail)-len(end)):]
	}
	_ = l.rdb.Close()
	l.handed.Store(false)
	l.released.Store(false)
	l.stale, l.rdb = false, redis.NewClient(l.options(o))
	return true
}

// turnedAway is the error reply of a Redis that wants no further connection.
type turnedAway string

func (t turnedAway) Error() string { return string(t) }

// RedisError marks it as something Redis said.
func (turnedAway) RedisError() {}

// errTurnedAway is of [ClassAuth].
var errTurnedAway = errors.New(
	"the connection was ended after the TLS handshake, as it is when our certificate is refused",
)

// explain replaces the broken connection that go-redis saw by the reason Redis gave for breaking it, if it did: too
// many clients, or protected mode. go-redis takes that line for an answer to HELLO and ignores it. By TLS 1.3 a
// server says what it thinks of our certificate after the handshake, and its reset may overtake that: such an end of a
// connection on which nothing was ever said proves no death. If it was one, the next dial is refused.
func (l *link) explain(err error) error {
	if l.proven.Load() || Classify(err) != ClassRefused {
		return err
	}
	if words := l.conn.farewell(); words != "" {
		return turnedAway(words)
	}
	if l.secured {
		return errors.Join(errTurnedAway, err)
	}
	return err
}

// drop closes the connection for good, silently.
func (l *link) drop() {
	l.conn.shut()
	_ = l.rdb.Close()
}
