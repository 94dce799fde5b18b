// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/redisha/redisha/failover"
)

// Errors of the API server.
var (
	errConflict = errors.New("the object has been modified")
	errServer   = errors.New("internal error")
	errNotFound = errors.New("not found")
)

// podView is what a pod object says.
type podView struct {
	name, uid, ip string
	machine       string
	ordinal       int
	ready         bool
	unlabelled    bool
	terminating   bool
	outdated      bool
	cordoned      bool
	nodeGone      bool
	exited        bool
	label         failover.Role
	labelled      int64
}

// objects is what the API server holds, and, older, what an operator's cache shows. It is not changed once shared.
type objects struct {
	version  int64
	policy   failover.Policy
	request  *failover.Request
	progress *failover.Progress
	pods     []podView
	wanted   int // pods, by the StatefulSet

	published failover.Published
	slice     int64 // version of the slice
	swaps     int64 // version of the progress
}

// lease is the Lease object.
type lease struct {
	holder  party // 0: none
	held    bool
	life    int   // of the holder: each of its processes has an identity of its own
	renewed int64 // grows with each write
}

// api is the API server.
type api struct {
	w     *world
	now   objects
	lease lease

	past []*failover.Progress // that were stored before the present one, oldest first

	publisher *operator // who has published last

	failing instant // errors until then
	mute    instant // succeeds without an answer until then
	slow    instant // stale caches until then

	newerTill instant // until when a newer version leads

	stateSince instant // since when the progress has its state
	modeSince  instant // since when the policy has its mode
}

func (a *api) changed() {
	a.now.version++
	for _, o := range a.w.operators {
		a.publishTo(o)
	}
}

// publishTo is a watch: it brings an operator's cache up to date, some time later.
func (a *api) publishTo(o *operator) {
	if !o.alive || a.w.cut(apiServer, o.party) {
		return
	}
	snapshot := a.now
	delay := a.w.between(500*time.Microsecond, a.w.cfg.watchDelay)
	if a.w.now < a.slow {
		delay += a.w.between(0, 2*time.Second)
	}
	delay = max(delay, o.stalled-a.w.now)
	life := o.life
	a.w.after(delay, func() {
		if o.alive && o.life == life {
			o.see(snapshot)
		}
	})
}

func (a *api) podsChanged() {
	pods := make([]podView, 0, len(a.w.pods))
	w := a.w
	for _, p := range w.pods {
		pods = append(pods, podView{
			name:        p.name,
			uid:         p.uid,
			ip:          p.ip,
			machine:     w.machineOf(p),
			ordinal:     p.ordinal,
			ready:       p.ready,
			unlabelled:  p.unlabelled,
			terminating: p.terminating,
			outdated:    p.outdated,
			cordoned:    p.cordoned,
			nodeGone:    p.nodeGone,
			exited:      p.exited,
			label:       p.label,
			labelled:    p.labelled,
		})
	}
	a.now.pods = pods
	a.changed()
}

// swap is the compare-and-swap of the progress: expected is the progress that the decision was made on, and published
// is what the operator knew to be published then. What another one has published is for checks to see as well.
func (a *api) swap(
	o *operator, expected int64, published failover.Published, next failover.Progress,
) (int64, error) {
	if a.now.swaps != expected && !a.w.defect.swapUnchecked {
		return 0, errConflict
	}
	before := a.now.progress
	if before.State == unknownState {
		a.w.checks.fail("S7", "%s writes over a state that it does not know", o.name)
	}
	if a.publisher != o {
		published = a.now.published
	}
	a.w.checks.onSwap(*before, next, published)
	p := next.Clone()
	a.past = append(a.past, before)
	a.now.progress = &p
	a.now.swaps++
	if p.State != before.State {
		a.stateSince = a.w.now
		a.w.note("%s persists %s (epoch %d): %s", o.name, p.State, p.Epoch, p.Message)
	}
	a.changed()
	return a.now.swaps, nil
}

// setBack puts an earlier progress in the place of the present one, as who restores a backup does, or none at all.
func (a *api) setBack(p failover.Progress) {
	a.w.note("the status is set back to epoch %d, state %q", p.Epoch, p.State)
	p = p.Clone()
	a.now.progress = &p
	a.now.swaps++
	a.w.checks.onSetBack()
	a.changed()
}

// writeSlice writes the master's EndpointSlice, if it is still the version that the writer has seen.
func (a *api) writeSlice(o *operator, expected int64, p failover.Published) (int64, error) {
	if a.now.slice != expected && !a.w.defect.sliceUnchecked {
		return 0, errConflict
	}
	a.w.checks.onPublish(o, a.now.published, p)
	a.now.published, a.publisher = p, o
	a.now.slice++
	a.w.note("%s publishes %s (epoch %d)", o.name, orNone(p.Pod), p.Epoch)
	a.changed()
	a.w.routeClients()
	return a.now.slice, nil
}

func orNone(pod string) string {
	if pod == "" {
		return "no pod"
	}
	return pod
}

// unanswered notes that the writer of a pod's label does not know whether it was written.
func (a *api) unanswered(uid string) {
	for _, p := range a.w.pods {
		p.labelLate = p.labelLate || p.uid == uid
	}
}

// label writes a pod's label, if no other has since the writer saw it.
func (a *api) label(uid string, role failover.Role, expected int64, late bool) (int64, error) {
	for _, p := range a.w.pods {
		if p.uid == uid {
			if p.labelled != expected {
				return 0, errConflict
			}
			p.labelled++
			p.label = role
			p.labelLate = late
			a.w.checks.onLabel(p)
			a.podsChanged()
			return a.now.version, nil
		}
	}
	return 0, errNotFound
}

func (a *api) deletePod(o *operator, uid string) error {
	for _, p := range a.w.pods {
		if p.uid == uid {
			a.w.note("%s deletes pod %s, which hangs", o.name, p.name)
			p.terminate(time.Second)
			return nil
		}
	}
	return nil
}

func (a *api) acknowledge(id string) error {
	if a.now.request != nil && a.now.request.ID == id {
		a.w.note("request %q is acknowledged", id)
		a.now.request = nil
		a.changed()
	}
	return nil
}

// request is what a person annotates.
func (a *api) ask(verb failover.Verb, target string) {
	a.now.request = &failover.Request{ID: fmt.Sprintf("%s:%s", verb, target), Verb: verb, Target: target}
	a.w.note("a person requests %s %s", verb, target)
	a.changed()
}

func (a *api) setPolicy(change func(*failover.Policy)) {
	mode := a.now.policy.Mode
	if change(&a.now.policy); mode != a.now.policy.Mode {
		a.modeSince = a.w.now
	}
	a.changed()
}

// sameProgress is the comparison that decides whether there is anything to persist.
func sameProgress(a, b failover.Progress) bool { return reflect.DeepEqual(a, b) }
