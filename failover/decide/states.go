// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/looplab/fsm"

	"github.com/redisha/redisha/failover"
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
	// there is no master to fail over from: the very first candidate was lost, or none is published.
	EventRestart Event = "restart"
	EventAdopt   Event = "adopt"  // the status was older than what is published
	EventOrphan  Event = "orphan" // as adopt, and no master is published
	// No Redis is to run any more: the last one is the master, and what it has is on its volume.
	EventHibernate Event = "hibernate"
	EventWake      Event = "wake" // one is to run again
)

// transitions is the state machine: the only place that says which way leads where.
var transitions = fsm.Events{
	{
		Name: string(EventChoose),
		Src: []string{
			string(failover.StateBootstrapping),
			string(failover.StateFencing),
			string(failover.StateSwitchingOver),
		},
		Dst: string(failover.StatePromoting),
	},
	{Name: string(EventSuspect), Src: []string{string(failover.StateStable)}, Dst: string(failover.StateSuspected)},
	{Name: string(EventAnswer), Src: []string{string(failover.StateSuspected)}, Dst: string(failover.StateStable)},
	{Name: string(EventFailOver), Src: []string{
		string(failover.StateStable), string(failover.StateSuspected), string(failover.StateSwitchingOver),
		string(failover.StatePromoting), string(failover.StateReattaching),
	}, Dst: string(failover.StateFencing)},
	{Name: string(EventSwitchOver), Src: []string{string(failover.StateStable)}, Dst: string(failover.StateSwitchingOver)},
	{Name: string(EventAbort), Src: []string{string(failover.StateSwitchingOver)}, Dst: string(failover.StateStable)},
	{Name: string(EventPublish), Src: []string{string(failover.StatePromoting)}, Dst: string(failover.StateReattaching)},
	{Name: string(EventSettle), Src: []string{string(failover.StateReattaching)}, Dst: string(failover.StateStable)},
	{Name: string(EventBlock), Src: []string{string(failover.StateFencing)}, Dst: string(failover.StateBlocked)},
	{Name: string(EventUnblock), Src: []string{string(failover.StateBlocked)}, Dst: string(failover.StateFencing)},
	{Name: string(EventHibernate), Src: []string{
		string(failover.StateBootstrapping), string(failover.StateStable), string(failover.StateSuspected),
		string(failover.StateFencing), string(failover.StateBlocked),
	}, Dst: string(failover.StateHibernated)},
	{Name: string(EventWake), Src: []string{string(failover.StateHibernated)}, Dst: string(failover.StateBootstrapping)},
	{Name: string(EventRestart), Src: everywhere(), Dst: string(failover.StateBootstrapping)},
	{Name: string(EventAdopt), Src: everywhere(), Dst: string(failover.StateStable)},
	{Name: string(EventOrphan), Src: everywhere(), Dst: string(failover.StateFencing)},
}

func everywhere() []string {
	states := make([]string, 0, len(States()))
	for _, s := range States() {
		states = append(states, string(s))
	}
	return states
}

// States lists all states, in the order of a failover.
func States() []failover.State {
	return []failover.State{
		failover.StateBootstrapping,
		failover.StateStable,
		failover.StateSuspected,
		failover.StateFencing,
		failover.StateSwitchingOver,
		failover.StatePromoting,
		failover.StateReattaching,
		failover.StateHibernated,
		failover.StateBlocked,
	}
}

// machine builds the table's machine standing at from. It is built anew for each decision: the
// machine's own memory is worth nothing, the persisted state is.
func machine(from failover.State) *fsm.FSM {
	return fsm.NewFSM(string(from), transitions, nil)
}

// step returns the state that event leads to. An event that the table does not know in this
// state is an error of the program, and changes nothing.
func step(from failover.State, event Event) (failover.State, error) {
	m := machine(from)
	// No callbacks, no cancellable context: a cancelled leave callback would wedge the machine.
	err := m.Event(context.Background(), string(event))
	if err != nil && !errors.As(err, &fsm.NoTransitionError{}) {
		return from, fmt.Errorf("state %s: %w", from, err)
	}
	return failover.State(m.Current()), nil
}

// Diagram returns the state machine as a Mermaid state diagram.
func Diagram() (string, error) {
	text, err := fsm.VisualizeForMermaidWithGraphType(machine(failover.StateBootstrapping), fsm.StateDiagram)
	if err != nil {
		return "", fmt.Errorf("drawing the state machine: %w", err)
	}
	return strings.TrimSpace(text) + "\n", nil
}
