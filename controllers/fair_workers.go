// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"
	"time"
)

// workerPause is how long a RedisHA that got no worker waits until it asks again.
const workerPause = 10 * time.Millisecond

// workers counts which namespaces' RedisHA hold the workers. One whose Redis does not answer holds one for as long as
// an order may take.
type workers struct {
	all int

	mu   sync.Mutex
	held map[string]int
	busy int
}

// enter takes a worker for a RedisHA of a namespace, unless that holds more of them already than are free: one
// namespace gets half of them at most, two a third each, and there is always one left for another. Who may not enter
// comes again in a moment, and holds none meanwhile.
func (w *workers) enter(namespace string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held == nil {
		w.held = map[string]int{}
	}
	if w.held[namespace] > w.all-w.busy-1 && w.held[namespace] > 0 {
		return false
	}
	w.held[namespace]++
	w.busy++
	return true
}

func (w *workers) leave(namespace string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy--
	if w.held[namespace]--; w.held[namespace] == 0 {
		delete(w.held, namespace)
	}
}
