// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"bufio"
	"io"
	"strconv"
	"strings"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// entry is one write command as it is replicated.
type entry struct {
	db   int
	args []string
	size int64 // its length in the replication stream
}

func newEntry(db int, args []string) entry {
	size := 3 + len(strconv.Itoa(len(args)))
	for _, a := range args {
		size += 5 + len(strconv.Itoa(len(a))) + len(a)
	}
	return entry{db: db, args: args, size: int64(size)}
}

// store is a data set: a miniredis without a listener, and the writes that led to it, from which it can be copied.
type store struct {
	mini    *miniredis.Miniredis
	entries []entry
	applier *server.Peer
	db      int // the applier's selected database
}

func newStore() store {
	mini := miniredis.NewMiniRedis()
	// Dial is how miniredis starts without a listener of its own; the connection itself is not needed.
	if conn, err := mini.Dial(); err == nil {
		_ = conn.Close()
	}
	return store{mini: mini, applier: server.NewPeer(bufio.NewWriter(io.Discard))}
}

func (s *store) close() {
	s.mini.Close()
}

// apply executes a replicated write.
func (s *store) apply(e entry) {
	if s.db != e.db {
		s.mini.Server().Dispatch(s.applier, []string{"SELECT", strconv.Itoa(e.db)})
		s.db = e.db
	}
	s.mini.Server().Dispatch(s.applier, e.args)
	s.applier.Flush()
	s.entries = append(s.entries, e)
}

// replay makes the data set what entries lead to.
func (s *store) replay(entries []entry) {
	s.mini.FlushAll()
	s.entries = nil
	for _, e := range entries {
		s.apply(e)
	}
}

// keyspace returns the number of keys of the databases that have any.
func (s *store) keyspace() map[int]int {
	counts := map[int]int{}
	for db := range 16 {
		if keys := len(s.mini.DB(db).Keys()); keys > 0 {
			counts[db] = keys
		}
	}
	return counts
}

// writes are the commands that can be replicated by executing them again. What is neither here nor read-only for
// miniredis is refused, so that no test can let master and replica drift apart.
var writes = wordSet(`
	SET SETNX SETEX PSETEX SETRANGE MSET MSETNX GETSET GETDEL APPEND INCR INCRBY INCRBYFLOAT DECR DECRBY
	DEL UNLINK EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST RENAME RENAMENX FLUSHALL FLUSHDB
	LPUSH RPUSH LPUSHX RPUSHX LPOP RPOP LREM LTRIM LSET RPOPLPUSH SADD SREM SMOVE
	HSET HMSET HSETNX HDEL HINCRBY HINCRBYFLOAT ZADD ZREM ZINCRBY`)

// passed are miniredis's commands that neither read nor write data.
var passed = wordSet(`PING ECHO SELECT TIME SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE PUBLISH PUBSUB`)

func wordSet(words string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}
