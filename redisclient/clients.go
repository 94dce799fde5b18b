// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// KillClients closes the connections of all clients, subscribers included, and returns how many. Replication links
// and this client's own connection stay; another Client's connection, even of the same process, goes, so whoever
// probes a node and whoever changes it share one Client.
func (c *Client) KillClients(ctx context.Context) (int, error) {
	var killed int64
	err := c.do(ctx, "CLIENT KILL", func(ctx context.Context, r *redis.Client) error {
		var normal, pubsub *redis.IntCmd
		_, err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
			normal = p.ClientKillByFilter(ctx, "TYPE", "normal", "SKIPME", "yes")
			pubsub = p.ClientKillByFilter(ctx, "TYPE", "pubsub", "SKIPME", "yes")
			return nil
		})
		killed = normal.Val() + pubsub.Val()
		return err
	})
	return int(killed), err
}

// KillWriters closes the connections of the clients whose last command writes, or may have written (scripts, functions
// and transactions), and returns how many. On a replica those are clients that take it for a master: whoever reads
// stays connected. A connection that has read since its write was refused is found another time.
func (c *Client) KillWriters(ctx context.Context) (int, error) {
	var killed int
	err := c.listing(ctx, "CLIENT KILL", func(ctx context.Context, r *redis.Client) error {
		ids, err := c.writers(ctx, r)
		if err != nil || len(ids) == 0 {
			return err
		}
		killed, err = killByID(ctx, r, ids)
		return err
	})
	return killed, err
}

// writers lists the connections of clients whose last command writes.
func (c *Client) writers(ctx context.Context, r *redis.Client) ([]int64, error) {
	var own *redis.IntCmd
	var list *redis.StringCmd
	var writes *redis.StringSliceCmd
	_, err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
		own = p.ClientID(ctx)
		list = p.ClientList(ctx)
		writes = p.ACLCatArgs(ctx, &redis.ACLCatArgs{Category: "write"})
		return nil
	})
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, conn := range parseClientList(list.Val()) {
		wrote := slices.Contains(writes.Val(), conn.command) || slices.Contains(mayWrite, conn.command)
		if wrote && conn.id != own.Val() && !conn.replication {
			ids = append(ids, conn.id)
		}
	}
	return ids, nil
}

// mayWrite are the commands that no command category calls writes, and that may have been refused as such.
var mayWrite = []string{"eval", "evalsha", "fcall", "multi", "exec"}

// KillOperatorConnections closes the connections whose name starts with prefix, except those that carry exactly this
// client's own name, and returns how many. A new leader calls it before it acts: a deposed leader's commands that still
// wait in a socket are then never executed.
func (c *Client) KillOperatorConnections(ctx context.Context, prefix string) (int, error) {
	var killed int
	err := c.listing(ctx, "CLIENT KILL", func(ctx context.Context, r *redis.Client) error {
		ids, err := c.othersNamed(ctx, r, prefix)
		if err != nil || len(ids) == 0 {
			return err
		}
		killed, err = killByID(ctx, r, ids)
		return err
	})
	return killed, err
}

// CountOperatorConnections returns how many connections KillOperatorConnections would close, and changes nothing.
func (c *Client) CountOperatorConnections(ctx context.Context, prefix string) (int, error) {
	var ids []int64
	err := c.listing(ctx, "CLIENT LIST", func(ctx context.Context, r *redis.Client) error {
		var err error
		ids, err = c.othersNamed(ctx, r, prefix)
		return err
	})
	return len(ids), err
}

func (c *Client) othersNamed(ctx context.Context, r *redis.Client, prefix string) ([]int64, error) {
	own, list, err := c.connections(ctx, r)
	if err != nil {
		return nil, err
	}
	var ids []int64
	for _, conn := range list {
		if conn.id != own && strings.HasPrefix(conn.name, prefix) && conn.name != c.opts.Name {
			ids = append(ids, conn.id)
		}
	}
	return ids, nil
}

// connections are all there are, and which of them is ours.
func (c *Client) connections(ctx context.Context, r *redis.Client) (own int64, all []listedClient, err error) {
	var id *redis.IntCmd
	var list *redis.StringCmd
	_, err = r.Pipelined(ctx, func(p redis.Pipeliner) error {
		id = p.ClientID(ctx)
		list = p.ClientList(ctx)
		return nil
	})
	return id.Val(), parseClientList(list.Val()), err
}

func killByID(ctx context.Context, r *redis.Client, ids []int64) (int, error) {
	var replies []*redis.IntCmd
	_, err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, id := range ids {
			replies = append(replies, p.ClientKillByFilter(ctx, "ID", strconv.FormatInt(id, 10)))
		}
		return nil
	})
	killed := 0
	for _, reply := range replies {
		killed += int(reply.Val())
	}
	return killed, err
}

type listedClient struct {
	id          int64
	name        string
	local       string // the address that it came to
	command     string // the last one, in lower case; a subcommand follows after a |
	replication bool   // a link to a replica or to the master
}

// parseClientList reads lines of key=value pairs, as in: id=3 addr=127.0.0.1:52555 name=x age=8 ...
// A line without an id is skipped.
func parseClientList(text string) []listedClient {
	var clients []listedClient
	for line := range strings.Lines(text) {
		client := listedClient{id: -1}
		for field := range strings.FieldsSeq(line) {
			switch key, value, _ := strings.Cut(field, "="); key {
			case "id":
				if id, err := strconv.ParseInt(value, 10, 64); err == nil {
					client.id = id
				}
			case "name":
				client.name = value
			case "laddr":
				client.local = value
			case "cmd":
				client.command = value
			case "flags":
				client.replication = strings.ContainsAny(value, "SM")
			}
		}
		if client.id >= 0 {
			clients = append(clients, client)
		}
	}
	return clients
}
