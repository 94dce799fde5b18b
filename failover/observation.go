// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"slices"
	"time"
)

// Observation is everything that one decision may be based on, taken at one instant.
type Observation struct {
	Nodes  []Node // ordered by ordinal
	Absent []AbsentNode
	// Departed are the nodes that have gone from sight a moment ago, as they were last seen, and ended when that was
	// noticed.
	Departed  []Node
	Published Published
	// PublishedSince is since when Published is what it is, as far as this operator has seen.
	PublishedSince time.Time
	// ObserverSuspect is set when so many RedisHA became suspect in the same moment that the
	// observer, not Redis, is the likely cause. Soft evidence is void then.
	ObserverSuspect bool
}

// AbsentNode is a node that the spec asks for and that has no pod.
type AbsentNode struct {
	Name        string
	MayHoldData bool // its volume exists from before and may hold data newer than anyone's
}

// Published is where the master Service leads, as read from its EndpointSlice.
type Published struct {
	Pod   string // empty: it leads nowhere
	UID   string
	IP    string
	Epoch int64
}

// Is reports whether the Service leads to ref, by the word of epoch.
func (p Published) Is(ref NodeRef, epoch int64) bool {
	return p.LeadsTo(ref) && p.Epoch == epoch
}

// LeadsTo reports whether the Service leads to ref, whoever said so: a process that was restarted in the pod of a
// master is still where clients look for one.
func (p Published) LeadsTo(ref NodeRef) bool {
	return p.Pod == ref.Pod && p.UID == ref.UID && p.IP == ref.IP
}

// Publication remembers since when the master Service has led where it leads, as one operator sees it. The zero value
// has seen nothing.
type Publication struct {
	last  Published
	since time.Time
}

// Seen takes in where the Service leads, as seen at now, and returns since when it has.
func (p *Publication) Seen(now time.Time, published Published) time.Time {
	if p.since.IsZero() || p.last != published {
		p.last, p.since = published, now
	}
	return p.since
}

// Departures remembers the nodes that have gone from sight, as one operator sees it: their pods, or the Kubernetes
// nodes under them. A master that they were in touch with may go on taking writes for some seconds. The zero value has
// seen nothing.
type Departures struct {
	present  []Node
	departed []Node
}

// departedFor is how long a node that has gone is remembered. A master that it was in touch with has stopped by then.
const departedFor = GuardMaxLag + 3*time.Second

// Seen takes in the nodes as seen at now, and returns those that have gone from sight within some seconds. A pod that
// never had an address was in touch with no master.
func (d *Departures) Seen(now time.Time, nodes []Node) []Node {
	for _, n := range d.present {
		left := !slices.ContainsFunc(nodes, func(o Node) bool { return o.UID == n.UID && o.NodeGone == n.NodeGone })
		if left && n.IP != "" && !n.Exited && !n.NodeGone {
			n.Exited, n.ExitedAt = true, now
			d.departed = append(d.departed, n)
		}
	}
	d.departed = slices.DeleteFunc(d.departed, func(n Node) bool { return now.Sub(n.ExitedAt) > departedFor })
	d.present = slices.Clone(nodes)
	return slices.Clone(d.departed)
}

// Node finds the pod of ref: same name and same UID. A re-created pod is another node.
func (o Observation) Node(ref NodeRef) (Node, bool) {
	for _, n := range o.Nodes {
		if n.Name == ref.Pod && n.UID == ref.UID {
			return n, true
		}
	}
	return Node{}, false
}

// Others returns all nodes but the pod of ref.
func (o Observation) Others(ref NodeRef) []Node {
	others := make([]Node, 0, len(o.Nodes))
	for _, n := range o.Nodes {
		if n.Name != ref.Pod || n.UID != ref.UID {
			others = append(others, n)
		}
	}
	return others
}

// Masters returns the nodes that answer as master.
func (o Observation) Masters() []Node {
	var masters []Node
	for _, n := range o.Nodes {
		if n.Contact == ContactAnswering && n.Sampled && n.Replication.Role == RoleMaster {
			masters = append(masters, n)
		}
	}
	return masters
}
