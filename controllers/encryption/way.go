// SPDX-License-Identifier: Apache-2.0

package encryption

import (
	"bytes"
	"slices"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
)

// Goal is what the spec wants.
type Goal struct {
	// Stage is Clear, Used or Required.
	Stage v1alpha1.TLSStage
	// Material is what is to be encrypted with; nil when it is not known, or not wanted.
	Material *Material
	// TrustFormer is for how long an authority is trusted that the goal does not name any more.
	TrustFormer time.Duration
}

// Reached is how far the processes are that there are.
type Reached struct {
	// Answering: each that answers is like the state.
	Answering bool
	// All: so is every one, and there are as many as there are to be.
	All bool
}

// Next is the state that follows s on the way to a goal; s itself when there is nothing to do, or something has to be
// waited for. One step at a time is made: first what processes encrypt with, then one stage. No step is made before
// every process that answers has made the last one; none to another stage before all processes have, because a process
// that is talked to in a way that it does not know yet looks like a dead one.
//
// A certificate of another authority takes two steps: every process trusts both authorities before any has the new
// certificate. The former one stays trusted for a while, so that clients can follow.
func (s State) Next(goal Goal, reached Reached, now time.Time) State {
	if off := goal.Stage == v1alpha1.TLSStageClear; s.clear() || s.first() && off {
		return s.fromClear(goal, off, reached)
	}
	want, until := s.material(goal, now)
	switch {
	case !s.Live.equal(want) && (s.Trial || reached.Answering):
		return State{Stage: s.Stage, Trial: true, Live: want, Boot: s.boot(), FormerUntil: until}
	case !reached.Answering:
		return s
	case s.Trial:
		return State{Stage: s.Stage, Live: s.Live, FormerUntil: until}
	case reached.All && s.Stage != goal.Stage:
		return s.toward(goal.Stage)
	}
	s.FormerUntil = until
	return s
}

// Begun is the state of a RedisHA that has no process yet.
func Begun(goal Goal) State {
	if goal.Stage == v1alpha1.TLSStageClear || goal.Material == nil {
		return State{}
	}
	return State{Stage: goal.Stage, Live: goal.Material}
}

// clear reports that no process starts with a port for encrypted connections, nor is one on trial.
func (s State) clear() bool { return s.Live == nil || at(s.Stage) == 0 }

// first reports the trial of the first material, on which nothing relies.
func (s State) first() bool { return s.Trial && s.Boot == nil }

// fromClear is the first step. Where there is none to make, Live is kept until every process has closed the port.
func (s State) fromClear(goal Goal, off bool, reached Reached) State {
	switch {
	case !off && goal.Material != nil:
		return State{Stage: v1alpha1.TLSStageOffered, Trial: true, Live: goal.Material}
	case s.clear() && (s.Live == nil || reached.All):
		return State{}
	}
	return State{Stage: v1alpha1.TLSStageClear, Live: s.Live}
}

// toward is one stage further, or back.
func (s State) toward(goal v1alpha1.TLSStage) State {
	step := 1
	if at(goal) < at(s.Stage) {
		step = -1
	}
	s.Stage = stages[at(s.Stage)+step]
	return s
}

// material is what is to be encrypted with next, and until when what the goal does not name is trusted.
func (s State) material(goal Goal, now time.Time) (*Material, time.Time) {
	boot := s.boot()
	switch {
	case goal.Material == nil:
		return s.Live, s.FormerUntil
	case boot == nil: // nothing relies on what is on trial
		return goal.Material, time.Time{}
	}
	want := *goal.Material
	authority := want.Trusted[0]
	if !slices.ContainsFunc(boot.Trusted, func(ca []byte) bool { return bytes.Equal(ca, authority) }) {
		want.Certificate, want.Key = boot.Certificate, boot.Key
		want.Trusted = union(boot.Trusted, goal.Material.Trusted)
		return &want, time.Time{}
	}
	all := union(want.Trusted, boot.Trusted)
	if len(all) == len(want.Trusted) {
		return &want, time.Time{}
	}
	until := s.FormerUntil
	if until.IsZero() {
		until = now.Add(goal.TrustFormer)
	}
	if now.Before(until) || !bytes.Equal(want.Certificate, boot.Certificate) {
		want.Trusted = all
	}
	return &want, until // which stays until every process starts without the former ones
}

// union is a, and what b has besides.
func union(a, b [][]byte) [][]byte {
	all := slices.Clone(a)
	for _, ca := range b {
		if !slices.ContainsFunc(all, func(have []byte) bool { return bytes.Equal(have, ca) }) {
			all = append(all, ca)
		}
	}
	return all
}

func (m *Material) equal(other *Material) bool {
	return bytes.Equal(m.Certificate, other.Certificate) && bytes.Equal(m.Key, other.Key) &&
		m.Clients == other.Clients && slices.EqualFunc(m.Trusted, other.Trusted, bytes.Equal)
}
