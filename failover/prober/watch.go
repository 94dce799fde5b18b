// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"crypto/tls"
	"sync"
	"time"

	"github.com/redisha/redisha/redisclient"
)

// watch is the pods of one RedisHA, and how much of a hurry there is.
type watch struct {
	key  string
	opts Options

	mu                  sync.Mutex
	pods                []*pod
	credentials         Credentials
	fastSince, fastTill time.Time
	haste               haste
	poked               time.Time // when all pods were asked at once
}

// haste is for how long the pods of a RedisHA may be probed fast. A failover takes a fraction of a second of it. Pods
// that flap, or answer something else each time, use it up, and are asked once a period then, as those at rest are.
type haste struct {
	left time.Duration
	at   time.Time // when left was counted; zero: nothing was spent yet
}

const (
	hasteMost   = 10 * time.Second
	hasteRefill = 15 // seconds after which a second of it is there again: for a fault every six seconds, without end
)

// spend takes so much, if there is as much.
func (h *haste) spend(cost time.Duration, now time.Time) bool {
	if h.at.IsZero() {
		h.left = hasteMost
	} else {
		h.left = min(h.left+max(now.Sub(h.at), 0)/hasteRefill, hasteMost)
	}
	h.at = now
	if cost > h.left {
		return false
	}
	h.left -= cost
	return true
}

// ensure makes the pods match targets, and returns those whose loops are to be started. Loops that are to end are told
// so, not waited for: one may be waiting for a hung Redis.
func (w *watch) ensure(targets []Target, credentials Credentials, newPod func(*watch, Target) *pod) []*pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.credentials = credentials
	old := make(map[Target]*pod, len(w.pods))
	for _, q := range w.pods {
		old[q.target] = q
	}
	pods, started := make([]*pod, 0, len(targets)), []*pod(nil)
	for _, t := range targets {
		q := old[t]
		if q == nil {
			q = newPod(w, t)
			if t.IP != "" {
				started = append(started, q)
			}
		}
		delete(old, t)
		pods = append(pods, q)
	}
	for _, q := range old {
		q.cancel()
	}
	w.pods = pods
	return started
}

func (w *watch) list() []*pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*pod(nil), w.pods...)
}

func (w *watch) shown() []redisclient.Credentials {
	w.mu.Lock()
	shown := w.credentials.Shown
	w.mu.Unlock()
	if shown == nil {
		return nil
	}
	return shown()
}

// encryptionFor is how a pod of that name is talked to; nil for one that is talked to in clear.
func (w *watch) encryptionFor(name string) func() *tls.Config {
	if name == "" {
		return nil
	}
	return func() *tls.Config {
		w.mu.Lock()
		known := w.credentials.TLS
		w.mu.Unlock()
		if known == nil {
			return nil
		}
		config := known()
		if config == nil {
			return nil
		}
		config = config.Clone()
		config.ServerName = name
		return config
	}
}

// hurry probes all pods at once, and fast for a while. Where there was too much haste it probes them once a period at
// most.
func (w *watch) hurry(now time.Time) {
	w.mu.Lock()
	fast := w.extend(now)
	if fast {
		w.fastSince = now
	}
	ask := fast || now.Sub(w.poked) >= w.opts.Period
	if ask {
		w.poked = now
	}
	w.mu.Unlock()
	if !ask {
		return
	}
	for _, q := range w.list() {
		q.poke()
	}
}

// extend makes probes be fast for a while from now on, if there is haste left for it.
func (w *watch) extend(now time.Time) bool {
	from := now
	if w.fastTill.After(from) {
		from = w.fastTill
	}
	till := now.Add(fastFor)
	if !w.haste.spend(max(till.Sub(from), 0), now) {
		return false
	}
	w.fastTill = till
	return true
}

// keepHurrying is hurry after a lesser change: who is probed fast already is probed soon enough.
func (w *watch) keepHurrying(now time.Time) {
	w.mu.Lock()
	fast := now.Before(w.fastTill)
	if fast {
		w.extend(now)
	}
	w.mu.Unlock()
	if !fast {
		w.hurry(now)
	}
}

// interval is the time until a pod's next probe. It grows from an eighth of the fast period to the whole of it.
func (w *watch) interval(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !now.Before(w.fastTill) {
		return w.opts.Period
	}
	return min(max(now.Sub(w.fastSince), w.opts.FastPeriod/8), w.opts.FastPeriod)
}
