// SPDX-License-Identifier: Apache-2.0

package failover

import "time"

// Action is one effect to bring about. The actions of one Decision are independent of each
// other: they may run at the same time, in any order, and more than once. Whether an action
// worked is told by the next observation only.
type Action interface {
	// Target names the node that the action changes; zero when it changes none.
	Target() NodeRef
	sealed()
}

// Detach makes a node replicate from the fence address: it stops accepting writes and its offset stands still. Quieten
// adds a pause of writes before, for a master whose clients are connected. With Look the node is sampled before: that
// its link has carried something until then (Node.Heard) is told by nothing afterwards.
type Detach struct {
	Node    NodeRef
	Quieten bool
	Look    bool
	Within  time.Duration
}

// Drain switches over: pauses the master's writes, waits until the candidate has all of them, then
// fences the master. If the candidate does not catch up within Within, writes are unpaused.
type Drain struct {
	Master    NodeRef
	Candidate NodeRef
	Within    time.Duration
}

// Promote makes a node master, with min-replicas-to-write set to MinReplicas before.
type Promote struct {
	Node        NodeRef
	MinReplicas int
}

// Follow points a node at the master. If the node is a master itself, its clients' writes since
// the fork are discarded: only a node whose data the master supersedes may be told to follow.
type Follow struct {
	Node   NodeRef
	Master NodeRef
}

// SetMinReplicas sets min-replicas-to-write of a master.
type SetMinReplicas struct {
	Node        NodeRef
	MinReplicas int
}

// Unpause ends a pause of writes that a switchover left behind.
type Unpause struct{ Node NodeRef }

// CutClients disconnects the clients of a node that is not master, so that they look for the master: all of them, or,
// where readers are meant to be, those whose last command writes.
type CutClients struct {
	Node        NodeRef
	WritersOnly bool
}

// Publish makes the master Service lead to Node, in one write.
type Publish struct {
	Node  NodeRef
	Epoch int64
}

// Withdraw makes the master Service lead nowhere.
type Withdraw struct{ Epoch int64 }

// Label writes the role label of a pod.
type Label struct {
	Node NodeRef
	Role Role
}

// DeletePod deletes the pod of a hung master, with its UID as precondition and never by force.
type DeletePod struct{ Node NodeRef }

// AcknowledgeRequest removes a request that was taken, refused or done.
type AcknowledgeRequest struct{ ID string }

// Target implements Action.
func (a Detach) Target() NodeRef { return a.Node }

// Target implements Action.
func (a Drain) Target() NodeRef { return a.Master }

// Target implements Action.
func (a Promote) Target() NodeRef { return a.Node }

// Target implements Action.
func (a Follow) Target() NodeRef { return a.Node }

// Target implements Action.
func (a SetMinReplicas) Target() NodeRef { return a.Node }

// Target implements Action.
func (a Unpause) Target() NodeRef { return a.Node }

// Target implements Action.
func (a CutClients) Target() NodeRef { return a.Node }

// Target implements Action.
func (a Publish) Target() NodeRef { return a.Node }

// Target implements Action.
func (Withdraw) Target() NodeRef { return NodeRef{} }

// Target implements Action.
func (a Label) Target() NodeRef { return a.Node }

// Target implements Action.
func (a DeletePod) Target() NodeRef { return a.Node }

// Target implements Action.
func (AcknowledgeRequest) Target() NodeRef { return NodeRef{} }

func (Detach) sealed()             {}
func (Drain) sealed()              {}
func (Promote) sealed()            {}
func (Follow) sealed()             {}
func (SetMinReplicas) sealed()     {}
func (Unpause) sealed()            {}
func (CutClients) sealed()         {}
func (Publish) sealed()            {}
func (Withdraw) sealed()           {}
func (Label) sealed()              {}
func (DeletePod) sealed()          {}
func (AcknowledgeRequest) sealed() {}
