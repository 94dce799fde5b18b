// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// ordinaryOptions are those of a client that was given an address, a password and a way to dial, and nothing else.
func (o Options) ordinaryOptions(addr string) *redis.Options {
	return &redis.Options{Addr: addr, Password: o.Password, Dialer: o.Dial}
}

// ordinary writes by one client until the context ends.
func (w *writer) ordinary(ctx context.Context) {
	place, err := w.find(ctx)
	for ; err != nil; place, err = w.find(ctx) {
		w.ledger.fail(err)
		if sleep(ctx, w.options.Redial); ctx.Err() != nil {
			return
		}
	}
	client := redis.NewClient(w.options.ordinaryOptions(place.Addr))
	defer client.Close()
	for ctx.Err() == nil {
		w.number++
		pause := w.options.Interval
		if err := w.set(ctx, client, w.options.key(w.id, w.number)); err == nil {
			w.ledger.ack(w.id, w.number)
		} else if ctx.Err() == nil {
			w.ledger.fail(err)
			pause = w.options.Redial
		}
		sleep(ctx, pause)
	}
}

// OrdinarySettings returns how an ordinary client tries again, as go-redis itself has filled it in.
func OrdinarySettings() Settings {
	client := redis.NewClient(Options{}.ordinaryOptions("localhost:6379")) // dials when it is used
	defer client.Close()
	o := client.Options()
	return Settings{
		Version:    redis.Version(),
		MaxRetries: o.MaxRetries, MinRetryBackoff: o.MinRetryBackoff, MaxRetryBackoff: o.MaxRetryBackoff,
		DialerRetries: o.DialerRetries, DialerRetryTimeout: o.DialerRetryTimeout, ReadTimeout: o.ReadTimeout,
	}
}

// Settings are those of go-redis that say how a command is tried again.
type Settings struct {
	// Version is the library's.
	Version string
	// MaxRetries is how often a command is tried again, after a pause between the two that grows by chance.
	MaxRetries                       int
	MinRetryBackoff, MaxRetryBackoff time.Duration
	// DialerRetries is how often a dial is tried, with that pause between two.
	DialerRetries      int
	DialerRetryTimeout time.Duration
	// ReadTimeout is for how long a reply is waited for.
	ReadTimeout time.Duration
}
