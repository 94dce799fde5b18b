package prober

import (
	"sync"
	"time"
)

// watch is the pods of one RedisHA, and how much of a hurry there is.
type watch struct {
	key  string
	opts Options

	mu                  sync.Mutex
	pods                []*pod
	password            func() string
	fastSince, fastTill time.Time
}

// ensure makes the pods match targets, and returns those whose loops are to be started. Loops that are to end are told
// so, not waited for: one may be waiting for a hung Redis.
func (w *watch) ensure(targets []Target, password func() string, newPod func(*watch, Target) *pod) []*pod {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.password = password
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

func (w *watch) currentPassword() string {
	w.mu.Lock()
	password := w.password
	w.mu.Unlock()
	if password == nil {
		return ""
	}
	return password()
}

// hurry probes all pods at once, and fast for a while.
func (w *watch) hurry(now time.Time) {
	w.mu.Lock()
	w.fastSince, w.fastTill = now, now.Add(fastFor)
	w.mu.Unlock()
	for _, q := range w.list() {
		q.poke()
	}
}

// keepHurrying is hurry after a lesser change: who is probed fast already is probed soon enough.
func (w *watch) keepHurrying(now time.Time) {
	w.mu.Lock()
	fast := now.Before(w.fastTill)
	if fast {
		w.fastTill = now.Add(fastFor)
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
