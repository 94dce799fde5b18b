// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"context"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Encryption is how a process takes connections, and how it makes those to its master.
type Encryption struct {
	// PlainPort takes connections in clear and TLSPort such that are encrypted; 0 closes it.
	PlainPort, TLSPort int
	// Certificate, Key and CA are files of the process, in PEM. Redis reads a file when it is given another name than
	// it has: under the name that it knows a new content is ignored. Ignored where TLSPort is 0.
	Certificate, Key, CA string
	// Clients is tls-auth-clients: yes, optional or no.
	Clients string
	// Replication is whether the connection to the master is encrypted.
	Replication bool
}

// settings are e as CONFIG SET takes it. The files come with the first encrypted port and stay after the last.
func (e Encryption) settings() []Setting {
	settings := []Setting{
		{Name: "port", Value: strconv.Itoa(e.PlainPort)},
		{Name: "tls-port", Value: strconv.Itoa(e.TLSPort)},
		{Name: "tls-replication", Value: yesNo(e.Replication)},
	}
	if e.TLSPort == 0 {
		return settings
	}
	return append(
		settings,
		Setting{Name: "tls-cert-file", Value: e.Certificate},
		Setting{Name: "tls-key-file", Value: e.Key},
		Setting{Name: "tls-ca-cert-file", Value: e.CA},
		Setting{Name: "tls-auth-clients", Value: e.Clients},
	)
}

func yesNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

// Encrypt makes the process take and make connections like e, and changes nothing that is so already: the ports and
// files by one CONFIG SET, all or nothing, of which an error holds Redis's words; then the connection of a replica to
// its master, whose host stays, and whose link is waited for half a second at most. Last it ends the connections of
// clients that came by a port which is closed, and returns how many. Redis before 7.0 cannot do it.
func (c *Client) Encrypt(ctx context.Context, e Encryption) (ended int, err error) {
	err = c.listing(ctx, "CONFIG SET tls", func(ctx context.Context, r *redis.Client) error {
		if err := setUnlike(ctx, r, e.settings()); err != nil {
			return err
		}
		if err := c.replicateBy(ctx, r, e); err != nil {
			return err
		}
		ended, err = c.killCutOff(ctx, r, e)
		return err
	})
	return ended, err
}

// setUnlike sets those of the settings that are not so.
func setUnlike(ctx context.Context, r *redis.Client, settings []Setting) error {
	get, set := []any{"CONFIG", "GET"}, []any{"CONFIG", "SET"}
	for _, s := range settings {
		get = append(get, s.Name)
	}
	reply := redis.NewMapStringStringCmd(ctx, get...)
	if err := r.Process(ctx, reply); err != nil {
		return err
	}
	for _, s := range settings {
		if value, known := reply.Val()[s.Name]; value != s.Value && (known || s.Value != "0" && s.Value != "no") {
			set = append(set, s.Name, s.Value)
		}
	}
	if len(set) == 2 {
		return nil
	}
	return r.Process(ctx, redis.NewStatusCmd(ctx, set...))
}

// replicateBy has a replica connect to its master by the port that e replicates by.
func (c *Client) replicateBy(ctx context.Context, r *redis.Client, e Encryption) error {
	text, err := r.Info(ctx, "replication").Result()
	if err != nil {
		return err
	}
	info, err := ParseInfo(text)
	if err != nil {
		return err
	}
	port := e.PlainPort
	if e.Replication {
		port = e.TLSPort
	}
	if info.Role != RoleReplica || info.Fenced() || info.MasterPort == port {
		return nil
	}
	if err := r.ReplicaOf(ctx, info.MasterHost, strconv.Itoa(port)).Err(); err != nil {
		return err
	}
	awaitLink(ctx, r)
	return nil
}

// relinksWithin bounds how long a replica is waited for that connects to its master in another way.
const relinksWithin = 500 * time.Millisecond

// awaitLink waits until a replica is linked again, which a partial synchronisation takes some milliseconds for. While
// it is not, its master may refuse writes, so that one replica after the other is to be changed over.
func awaitLink(ctx context.Context, r *redis.Client) {
	ctx, cancel := context.WithTimeout(ctx, relinksWithin)
	defer cancel()
	for ctx.Err() == nil {
		if text, err := r.Info(ctx, "replication").Result(); err == nil && strings.Contains(text, "master_link_status:up") {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// killCutOff ends the connections of clients to ports that are closed by now.
func (c *Client) killCutOff(ctx context.Context, r *redis.Client, e Encryption) (int, error) {
	own, list, err := c.connections(ctx, r)
	if err != nil {
		return 0, err
	}
	var ids []int64
	for _, conn := range list {
		_, text, err := net.SplitHostPort(conn.local)
		port, notNumber := strconv.Atoi(text)
		if err != nil || notNumber != nil || port == 0 || conn.id == own || conn.replication {
			continue
		}
		if port != e.PlainPort && port != e.TLSPort {
			ids = append(ids, conn.id)
		}
	}
	if len(ids) == 0 {
		return 0, nil
	}
	return killByID(ctx, r, ids)
}

// SetReplicationTLS says whether the process is to encrypt its connection to a master, from the next one on. It is for
// a Redis that has TLS, and comes before [Client.ReplicaOf].
func (c *Client) SetReplicationTLS(ctx context.Context, is bool) error {
	return c.ConfigSet(ctx, "tls-replication", yesNo(is))
}
