// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// goRedisOptions are the ways in which go-redis is used. The zero value has the library's defaults and one goroutine.
type goRedisOptions struct {
	lanes     int64
	poolOfOne bool
	noRetries bool
	tuned     bool
}

func (p *program) goRedis(o goRedisOptions) *redis.Client {
	options := &redis.Options{Addr: p.addr, Password: p.password, TLSConfig: p.tls}
	if o.poolOfOne {
		options.PoolSize = 1
	}
	if o.noRetries {
		options.MaxRetries = -1
	}
	if o.tuned {
		options.DialTimeout, options.ReadTimeout = 500*time.Millisecond, 500*time.Millisecond
		options.WriteTimeout = 500 * time.Millisecond
	}
	return redis.NewClient(options)
}

func plain(o goRedisOptions) func(*program) error {
	return func(p *program) error {
		c := p.goRedis(o)
		return p.write(max(o.lanes, 1), func(n int64) error {
			return c.Set(context.Background(), p.key(n), n, 0).Err()
		})
	}
}

// transaction writes in MULTI and EXEC, together with a counter.
func transaction(p *program) error {
	c := p.goRedis(goRedisOptions{})
	return p.write(1, func(n int64) error {
		_, err := c.TxPipelined(context.Background(), func(tx redis.Pipeliner) error {
			tx.Set(context.Background(), p.key(n), n, 0)
			tx.Incr(context.Background(), p.prefix+":count")
			return nil
		})
		return err
	})
}

// script writes in a script, which the library sends by its digest first.
func script(p *program) error {
	c := p.goRedis(goRedisOptions{})
	set := redis.NewScript(`return redis.call("SET", KEYS[1], ARGV[1])`)
	return p.write(1, func(n int64) error {
		return set.Run(context.Background(), c, []string{p.key(n)}, n).Err()
	})
}

// reader reads a key that need not exist.
func reader(p *program) error {
	c := p.goRedis(goRedisOptions{})
	return p.write(1, func(n int64) error {
		err := c.Get(context.Background(), p.key(n)).Err()
		if err == redis.Nil { //nolint:errorlint // go-redis returns it as it is
			return nil
		}
		return err
	})
}

// blockingReader pops what another client of the same process pushes.
func blockingReader(p *program) error {
	list := p.prefix + ":list"
	pushing, popping := p.goRedis(goRedisOptions{}), p.goRedis(goRedisOptions{})
	go p.produce(func(n int64) error {
		return pushing.RPush(context.Background(), list, n).Err()
	})
	for {
		popped, err := popping.BLPop(context.Background(), 0, list).Result()
		p.arrived(popped, 1, err)
	}
}

// subscriber receives what another client of the same process publishes.
func subscriber(p *program) error {
	channel := p.prefix + ":channel"
	publishing, receiving := p.goRedis(goRedisOptions{}), p.goRedis(goRedisOptions{})
	go p.produce(func(n int64) error {
		return publishing.Publish(context.Background(), channel, n).Err()
	})
	for message := range receiving.Subscribe(context.Background(), channel).Channel() {
		p.arrived([]string{message.Payload}, 0, nil)
	}
	return nil
}

// arrived tells of the number in a field of a reply.
func (p *program) arrived(reply []string, field int, err error) {
	if err != nil {
		failed(0, err)
		time.Sleep(afterError)
		return
	}
	n, err := strconv.ParseInt(reply[field], 10, 64)
	if err != nil {
		failed(0, err)
		return
	}
	done(n)
}
