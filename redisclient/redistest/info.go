// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Version is the Redis version the fake says it is, and whose behaviour it copies.
const Version = "7.0.15"

func (s *session) info(args []string) {
	sections := []struct {
		name string
		text func() string
	}{
		{"server", s.node.infoServer}, {"clients", s.node.infoClients}, {"persistence", s.node.infoPersistence},
		{"replication", s.node.infoReplication}, {"errorstats", s.node.infoErrors}, {"keyspace", s.node.infoKeyspace},
	}
	var text strings.Builder
	for _, section := range sections {
		if len(args) < 2 || slices.ContainsFunc(args[1:], func(a string) bool { return wants(a, section.name) }) {
			fmt.Fprintf(&text, "# %s%s\r\n%s\r\n", strings.ToUpper(section.name[:1]), section.name[1:], section.text())
		}
	}
	s.peer.WriteBulk(text.String())
}

func wants(arg, section string) bool {
	arg = strings.ToLower(arg)
	return arg == section || arg == "default" || arg == "all" || arg == "everything"
}

func (n *Node) infoServer() string {
	_, port := splitAddr(n.addr)
	return fields("redis_version", Version, "redis_mode", "standalone", "run_id", n.runID, "tcp_port", port,
		"uptime_in_seconds", int(time.Since(n.started).Seconds()))
}

func (n *Node) infoClients() string {
	return fields("connected_clients", len(n.sessions), "maxclients", n.params["maxclients"])
}

func (n *Node) infoPersistence() string {
	return fields("loading", bit(n.loading), "async_loading", 0, "rdb_last_bgsave_status", "ok",
		"aof_enabled", bit(n.params["appendonly"] == "yes"), "aof_last_write_status", "ok")
}

func (n *Node) infoErrors() string {
	if n.refusedWrites == 0 {
		return ""
	}
	return fields("errorstat_READONLY", fmt.Sprintf("count=%d", n.refusedWrites))
}

func (n *Node) infoReplication() string {
	r := &n.repl
	text := fields("role", "master")
	if r.replica {
		text = n.infoReplica()
	}
	replicas := n.attached()
	text += fields("connected_slaves", len(replicas))
	for i, other := range replicas {
		host, port := splitAddr(other.addr)
		text += fmt.Sprintf("slave%d:ip=%s,port=%d,state=online,offset=%d,lag=%d\r\n",
			i, host, port, other.repl.offset, int(other.silence().Seconds()))
	}
	return text + fields("master_failover_state", "no-failover", "master_replid", r.id, "master_replid2", r.id2,
		"master_repl_offset", r.offset, "second_repl_offset", r.secondOffset, "repl_backlog_active", bit(r.hasBacklog))
}

func (n *Node) infoReplica() string {
	r := &n.repl
	status, lastIO, applied, down := "down", -1, r.offset, -1
	if n.linkUp() {
		status, lastIO = "up", int(n.silence().Seconds())
	}
	if !r.known {
		applied = 1 // what Redis says of a replica that never followed anyone
	}
	if !r.downAt.IsZero() {
		down = int(time.Since(r.downAt).Seconds())
	}
	text := fields("role", "slave", "master_host", r.masterHost, "master_port", r.masterPort,
		"master_link_status", status, "master_last_io_seconds_ago", lastIO,
		"master_sync_in_progress", bit(r.syncing != nil), "slave_repl_offset", applied)
	if status == "down" {
		text += fields("master_link_down_since_seconds", down)
	}
	return text + fields("slave_priority", n.params["replica-priority"], "slave_read_only", 1)
}

func (n *Node) infoKeyspace() string {
	counts := n.data.keyspace()
	var text strings.Builder
	for _, db := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&text, "db%d:keys=%d,expires=0,avg_ttl=0\r\n", db, counts[db])
	}
	return text.String()
}

// attached returns the replicas the node serves, in a stable order.
func (n *Node) attached() []*Node {
	var replicas []*Node
	for _, other := range n.net.nodes {
		if other.repl.link == n {
			replicas = append(replicas, other)
		}
	}
	slices.SortFunc(replicas, func(a, b *Node) int { return strings.Compare(a.addr, b.addr) })
	return replicas
}

func (s *session) role([]string) {
	r := &s.node.repl
	if !r.replica {
		replicas := s.node.attached()
		s.peer.WriteLen(3)
		s.peer.WriteBulk("master")
		s.peer.WriteInt(int(r.offset))
		s.peer.WriteLen(len(replicas))
		for _, other := range replicas {
			host, port := splitAddr(other.addr)
			s.peer.WriteStrings([]string{host, fmt.Sprint(port), fmt.Sprint(other.repl.offset)})
		}
		return
	}
	state, offset := "connect", int64(-1)
	if s.node.linkUp() {
		state, offset = "connected", r.offset
	}
	s.peer.WriteLen(5)
	s.peer.WriteBulk("slave")
	s.peer.WriteBulk(r.masterHost)
	s.peer.WriteInt(r.masterPort)
	s.peer.WriteBulk(state)
	s.peer.WriteInt(int(offset))
}

// fields formats alternating keys and values as INFO does.
func fields(kv ...any) string {
	var text strings.Builder
	for i := 0; i+1 < len(kv); i += 2 {
		fmt.Fprintf(&text, "%v:%v\r\n", kv[i], kv[i+1])
	}
	return text.String()
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
