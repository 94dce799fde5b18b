// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	"sync"
	"time"
)

// WorkerPause is how long a RedisHA that got no worker waits until it asks again.
const WorkerPause = 10 * time.Millisecond

// Workers counts which namespaces' RedisHA hold the workers. One whose Redis does not answer holds one for as long as
// an order may take.
type Workers struct {
	// All is how many there are. When it is zero they are not counted.
	All int

	mu   sync.Mutex
	held map[string]int
	busy int
}

// Enter takes a worker for a RedisHA of a namespace, unless that holds more of them already than are free: one
// namespace gets half of them at most, two a third each, and there is always one left for another. Who may not enter
// comes again in a moment, and holds none meanwhile.
func (w *Workers) Enter(namespace string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.All == 0 {
		return true
	}
	if w.held == nil {
		w.held = map[string]int{}
	}
	if w.held[namespace] > w.All-w.busy-1 && w.held[namespace] > 0 {
		return false
	}
	w.held[namespace]++
	w.busy++
	return true
}

// Leave gives a worker back.
func (w *Workers) Leave(namespace string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.All == 0 {
		return
	}
	w.busy--
	if w.held[namespace]--; w.held[namespace] == 0 {
		delete(w.held, namespace)
	}
}
