// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

// unknownState is a state of a newer version of the operator.
const unknownState failover.State = "of a newer version"

// newerVersion has a newer version lead for a while, which leaves the progress in a state that ours does not know, and
// takes it up again.
func (w *world) newerVersion(f fault) {
	a := w.api
	known := a.now.progress.State
	if known == unknownState {
		return
	}
	a.putState(unknownState)
	a.newerTill = max(a.newerTill, w.now+f.dur)
	w.after(f.dur, func() {
		if a.now.progress.State == unknownState {
			a.putState(known)
		}
	})
}

// putState changes the state of the progress, and nothing else, as another version of the operator does.
func (a *api) putState(s failover.State) {
	a.w.note("another version of the operator puts the state %q", s)
	p := a.now.progress.Clone()
	p.State = s
	a.now.progress, a.stateSince = &p, a.w.now
	a.now.swaps++
	a.changed()
}

// relabel takes the label from a pod by which it is found, for a while.
func (w *world) relabel(f fault) {
	w.onPod(f.a, func(p *pod) {
		w.note("%s loses its label", p.name)
		p.unlabelled = true
		w.api.podsChanged()
		w.after(f.dur, func() {
			p.unlabelled = false
			w.api.podsChanged()
		})
	})
}

// answerGarbage has a process answer with what is no INFO, or with one that is untrue; otherwise it does what it is
// told.
func (w *world) answerGarbage(f fault) {
	w.onServer(f.a, func(s *server) {
		s.garbageTill, s.lies = max(s.garbageTill, w.now+f.dur), f.b != theMaster
		w.checks.byHand = w.checks.byHand ||
			s.lies // one that is said to be restarted loses its place, and the set its writes
	})
}

func (s *server) garbage() bool { return s.w.now < s.garbageTill }

// untrue is an INFO that can be parsed and in which some of what a process says of itself is wrong, each time something
// else. What it says of its data and of its fitness is true: a process that boasts of them is believed, at the cost of
// those whose pod it is.
func (s *server) untrue(i redisclient.Info) redisclient.Info {
	r := s.w.rng
	if r.IntN(2) == 0 {
		i.RunID = fmt.Sprintf("%040x", r.Uint64())
	}
	switch r.IntN(4) {
	case 0:
		i.Role, i.MasterHost, i.MasterPort, i.LinkUp = redisclient.RoleMaster, "", 0, false
	case 1:
		i.Role, i.MasterHost, i.MasterPort = redisclient.RoleReplica, pick(
			r, redisclient.FenceHost, "::", i.MasterHost,
		), pick(
			r,
			1,
			-1,
			1<<40,
		)
		i.LinkUp = r.IntN(2) == 0
	}
	wildly := func() time.Duration {
		return pick(r, 0, redisclient.Unknown, math.MinInt64, math.MaxInt64, 1000*time.Hour)
	}
	i.LastIO, i.LinkDownFor = wildly(), wildly()
	i.MinReplicas, i.MaxLag, i.RefusedWrites = pick(r, 0, redisclient.Unknown, math.MaxInt64), wildly(), r.Int64()
	i.ConnectedReplicas = slices.Repeat(
		[]redisclient.ConnectedReplica{{Addr: "::", Port: -1, State: "online", Lag: wildly()}}, r.IntN(9),
	)
	return i
}

var errGarbage = errors.New("INFO names no role")

// volumeIsLate deletes a pod whose volume is attached late to the one that takes its place.
func (w *world) volumeIsLate(f fault) {
	w.onPod(f.a, func(p *pod) {
		w.lateTill[p.ordinal] = max(w.lateTill[p.ordinal], w.now+f.dur)
		p.terminate(30 * time.Second)
	})
}
