// SPDX-License-Identifier: Apache-2.0

package lease

// Answer is what came of asking at the leader's address for its process.
type Answer int

// What may come of it. Only the first proves nothing.
const (
	Silent  Answer = iota // nothing came back in time, or nothing that can be told from a fault on the way
	Alive                 // the process answers
	Refused               // the machine answers that no process listens
	Other                 // another process answers at the address
)

// Census is how many Redis nodes were asked for connections of operators, how many answered, and how many of those list
// one that is not the asker's own.
type Census struct{ Asked, Answered, Listing int }

// clear reports that a leader, if it lived, could not be connected to any node that was reached. Where there are nodes,
// one has to answer: an asker that reaches none is more likely to be cut off itself.
func (c Census) clear() bool { return c.Listing == 0 && (c.Answered > 0 || c.Asked == 0) }

// Evidence is what a standby knows about the process of a leader.
type Evidence struct {
	Ended   bool   // the standby was connected to the process, and that connection ended
	Answer  Answer // of the address, since
	PodGone bool   // the API server says that the pod in which the process ran does not exist any more, or has ended
	Census  Census // of the Redis nodes, since
}

// Suspect reports that the process seems to be gone, as far as its own address and pod tell: the Redis nodes are to be
// asked.
func (e Evidence) Suspect() bool {
	switch e.Answer {
	case Alive:
		return false
	case Refused, Other:
		return e.PodGone || e.Ended
	default:
		return e.PodGone
	}
}

// Dead reports that the process is dead.
func (e Evidence) Dead() bool { return e.Suspect() && e.Census.clear() }
