// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

// Learned is what a Prober learns about one pod, without its connection, its loop and its clock: how the outcomes of
// probes become facts with ages. A simulation of probes feeds it by itself. It is not safe for concurrent use.
type Learned struct{ state state }

// Learn begins to learn about a pod.
func Learn(t Target, now time.Time) *Learned {
	return &Learned{state: newState(t, now)}
}

// Probe is one question to a pod, as it was asked.
type Probe struct {
	began time.Time
	marks uint64
}

// Begin is called when a probe begins.
func (l *Learned) Begin(now time.Time) Probe { return Probe{began: now, marks: l.state.marks} }

// Change is what follows from what came of a probe.
type Change struct {
	// Wakes: the pod differs in kind from before ([Options.Wake]).
	Wakes bool
	// Hurries: the other pods are asked soon.
	Hurries bool
	// Urgent: contact or incarnation differ, so the other pods are asked at once.
	Urgent bool
}

// End takes in what came of a probe.
func (l *Learned) End(p Probe, now time.Time, info redisclient.Info, err error) Change {
	before := l.state.kind()
	l.state.record(outcome{began: p.began, ended: now, marks: p.marks, info: info, class: redisclient.Classify(err)})
	return changed(before, l.state.kind())
}

// EOF is called the moment the connection ends.
func (l *Learned) EOF(now time.Time) { l.state.eofAt = now }

// Connected is called when a connection was made, whoever answers on it.
func (l *Learned) Connected(now time.Time) { l.state.connected(now) }

// MarkStale says that a command is sent, or was sent, that may change the pod.
func (l *Learned) MarkStale(now time.Time) { l.state.markStale(now) }

// MarkClientsCut says that the pod's clients, or those of them that write, were disconnected, and how many there were.
func (l *Learned) MarkClientsCut(now time.Time, writersOnly bool, killed int) {
	l.state.markClientsCut(now, writersOnly, killed)
}

// VoidSilence makes silence be counted from now on.
func (l *Learned) VoidSilence(now time.Time) { l.state.voidSilence(now) }

// Node returns what is known, for a decision.
func (l *Learned) Node() failover.Node { return l.state.look() }
