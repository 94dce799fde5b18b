// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strconv"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/hibiken/asynq"
	"github.com/redis/rueidis"
)

// rueidisWriter keeps trying to make the client, which dials before it exists.
func rueidisWriter(p *program) error {
	var c rueidis.Client
	for c == nil {
		var err error
		if c, err = rueidis.NewClient(
			rueidis.ClientOption{InitAddress: []string{p.addr}, Password: p.password, TLSConfig: p.tls},
		); err != nil {
			failed(p.start, err)
			time.Sleep(afterError)
		}
	}
	return p.write(1, func(n int64) error {
		return c.Do(context.Background(), c.B().Set().Key(p.key(n)).Value(strconv.FormatInt(n, 10)).Build()).Error()
	})
}

func redigoWriter(p *program) error { return p.redigo() }

func redigoTunedWriter(p *program) error {
	const timeout = 500 * time.Millisecond
	return p.redigo(redis.DialConnectTimeout(timeout), redis.DialReadTimeout(timeout), redis.DialWriteTimeout(timeout))
}

// redigo uses the pool of the library's documentation.
func (p *program) redigo(options ...redis.DialOption) error {
	options = append(options, p.redigoOptions()...)
	pool := &redis.Pool{MaxIdle: 3, IdleTimeout: 240 * time.Second, Dial: func() (redis.Conn, error) {
		return redis.Dial("tcp", p.addr, options...)
	}}
	return p.write(1, func(n int64) error {
		c := pool.Get()
		defer c.Close()
		_, err := c.Do("SET", p.key(n), n)
		return err
	})
}

func (p *program) redigoOptions() []redis.DialOption {
	options := []redis.DialOption{redis.DialPassword(p.password)}
	if p.tls != nil {
		options = append(options, redis.DialUseTLS(true), redis.DialTLSConfig(p.tls))
	}
	return options
}

// dialledAnew takes a connection for each write and waits a tenth of a second for it at most. It shows where the
// Service leads, which no application can be faster than.
func dialledAnew(p *program) error {
	const timeout = 100 * time.Millisecond
	return p.write(1, func(n int64) error {
		c, err := redis.Dial("tcp", p.addr, append(p.redigoOptions(),
			redis.DialConnectTimeout(timeout), redis.DialReadTimeout(timeout), redis.DialWriteTimeout(timeout))...)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Do("SET", p.key(n), n)
		return err
	})
}

// jobQueue accepts jobs and runs them, both through asynq.
func jobQueue(p *program) error {
	at := asynq.RedisClientOpt{Addr: p.addr, Password: p.password, TLSConfig: p.tls}
	client := asynq.NewClient(at)
	go p.produce(func(n int64) error {
		_, err := client.Enqueue(asynq.NewTask(p.prefix, []byte(strconv.FormatInt(n, 10))))
		return err
	})
	server := asynq.NewServer(at, asynq.Config{})
	return server.Run(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		n, err := strconv.ParseInt(string(task.Payload()), 10, 64)
		if err != nil {
			return err
		}
		done(n)
		return nil
	}))
}
