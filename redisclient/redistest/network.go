// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"sync"
	"time"
)

// Network is a set of nodes that can reach each other. Its one lock guards all of them, which makes every command
// atomic with its replication.
type Network struct {
	mu      sync.Mutex
	changed *sync.Cond // a node, a link or a pause changed
	nodes   map[string]*Node
	cuts    map[[2]*Node]time.Time
}

// NewNetwork returns an empty network.
func NewNetwork() *Network {
	w := &Network{nodes: map[string]*Node{}, cuts: map[[2]*Node]time.Time{}}
	w.changed = sync.NewCond(&w.mu)
	return w
}

// Close ends all nodes.
func (w *Network) Close() {
	w.mu.Lock()
	nodes := make([]*Node, 0, len(w.nodes))
	for _, n := range w.nodes {
		nodes = append(nodes, n)
	}
	w.mu.Unlock()
	for _, n := range nodes {
		n.Close()
	}
}

// Cut silences the replication traffic between two nodes, in both directions, until [Network.Heal]: nothing is
// refused, nothing arrives. Clients are not affected.
func (w *Network) Cut(a, b *Node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.cuts[pair(a, b)]; !ok {
		w.cuts[pair(a, b)] = time.Now()
	}
}

// Heal ends a Cut; what was written meanwhile arrives.
func (w *Network) Heal(a, b *Node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.cuts, pair(a, b))
	w.settle()
}

func pair(a, b *Node) [2]*Node {
	if a.addr > b.addr {
		a, b = b, a
	}
	return [2]*Node{a, b}
}

// silentSince returns since when nothing passes between two nodes, or the zero time.
func (w *Network) silentSince(a, b *Node) time.Time {
	since := w.cuts[pair(a, b)]
	for _, n := range []*Node{a, b} {
		if !n.hungAt.IsZero() && (since.IsZero() || n.hungAt.Before(since)) {
			since = n.hungAt
		}
	}
	return since
}

// settle lets every replica that can connect do so, and every attached one catch up. It must be called after any
// change that could let one of them proceed. Each round attaches a node or is the last, so it ends.
func (w *Network) settle() {
	for again := true; again; {
		again = false
		for _, n := range w.nodes {
			again = n.tryConnect() || again
		}
	}
	for _, n := range w.nodes {
		n.pull()
	}
	w.changed.Broadcast()
}
