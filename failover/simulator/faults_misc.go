package simulator

import (
	"errors"
	"time"

	"github.com/redisha/redisha/failover"
)

// unknownState is a state of a newer version of the operator.
const unknownState failover.State = "of a newer version"

// newerVersion has a newer version lead for a while, which leaves the progress in a state that ours does not know, and takes it up again.
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

// answerGarbage has a process answer with what is no INFO; otherwise it does what it is told.
func (w *world) answerGarbage(f fault) {
	w.onServer(f.a, func(s *server) { s.garbageTill = max(s.garbageTill, w.now+f.dur) })
}

func (s *server) garbage() bool { return s.w.now < s.garbageTill }

var errGarbage = errors.New("INFO names no role")

// volumeIsLate deletes a pod whose volume is attached late to the one that takes its place.
func (w *world) volumeIsLate(f fault) {
	w.onPod(f.a, func(p *pod) {
		w.lateTill[p.ordinal] = max(w.lateTill[p.ordinal], w.now+f.dur)
		p.terminate(30 * time.Second)
	})
}
