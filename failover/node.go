// SPDX-License-Identifier: Apache-2.0

package failover

import "time"

// FenceHost and FencePort are an address at which no process listens. A Redis that replicates from
// it is fenced: it refuses writes (READONLY), and no replica can synchronise from it (NOMASTERLINK).
// Every pod boots with this address in its redis.conf, and REPLICAOF to it detaches a node.
const (
	FenceHost = "127.0.0.1"
	FencePort = 1
)

// Role is what a Redis says of itself, or what a pod's label says of it.
type Role string

// The roles of Redis. RoleUnknown is that of a node that was never heard.
const (
	RoleUnknown Role = ""
	RoleMaster  Role = "master"
	RoleReplica Role = "replica"
)

// Contact says how the last attempts to reach a node's Redis went.
type Contact string

const (
	// ContactNone: no attempt has ended yet since we watch this pod.
	ContactNone Contact = ""
	// ContactAnswering: it tells its state, or that it is LOADING.
	ContactAnswering Contact = "answering"
	// ContactBusy: a script runs, and every other command is answered with BUSY. It lives; its state is not known.
	ContactBusy Contact = "busy"
	// ContactFull: our connection is turned away (max number of clients). Which process says so is not known.
	ContactFull Contact = "full"
	// ContactErring: the question for its state is answered with another error. Which process says so is not known.
	ContactErring Contact = "erring"
	// ContactSilent: nothing comes back; the process hangs, or the network is cut. A guess.
	ContactSilent Contact = "silent"
	// ContactRefused: EOF, RST or connection refused; no process listens. A fact about the address.
	ContactRefused Contact = "refused"
	// ContactDenied: it lives but does not let us in (password, ACL, TLS): a misconfiguration.
	ContactDenied Contact = "denied"
)

// ErrorsOnly reports a node that answers, but with nothing else than errors: what it last told of itself may not be so
// any more.
func (c Contact) ErrorsOnly() bool { return c == ContactBusy || c == ContactFull || c == ContactErring }

// Lives reports that a Redis process in the pod answers, whatever it says.
func (c Contact) Lives() bool { return c == ContactAnswering || c.ErrorsOnly() }

// BusyPatience is how long a Redis that answers BUSY counts as alive. A script that has written cannot be ended without
// losing what it wrote, and a failover loses that too; one that never ends must not leave the set without a master. It
// is the down-after that Sentinel has by default.
const BusyPatience = 30 * time.Second

// NodeRef names one incarnation of a node: a pod and the Redis process in it.
type NodeRef struct {
	Pod   string // pod name, for people
	UID   string // pod UID; a re-created pod of the same name is another node
	RunID string // run_id of INFO; a restarted process is another incarnation. Empty when unknown
	IP    string // pod IP
}

// Lineage identifies a replication history, as in INFO replication. Offsets of two nodes can be
// compared only within one lineage.
type Lineage struct {
	ReplID       string // master_replid
	ReplID2      string // master_replid2: the history this one continues
	SecondOffset int64  // second_repl_offset: up to where ReplID2 is shared; -1 if it is not
	Offset       int64  // bytes
}

// NoReplID is how Redis spells "no second history".
const NoReplID = "0000000000000000000000000000000000000000"

// Holds reports whether data at offset under replID is a part of this history: either of the
// history itself, or of the one that it continues, from before the fork.
func (l Lineage) Holds(replID string, offset int64) bool {
	if replID == "" || replID == NoReplID {
		return false
	}
	if replID == l.ReplID {
		return true
	}
	return replID == l.ReplID2 && l.ReplID2 != NoReplID && offset <= l.SecondOffset
}

// Shared returns how many bytes of this history other holds; -1 when it is of another. A node that
// was promoted out of it, or follows one that was, holds what lies before the fork.
func (l Lineage) Shared(other Lineage) int64 {
	switch {
	case l.Holds(other.ReplID, other.Offset):
		return other.Offset
	case l.ReplID != "" && l.ReplID != NoReplID && other.ReplID2 == l.ReplID:
		return min(other.Offset, other.SecondOffset-1)
	case l.ReplID2 != "" && l.ReplID2 != NoReplID && other.ReplID2 == l.ReplID2: // both went on with the same one
		return min(other.Offset, other.SecondOffset-1, l.SecondOffset-1)
	}
	return -1
}

// BeyondFork reports that this history continues another one and has gone on by itself.
func (l Lineage) BeyondFork(of Lineage) bool {
	return l.ReplID2 == of.ReplID && l.Offset >= l.SecondOffset
}

// Replication is one sample of a node's INFO.
type Replication struct {
	RunID      string
	Version    string // of Redis, for people; nothing is decided by it
	Role       Role
	MasterHost string // of a replica
	MasterPort int
	LinkUp     bool          // master_link_status
	Linked     bool          // the link to the present MasterHost is up, or was, as far as we have watched
	LastIO     time.Duration // master_last_io_seconds_ago, whole seconds; negative when the link is down
	Syncing    bool          // a full sync into this node is in progress
	Loading    bool          // it loads its disk; offsets and keys are not final
	Lineage    Lineage       // Offset is the applied one
	Priority   int           // replica-priority; 0 means: never promote
	Keys       int64         // over all databases
	Followers  int           // replicas that are connected and online
	// those of them that a master has heard within min-replicas-max-lag, and will count a second from now
	Fresh       int
	MinReplicas int  // min-replicas-to-write; negative when unknown
	AOFFailed   bool // it could not write its append-only file, and refuses writes until it can (MISCONF)
	SaveFailed  bool // its last snapshot failed; most refuse writes then as well (stop-writes-on-bgsave-error)
	OutOfMemory bool // it refused commands for want of memory in the last seconds (OOM)
	TurnsAway   bool // it turned connections away in the last seconds (maxclients)
}

// Fenced reports whether the node replicates from the fence address.
func (r Replication) Fenced() bool {
	return r.Role == RoleReplica && r.MasterHost == FenceHost && r.MasterPort == FencePort
}

// Cut says when the clients of a process were disconnected by us. It begins anew with the process, and with its
// promotion.
type Cut struct {
	First, Last time.Time // all clients; zero: never
	Hit         time.Time // the last time that there was one to be disconnected
	Writers     time.Time // when those that write were looked for last; zero: never
	Looks       int       // for those that write, while it went on refusing writes
	Misses      int       // looks in a row that found none
}

// Heard says until when a replica's link to a master may have carried anything. A master goes on writing alone for some
// seconds after it has heard its last replica, and Redis does not tell when that was: what the replica has heard stands
// for it.
type Heard struct {
	Master string    // IP of that master; FenceHost when not known, as the link had ended before we watched
	At     time.Time // zero: it never had a link
	RunID  string    // of the process that had it
}

// HadLink reports a process that has had a link to a master.
func (n RedisFacts) HadLink() bool {
	return !n.Heard.At.IsZero() && n.Heard.RunID == n.Replication.RunID
}

// Former is what was last seen of a process that has been replaced by another one in the same pod.
type Former struct {
	RunID   string // empty: none was seen
	Lineage Lineage
}

// Node is all that is known of one Redis pod: facts with ages, no opinion.
type Node struct {
	Name    string
	UID     string
	IP      string
	Ordinal int

	PodFacts
	RedisFacts
}

// PodFacts are what Kubernetes says of a pod. The controller fills them in.
type PodFacts struct {
	Ready       bool
	Terminating bool      // deletionTimestamp is set
	Outdated    bool      // a person changed what it was made from; a rollout wants it replaced
	Held        bool      // it serves as master, and no plan may move it now; what a person asks for may
	Unproven    bool      // it is not well, or has not been for long enough for a rollout to go on from it
	Cordoned    bool      // its Kubernetes node is unschedulable, or to be removed: a drain is under way or near
	NodeGone    bool      // its Kubernetes node object was deleted
	Exited      bool      // the kubelet reports the Redis container as terminated or waiting to restart
	ExitedAt    time.Time // when we were first told of that end
	Crashed     bool      // the Redis container has ended with an error, now or before the present one
	Machine     string    // the Kubernetes node under it; empty while it has none
	Zone        string    // of that node; empty where it names none
	MayHoldData bool      // its volume existed before; it may hold data that no other node has
	RoleLabel   Role
}

// RedisFacts are what Redis says, as it was heard from the pod's address. The prober fills them in.
type RedisFacts struct {
	Contact      Contact
	ContactSince time.Time // since when Contact is what it is
	// the last sign of life; errors instead of its state are none, except for BUSY within BusyPatience. Zero: never
	LastAnswer   time.Time
	WatchedSince time.Time // when we began to watch this pod
	Sampled      bool      // Replication holds a sample
	SampledAt    time.Time
	OrderedAt    time.Time // when a command that may change it was last sent
	Stale        bool      // a command was sent since the sample that may have changed it, or we were away
	Replication  Replication
	Former       Former    // the process that ran in this pod before, as last seen
	FreshSince   time.Time // since when samples show Replication.Fresh
	// when a TCP connection to it was last made, whoever answers on it; the machine does, for a process that hangs
	ConnectedAt time.Time
	RoleSince   time.Time // since when samples show Replication.Role
	LinkSince   time.Time // since when samples show Replication.LinkUp as it is
	Heard       Heard     // the last link to a master; kept when another process runs in the pod
	// when a sample last showed writes that this process has refused as a replica (READONLY) since the one before
	RefusedAt time.Time
	Cut       Cut // how its clients were disconnected since this process is a replica
}

// Ref returns the node's present incarnation.
func (n Node) Ref() NodeRef {
	return NodeRef{Pod: n.Name, UID: n.UID, RunID: n.Replication.RunID, IP: n.IP}
}

// Answers reports whether the node's sample may be used to act on: it answers, and nothing was
// changed on it since.
func (n RedisFacts) Answers() bool {
	return n.Contact == ContactAnswering && n.Sampled && !n.Stale
}

// SilentFor returns for how long nothing was heard. A node never heard is silent since it is watched.
func (n RedisFacts) SilentFor(now time.Time) time.Duration {
	since := n.LastAnswer
	if since.Before(n.WatchedSince) {
		since = n.WatchedSince
	}
	return max(0, now.Sub(since))
}

// Follows reports whether the node is set to replicate from ip.
func (n RedisFacts) Follows(ip string) bool {
	return n.Replication.Role == RoleReplica && n.Replication.MasterHost == ip
}
