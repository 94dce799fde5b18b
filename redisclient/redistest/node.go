// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"
)

// Config is what a node's redis.conf would say.
type Config struct {
	// Addr to listen on; empty means a free port of 127.0.0.1. It stays the same over restarts.
	Addr string
	// Password is requirepass and masterauth; empty means none.
	Password string
	// BootsAsMaster boots as a master instead of as a replica of 127.0.0.1 port 1.
	BootsAsMaster bool
	// Priority is replica-priority; 0 means the default of 100, and a negative number means 0 (never promote).
	Priority int
	// SyncDelay is how long a full synchronisation takes.
	SyncDelay time.Duration
	// ReplTimeout is after how much silence a replication link counts as down. Default 60 s.
	ReplTimeout time.Duration
}

// Keep says what a restarted node finds on its disk.
type Keep int

const (
	// KeepNothing is a node without persistence: empty, and of a lineage of its own.
	KeepNothing Keep = iota
	// KeepRDB is a snapshot taken at the last moment: the data, the lineage and the offset.
	KeepRDB
	// KeepAOF is an append-only file: the data, but a new lineage at offset 0.
	KeepAOF
)

// Node is one Redis process and, after [Node.Kill], the place where the next one starts.
type Node struct {
	net  *Network
	cfg  Config
	addr string

	// The process. Guarded by net.mu, like everything below.
	params        map[string]string // CONFIG GET and SET
	listener      net.Listener      // nil: not running
	sessions      map[int64]*session
	lastID        int64
	runID         string
	started       time.Time
	hungAt        time.Time // zero: not hung
	frozen        bool
	loading       bool
	paused        time.Time // writes wait until then
	refusedWrites int       // READONLY

	repl replication
	data store
}

// Start adds a running node.
func (w *Network) Start(cfg Config) (*Node, error) {
	if cfg.ReplTimeout == 0 {
		cfg.ReplTimeout = time.Minute
	}
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	n := &Node{net: w, cfg: cfg, addr: cfg.Addr}
	if err := n.boot(KeepNothing); err != nil {
		return nil, err
	}
	return n, nil
}

// boot starts a process on the node's address, with what keep says it finds on disk.
func (n *Node) boot(keep Keep) error {
	listener, err := net.Listen("tcp", n.addr)
	if err != nil {
		return fmt.Errorf("start node: %w", err)
	}
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	if n.listener != nil {
		return errors.Join(errors.New("node is running"), listener.Close())
	}
	old, entries := n.repl, n.data.entries
	if actual := listener.Addr().String(); n.addr != actual {
		n.addr = actual // at the first start only: Addr is read without the lock
	}
	n.listener, n.sessions, n.params = listener, map[int64]*session{}, defaultParams(n.cfg)
	n.runID, n.started, n.hungAt = randomID(), time.Now(), time.Time{}
	n.frozen, n.loading, n.paused, n.refusedWrites = false, false, time.Time{}, 0
	n.repl = replication{id: randomID(), id2: noID, secondOffset: -1}
	n.data = newStore()
	if keep != KeepNothing {
		n.data.replay(entries)
	}
	if keep == KeepRDB {
		n.repl.restore(old)
	}
	if !n.cfg.BootsAsMaster {
		n.repl.masterHost, n.repl.masterPort, n.repl.replica = "127.0.0.1", 1, true
	}
	n.net.nodes[n.addr] = n
	go n.accept(listener)
	n.net.settle()
	return nil
}

// Addr is the node's host:port.
func (n *Node) Addr() string { return n.addr }

// HostPort is the node's address as REPLICAOF takes it.
func (n *Node) HostPort() (host string, port int) { return splitAddr(n.addr) }

func splitAddr(addr string) (host string, port int) {
	host, p, _ := net.SplitHostPort(addr)
	port, _ = strconv.Atoi(p)
	return host, port
}

// Kill ends the process as SIGKILL does: its connections close and the next ones are refused.
func (n *Node) Kill() {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	if n.listener == nil {
		return
	}
	_ = n.listener.Close()
	n.listener = nil
	for _, s := range n.sessions {
		s.kill()
	}
	delete(n.net.nodes, n.addr)
	n.unlink()
	for _, other := range n.net.nodes {
		if other.repl.link == n {
			other.unlink()
		}
	}
	n.data.close()
	n.net.changed.Broadcast()
}

// Restart starts a new process, killing the present one if there is one.
func (n *Node) Restart(keep Keep) error {
	n.Kill()
	return n.boot(keep)
}

// Close ends the node for good.
func (n *Node) Close() { n.Kill() }

// Hang stops the process as SIGSTOP does: connections are still established, commands wait.
func (n *Node) Hang() {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	if n.hungAt.IsZero() {
		n.hungAt = time.Now()
	}
}

// Resume ends Hang; what waits in the sockets is executed, whether or not its sender is still there.
func (n *Node) Resume() {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	n.hungAt = time.Time{}
	n.net.settle()
}

// Freeze makes a replica lag: its link stays up, and it applies nothing until [Node.Unfreeze].
func (n *Node) Freeze() {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	n.frozen = true
}

// Unfreeze lets a replica catch up.
func (n *Node) Unfreeze() {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	n.frozen = false
	n.net.settle()
}

// SetLoading makes the node behave as if it were reading its data set from disk.
func (n *Node) SetLoading(loading bool) {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	n.loading = loading
	n.net.settle()
}

// SetPassword changes requirepass and masterauth, in the running process and for the next ones. Connections stay
// authenticated.
func (n *Node) SetPassword(password string) {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	n.cfg.Password, n.params["requirepass"], n.params["masterauth"] = password, password, password
	n.net.settle()
}

// Syncs returns how many full and partial synchronisations the running process got from its masters.
func (n *Node) Syncs() (full, partial int) {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	return n.repl.full, n.repl.partial
}

func (n *Node) running() bool { return n.listener != nil }

func (n *Node) hung() bool { return !n.hungAt.IsZero() }

func (n *Node) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		n.net.mu.Lock()
		if n.listener != listener {
			n.net.mu.Unlock()
			_ = conn.Close()
			return
		}
		if len(n.sessions) >= n.number("maxclients") {
			n.net.mu.Unlock()
			_, _ = conn.Write([]byte("-ERR max number of clients reached\r\n"))
			_ = conn.Close()
			continue
		}
		n.lastID++
		s := newSession(n, conn, n.lastID)
		n.sessions[s.id] = s
		n.net.mu.Unlock()
		go s.serve()
	}
}

const noID = "0000000000000000000000000000000000000000"

func randomID() string {
	const hex = "0123456789abcdef"
	id := make([]byte, 40)
	for i := range id {
		id[i] = hex[rand.IntN(len(hex))]
	}
	return string(id)
}

func defaultParams(cfg Config) map[string]string {
	priority := cfg.Priority
	switch {
	case priority == 0:
		priority = 100
	case priority < 0:
		priority = 0
	}
	return map[string]string{
		"requirepass": cfg.Password, "masterauth": cfg.Password,
		"maxclients": "10000", "replica-serve-stale-data": "yes", "min-replicas-to-write": "0", "min-replicas-max-lag": "10",
		"replica-priority": strconv.Itoa(priority), "appendonly": "no", "save": "",
		"repl-backlog-size": "67108864", "repl-timeout": strconv.Itoa(int(cfg.ReplTimeout.Seconds())),
	}
}
