// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Client speaks to one Redis process over one persistent connection, which is opened by the first command and again by
// the first one after it broke. Calls may come from several goroutines; they take turns. Every method's error can be
// given to [Classify].
type Client struct {
	opts Options
	turn chan struct{} // held by the call that uses the link

	mu     sync.Mutex // guards the pointers below; never held while waiting
	link   *link
	closed bool
}

// New returns a client. Nothing is dialled yet.
func New(opts Options) *Client {
	return &Client{opts: opts.withDefaults(), turn: make(chan struct{}, 1)}
}

// Addr returns the address the client was made for.
func (c *Client) Addr() string { return c.opts.Addr }

// Close ends the connection; a call in flight fails with [ErrClosed]. OnEOF is not called for it.
func (c *Client) Close() {
	c.mu.Lock()
	l := c.link
	c.link, c.closed = nil, true
	c.mu.Unlock()
	if l != nil {
		l.drop()
	}
}

// exchangeFunc sends commands and takes their replies.
type exchangeFunc func(context.Context, *redis.Client) error

// do runs one exchange: it waits for its turn, sees to a connection, and settles what the outcome means for it.
func (c *Client) do(ctx context.Context, what string, fn exchangeFunc) error {
	return c.doExpecting(ctx, what, false, fn)
}

// doExpecting is do for an answer that is long, or is not.
func (c *Client) doExpecting(ctx context.Context, what string, long bool, fn exchangeFunc) error {
	bounded, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	err := c.exchange(bounded, long, fn)
	switch {
	case err == nil:
		return nil
	case c.isClosed():
		err = ErrClosed
	case errors.Is(ctx.Err(), context.Canceled) && !isReply(err):
		err = context.Canceled
	}
	return fmt.Errorf("redis %s: %s: %w", c.opts.Addr, what, err)
}

func (c *Client) exchange(ctx context.Context, long bool, fn exchangeFunc) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	all := c.opts.credentials()
	var err error
	for _, shown := range all {
		if err = c.attempt(ctx, shown, long, fn); !isWrongPassword(err) {
			break
		}
	}
	if l := c.current(); isNotPermitted(err) && l != nil && l.shown != all[0] {
		c.forget(l) // the next connection is made by the user in force
	}
	return err
}

// attempt is an exchange on the connection that there is, or on one that is opened with those credentials.
func (c *Client) attempt(ctx context.Context, shown Credentials, long bool, fn exchangeFunc) error {
	l, err := c.connected(ctx, shown)
	if err != nil {
		return err
	}
	// go-redis obeys a context's deadline but not its cancellation.
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			l.conn.shut()
		}
	})
	l.asked = time.Now()
	l.conn.expect(long)
	err = guarded(func() error { return fn(ctx, l.rdb) })
	l.conn.expect(false)
	interrupted := !stop() && errors.Is(ctx.Err(), context.Canceled)
	keep := l.settle(err, c.opts.OnEOF)
	err = l.explain(err)
	if !keep || interrupted || errors.Is(err, errPanicked) {
		c.forget(l)
	}
	return err
}

// connected returns a link that can take a command, opening one with those credentials if need be.
func (c *Client) connected(ctx context.Context, shown Credentials) (*link, error) {
	old := c.current()
	switch {
	case old == nil:
	case old.usable():
		return old, nil
	case old.stale:
		if err := old.overdue(ctx); err != nil {
			return nil, err
		}
		if old.revive(ctx, c.opts) {
			return old, nil
		}
	}
	fresh, err := openLink(ctx, c.opts, shown)
	if err != nil {
		return nil, err
	}
	return fresh, c.replace(old, fresh)
}

func (c *Client) current() *link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link
}

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *Client) replace(old, fresh *link) error {
	if old != nil {
		old.drop()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		fresh.drop()
		return ErrClosed
	}
	c.link = fresh
	return nil
}

func (c *Client) forget(l *link) {
	l.drop()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.link == l {
		c.link = nil
	}
}

// isReply reports whether err is something Redis said.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}
