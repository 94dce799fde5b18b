// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"net"
	"strconv"
	"time"
)

// replication is a node's place in the replication, in Redis's own terms.
type replication struct {
	replica    bool
	masterHost string
	masterPort int

	id, id2      string
	secondOffset int64
	offset       int64

	link    *Node // the master it is attached to; nil while the link is down
	known   bool  // id and offset name a position in a lineage (Redis: there is a cached master)
	syncing *transfer
	downAt  time.Time // when the link went down; zero if it never was up

	// The backlog. Redis has none before the first replica, and counts no offset until then.
	hasBacklog bool
	backlog    []streamed

	full, partial int
}

// streamed is an entry with the offset after it.
type streamed struct {
	entry
	end int64
}

// restore takes over the position a snapshot holds.
func (r *replication) restore(old replication) {
	r.id, r.id2, r.secondOffset, r.offset = old.id, old.id2, old.secondOffset, old.offset
	r.known = old.offset > 0
}

// shift begins a new lineage that continues the present one up to here.
func (r *replication) shift() {
	r.id2, r.secondOffset = r.id, r.offset+1
	r.id = randomID()
}

// covers reports whether a replica at offset of lineage id can continue without a full synchronisation.
func (r *replication) covers(id string, offset int64) bool {
	sameLineage := id == r.id || (id == r.id2 && offset+1 <= r.secondOffset)
	if !sameLineage || !r.hasBacklog || offset > r.offset {
		return false
	}
	start := r.offset
	if len(r.backlog) > 0 {
		start = r.backlog[0].end - r.backlog[0].size
	}
	return offset >= start
}

// push adds a write to the stream. Without a backlog there is no stream and no offset.
func (r *replication) push(e entry) {
	if !r.hasBacklog {
		return
	}
	r.offset += e.size
	r.backlog = append(r.backlog, streamed{e, r.offset})
}

// openBacklog happens at the first replica: what was written before belongs to no lineage, so a new one begins.
func (r *replication) openBacklog() {
	if r.hasBacklog {
		return
	}
	r.hasBacklog, r.backlog = true, nil
	r.id, r.id2, r.secondOffset = randomID(), noID, -1
}

// replicaOf is REPLICAOF host port; an empty host is NO ONE.
func (n *Node) replicaOf(host string, port int) {
	r := &n.repl
	switch {
	case host == "" && !r.replica:
		return
	case host != "" && r.replica && r.masterHost == host && r.masterPort == port:
		return
	case host == "":
		n.unlink()
		r.shift()
		r.replica, r.masterHost, r.masterPort, r.known = false, "", 0, false
		r.downAt = time.Time{}
		n.dropReplicas()
	default:
		n.unlink()
		r.known = r.known || !r.replica // a master can continue as a replica from where it was
		r.replica, r.masterHost, r.masterPort = true, host, port
		// Its own replicas stay attached: they can follow as long as the lineage goes on.
	}
	n.net.settle()
}

// dropReplicas makes the node's replicas ask again, because its lineage has another name or other data now.
func (n *Node) dropReplicas() {
	for _, other := range n.net.nodes {
		if other.repl.link == n {
			other.unlink()
		}
	}
}

func (n *Node) unlink() {
	if n.repl.syncing != nil {
		n.repl.syncing.timer.Stop()
		n.repl.syncing = nil
	}
	if n.repl.link != nil {
		n.repl.link, n.repl.downAt = nil, time.Now()
	}
}

// master returns the node it was told to follow, if that is running and can be reached.
func (n *Node) master() *Node {
	m := n.net.nodes[net.JoinHostPort(n.repl.masterHost, strconv.Itoa(n.repl.masterPort))]
	if !n.repl.replica || m == nil || m == n || !n.net.silentSince(n, m).IsZero() {
		return nil
	}
	return m
}

// tryConnect attaches a replica whose link is down to its master, if the master lets it. It reports whether it did.
func (n *Node) tryConnect() bool {
	r, m := &n.repl, n.master()
	if r.link != nil || r.syncing != nil || n.loading || m == nil || !m.accepts(n) {
		return false
	}
	if r.known && m.repl.covers(r.id, r.offset) {
		n.resync(m)
		return true
	}
	if n.cfg.SyncDelay == 0 {
		n.fullSync(m)
		return true
	}
	sync := &transfer{}
	sync.timer = time.AfterFunc(n.cfg.SyncDelay, func() { n.finishSync(sync) })
	r.syncing = sync
	return false
}

// accepts reports whether the node lets a replica synchronise.
func (n *Node) accepts(replica *Node) bool {
	password := n.params["requirepass"]
	switch {
	case n.loading:
		return false
	case password != "" && password != replica.params["masterauth"]:
		return false
	default:
		return !n.repl.replica || n.repl.link != nil // else NOMASTERLINK
	}
}

// transfer is a full synchronisation under way.
type transfer struct{ timer *time.Timer }

func (n *Node) finishSync(sync *transfer) {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	if n.repl.syncing != sync {
		return
	}
	n.repl.syncing = nil
	if m := n.master(); m != nil {
		n.fullSync(m)
	}
	n.net.settle()
}

// resync continues in the master's lineage from where the node is.
func (n *Node) resync(m *Node) {
	r := &n.repl
	if r.id != m.repl.id {
		r.id2, r.secondOffset, r.id = r.id, r.offset+1, m.repl.id
		n.dropReplicas()
	}
	r.partial++
	n.attach(m)
}

// fullSync replaces the node's data by the master's.
func (n *Node) fullSync(m *Node) {
	m.repl.openBacklog()
	r := &n.repl
	n.data.replay(m.data.entries)
	r.id, r.id2, r.secondOffset, r.offset = m.repl.id, noID, -1, m.repl.offset
	r.backlog = nil
	r.full++
	n.attach(m)
	n.dropReplicas()
}

func (n *Node) attach(m *Node) {
	n.repl.link, n.repl.known, n.repl.hasBacklog, n.repl.downAt = m, true, true, time.Time{}
}

// linkUp is what INFO calls master_link_status.
func (n *Node) linkUp() bool {
	return n.repl.link != nil && n.silence() < n.cfg.ReplTimeout
}

// silence is how long the replica has heard nothing from the master it is attached to.
func (n *Node) silence() time.Duration {
	since := n.net.silentSince(n, n.repl.link)
	if since.IsZero() {
		return 0
	}
	return time.Since(since)
}

// pull applies what the master has and this replica has not, and passes it on.
func (n *Node) pull() {
	m := n.repl.link
	if m == nil || n.frozen || !n.net.silentSince(n, m).IsZero() {
		return
	}
	for _, s := range m.repl.missing(n.repl.offset) {
		n.data.apply(s.entry)
		n.repl.push(s.entry)
	}
	n.feed()
}

// feed lets the attached replicas pull.
func (n *Node) feed() {
	for _, other := range n.net.nodes {
		if other.repl.link == n && other.repl.offset < n.repl.offset {
			other.pull()
		}
	}
}

// missing returns the stream after offset.
func (r *replication) missing(offset int64) []streamed {
	i := len(r.backlog)
	for i > 0 && r.backlog[i-1].end > offset {
		i--
	}
	return r.backlog[i:]
}

// goodReplicas counts the attached replicas whose lag is within min-replicas-max-lag.
func (n *Node) goodReplicas() int {
	maxLag, _ := strconv.Atoi(n.params["min-replicas-max-lag"])
	good := 0
	for _, other := range n.net.nodes {
		if other.repl.link == n && other.silence() <= time.Duration(maxLag)*time.Second {
			good++
		}
	}
	return good
}
