// SPDX-License-Identifier: Apache-2.0

package redisclient

import "time"

// Role is what a Redis process says it is.
type Role string

// The two roles of a data node.
const (
	RoleMaster  Role = "master"
	RoleReplica Role = "replica"
)

// The fence: an address where no process listens. A process told to replicate from it refuses writes, keeps its data
// and its replication offset, and waits. It is also what redis.conf says at boot.
const (
	FenceHost = "127.0.0.1"
	FencePort = 1
)

// Unknown marks a duration or a count in [Info] that Redis did not tell.
const Unknown = -1

// Info is what one INFO (and one CONFIG GET min-replicas-*) tells about a Redis process. Offsets are bytes and can be
// compared only within one replication lineage.
type Info struct {
	// RunID changes with every start of the process.
	RunID string
	// Version is redis_version; for Valkey that is the Redis version it is compatible with.
	Version string
	// Server is "redis" or what server_name says ("valkey").
	Server string
	// ServerVersion is valkey_version; empty for Redis.
	ServerVersion string
	// UptimeSeconds is the process's age.
	UptimeSeconds int64

	Role Role
	// MasterHost and MasterPort are where a replica was told to replicate from; empty for a master.
	MasterHost string
	MasterPort int
	// LinkUp is a replica's master_link_status:up. A master reports false.
	LinkUp bool
	// LastIO is how long ago a replica heard from its master, in whole seconds; Unknown for a master and for a
	// replica whose link is down.
	LastIO time.Duration
	// LinkDownFor is how long a replica's link has been down, in whole seconds; Unknown while it is up, for a
	// master, and for a replica that never had one.
	LinkDownFor time.Duration
	// SyncInProgress is true while a replica receives or loads a full synchronisation: its data is not usable.
	SyncInProgress bool
	// Loading is true while the data set is read from disk (or, asynchronously, from a master).
	Loading bool

	// ReplID and ReplID2 name the lineage and the one it continues; ReplID2 holds up to SecondOffset (-1: none).
	ReplID, ReplID2 string
	SecondOffset    int64
	// Offset is master_repl_offset. A master counts none until its first replica, and begins a new lineage then.
	Offset int64
	// AppliedOffset is what a replica has executed (slave_repl_offset, but 0 for one that never followed anyone).
	// For a master it equals Offset.
	AppliedOffset int64
	// Priority is replica-priority; 0 means never promote. A master reports Unknown.
	Priority int
	// Keys is the number of keys in all databases.
	Keys int64
	// ConnectedReplicas are the replicas a node serves, as it sees them.
	ConnectedReplicas []ConnectedReplica

	// RefusedWrites is how many writes the process has refused because it is a replica (READONLY), since it was started.
	RefusedWrites int64

	// OutOfMemory is how many commands the process has refused because maxmemory is reached and nothing could be evicted
	// (OOM), since it was started.
	OutOfMemory int64
	// RejectedConnections is how many connections the process has turned away because of maxclients, since it was started.
	RejectedConnections int64

	// MinReplicas and MaxLag are min-replicas-to-write and -max-lag in force; Unknown when CONFIG was refused.
	MinReplicas int
	MaxLag      time.Duration

	// AOFEnabled is appendonly; RDBLastSaveOK and AOFLastWriteOK are false once Redis cannot persist.
	AOFEnabled, RDBLastSaveOK, AOFLastWriteOK bool
}

// Fenced reports whether the process replicates from the fence address.
func (i Info) Fenced() bool {
	return i.Role == RoleReplica && i.MasterHost == FenceHost && i.MasterPort == FencePort
}

// ConnectedReplica is one replica as its master describes it.
type ConnectedReplica struct {
	Addr string
	Port int
	// State is "online" when the replica receives the stream, else a step of its synchronisation.
	State string
	// Offset is what the replica acknowledged last, at most a second old by design of Redis.
	Offset int64
	// Lag is the time since that acknowledgement, in whole seconds.
	Lag time.Duration
}
