// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Ping proves that the process answers. LOADING, MASTERDOWN, BUSY and the like come back as errors that are
// [Class.Alive].
func (c *Client) Ping(ctx context.Context) error {
	return c.do(ctx, "PING", func(ctx context.Context, r *redis.Client) error {
		return r.Ping(ctx).Err()
	})
}

// Info asks for everything the failover core wants to know, in one round trip. It works while Redis loads its data and
// on a replica that serves nothing else. Where CONFIG is refused, MinReplicas and MaxLag come back Unknown.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var text *redis.StringCmd
	var config *redis.MapStringStringCmd
	err := c.do(ctx, "INFO", func(ctx context.Context, r *redis.Client) error {
		_, err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
			text = p.Info(ctx)
			config = p.ConfigGet(ctx, "min-replicas-*")
			return nil
		})
		if text.Val() != "" && isReply(err) {
			return nil // only CONFIG was refused
		}
		return err
	})
	if err != nil {
		return Info{}, err
	}
	return c.readInfo(text.Val(), config.Val())
}

func (c *Client) readInfo(text string, config map[string]string) (Info, error) {
	info, err := ParseInfo(text)
	if err != nil {
		return Info{}, fmt.Errorf("redis %s: %w", c.opts.Addr, err)
	}
	if n, err := strconv.Atoi(config["min-replicas-to-write"]); err == nil {
		info.MinReplicas = n
	}
	if lag, err := parseSeconds(config["min-replicas-max-lag"]); err == nil {
		info.MaxLag = lag
	}
	return info, nil
}

// ReplicaOf makes the process a replica of host:port; with [FenceHost] and [FencePort] it detaches it. A node keeps its
// offset and its lineage, so that it can continue with a partial synchronisation wherever the lineage leads.
// Naming the present master changes nothing.
func (c *Client) ReplicaOf(ctx context.Context, host string, port int) error {
	return c.do(ctx, "REPLICAOF", func(ctx context.Context, r *redis.Client) error {
		return r.ReplicaOf(ctx, host, strconv.Itoa(port)).Err()
	})
}

// Promote makes the process a master, if it has just answered on this connection (see awake): a replica that hung and
// was given up must not turn into a second master when it wakes.
func (c *Client) Promote(ctx context.Context) error {
	return c.do(ctx, "REPLICAOF NO ONE", func(ctx context.Context, r *redis.Client) error {
		if err := awake(ctx, r); err != nil {
			return err
		}
		return r.ReplicaOf(ctx, "NO", "ONE").Err()
	})
}

// awake makes sure that a process reads what it is sent. Bytes sent to a hung one are executed once it wakes, even if
// the connection was closed long before; so a command that makes a node writable is sent only after a reply.
func awake(ctx context.Context, r *redis.Client) error {
	if err := r.Ping(ctx).Err(); err != nil && !isReply(err) {
		return err
	}
	return nil
}

// PauseWrites holds back all clients' writes for d (CLIENT PAUSE ms WRITE); they are answered after d, or after
// [Client.UnpauseWrites], by whatever the process is by then. Replication goes on. The pause outlives neither d nor
// the process, so a caller that dies leaves nothing behind. Needs Redis 6.2.
func (c *Client) PauseWrites(ctx context.Context, d time.Duration) error {
	return c.do(ctx, "CLIENT PAUSE", func(ctx context.Context, r *redis.Client) error {
		return r.Do(ctx, pauseArgs(d)...).Err()
	})
}

// UnpauseWrites ends any pause.
func (c *Client) UnpauseWrites(ctx context.Context) error {
	return c.do(ctx, "CLIENT UNPAUSE", func(ctx context.Context, r *redis.Client) error {
		return r.ClientUnpause(ctx).Err()
	})
}

// PauseAndInfo pauses writes and takes an Info in one transaction: no write is acknowledged after the offset it
// reports, until the pause ends. MinReplicas and MaxLag come back Unknown.
func (c *Client) PauseAndInfo(ctx context.Context, d time.Duration) (Info, error) {
	var text *redis.StringCmd
	err := c.do(ctx, "CLIENT PAUSE", func(ctx context.Context, r *redis.Client) error {
		_, err := r.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Do(ctx, pauseArgs(d)...)
			text = p.Info(ctx)
			return nil
		})
		return err
	})
	if err != nil {
		return Info{}, err
	}
	return c.readInfo(text.Val(), nil)
}

// pauseArgs rounds up, as a pause of 0 ms is none.
func pauseArgs(d time.Duration) []any {
	ms := (d + time.Millisecond - 1) / time.Millisecond
	return []any{"CLIENT", "PAUSE", int64(ms), "WRITE"}
}

// SetMinReplicas sets min-replicas-to-write at run time, and before it min-replicas-max-lag, in whole seconds, if the
// process has just answered on this connection.
func (c *Client) SetMinReplicas(ctx context.Context, n int, maxLag time.Duration) error {
	return c.do(ctx, "CONFIG SET min-replicas-to-write", func(ctx context.Context, r *redis.Client) error {
		if err := awake(ctx, r); err != nil {
			return err
		}
		_, err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.ConfigSet(ctx, "min-replicas-max-lag", strconv.Itoa(int(maxLag/time.Second)))
			p.ConfigSet(ctx, "min-replicas-to-write", strconv.Itoa(n))
			return nil
		})
		return err
	})
}

// ConfigSet sets one configuration parameter at run time; nothing is written to a file. The value appears in no error.
func (c *Client) ConfigSet(ctx context.Context, key, value string) error {
	return c.do(ctx, "CONFIG SET "+key, func(ctx context.Context, r *redis.Client) error {
		return r.ConfigSet(ctx, key, value).Err()
	})
}
