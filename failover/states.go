// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/looplab/fsm"
)

// Event is what moves the machine from one State to another.
type Event string

// The events.
const (
	EventSuspect    Event = "suspect"     // the master is silent for down-after
	EventAnswer     Event = "answer"      // it is heard again
	EventFailOver   Event = "fail over"   // the loss of the master is a fact, or confirmed by witnesses
	EventSwitchOver Event = "switch over" // planned: the master is leaving, or a person asked
	EventAbort      Event = "abort"       // a switchover that has not demoted anybody is given up
	EventChoose     Event = "choose"      // a candidate is chosen on frozen offsets
	EventPublish    Event = "publish"     // the candidate says that it is master, and the Service leads to it
	EventSettle     Event = "settle"      // everybody who answers follows the new master
	EventBlock      Event = "block"       // no candidate can be promoted safely
	EventUnblock    Event = "unblock"     // one can, now
	EventRestart    Event = "restart"     // there is no master to fail over from: the very first candidate was lost, or none is published
	EventAdopt      Event = "adopt"       // the status was older than what is published
	EventOrphan     Event = "orphan"      // as adopt, and no master is published
)

// transitions is the state machine: the only place that says which way leads where.
var transitions = fsm.Events{
	{Name: string(EventChoose), Src: []string{string(StateBootstrapping), string(StateFencing), string(StateSwitchingOver)}, Dst: string(StatePromoting)},
	{Name: string(EventSuspect), Src: []string{string(StateStable)}, Dst: string(StateSuspected)},
	{Name: string(EventAnswer), Src: []string{string(StateSuspected)}, Dst: string(StateStable)},
	{Name: string(EventFailOver), Src: []string{
		string(StateStable), string(StateSuspected), string(StateSwitchingOver),
		string(StatePromoting), string(StateReattaching),
	}, Dst: string(StateFencing)},
	{Name: string(EventSwitchOver), Src: []string{string(StateStable)}, Dst: string(StateSwitchingOver)},
	{Name: string(EventAbort), Src: []string{string(StateSwitchingOver)}, Dst: string(StateStable)},
	{Name: string(EventPublish), Src: []string{string(StatePromoting)}, Dst: string(StateReattaching)},
	{Name: string(EventSettle), Src: []string{string(StateReattaching)}, Dst: string(StateStable)},
	{Name: string(EventBlock), Src: []string{string(StateFencing)}, Dst: string(StateBlocked)},
	{Name: string(EventUnblock), Src: []string{string(StateBlocked)}, Dst: string(StateFencing)},
	{Name: string(EventRestart), Src: everywhere(), Dst: string(StateBootstrapping)},
	{Name: string(EventAdopt), Src: everywhere(), Dst: string(StateStable)},
	{Name: string(EventOrphan), Src: everywhere(), Dst: string(StateFencing)},
}

func everywhere() []string {
	states := make([]string, 0, len(States()))
	for _, s := range States() {
		states = append(states, string(s))
	}
	return states
}

// States lists all states, in the order of a failover.
func States() []State {
	return []State{
		StateBootstrapping, StateStable, StateSuspected, StateFencing, StateSwitchingOver,
		StatePromoting, StateReattaching, StateBlocked,
	}
}

// machine builds the table's machine standing at from. It is built anew for each decision: the
// machine's own memory is worth nothing, the persisted state is.
func machine(from State) *fsm.FSM {
	return fsm.NewFSM(string(from), transitions, nil)
}

// step returns the state that event leads to. An event that the table does not know in this
// state is an error of the program, and changes nothing.
func step(from State, event Event) (State, error) {
	m := machine(from)
	// No callbacks, no cancellable context: a cancelled leave callback would wedge the machine.
	err := m.Event(context.Background(), string(event))
	if err != nil && !errors.As(err, &fsm.NoTransitionError{}) {
		return from, fmt.Errorf("state %s: %w", from, err)
	}
	return State(m.Current()), nil
}

// Diagram returns the state machine as a Mermaid state diagram.
func Diagram() (string, error) {
	text, err := fsm.VisualizeForMermaidWithGraphType(machine(StateBootstrapping), fsm.StateDiagram)
	if err != nil {
		return "", fmt.Errorf("drawing the state machine: %w", err)
	}
	return strings.TrimSpace(text) + "\n", nil
}
