package failover

import "time"

// Observation is everything that one decision may be based on, taken at one instant.
type Observation struct {
	Nodes     []Node // ordered by ordinal
	Absent    []AbsentNode
	Published Published
	// PublishedSince is since when Published is what it is, as far as this operator has seen.
	PublishedSince time.Time
	// ObserverSick is set when so many RedisHA became suspect in the same moment that the
	// observer, not Redis, is the likely cause. Soft evidence is void then.
	ObserverSick bool
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

// LeadsTo reports whether the Service leads to ref, whoever said so: a process that was restarted in the pod of a master is still
// where clients look for one.
func (p Published) LeadsTo(ref NodeRef) bool {
	return p.Pod == ref.Pod && p.UID == ref.UID && p.IP == ref.IP
}

// Publication remembers since when the master Service has led where it leads, as one operator sees it. The zero value has seen nothing.
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
