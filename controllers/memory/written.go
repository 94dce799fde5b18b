// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"strconv"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Written remembers what was last written to each object until the cache shows it: within a
// failover the next decision is made milliseconds after a write, and the cache is slower.
type Written[T client.Object] struct {
	mu      sync.Mutex
	written map[client.ObjectKey]T
}

// Wrote remembers the object as the API server returned it from a write.
func (e *Written[T]) Wrote(obj T) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.written == nil {
		e.written = map[client.ObjectKey]T{}
	}
	e.written[client.ObjectKeyFromObject(obj)] = obj
}

// Newest returns the later of cached and what was written; found says whether cached exists.
func (e *Written[T]) Newest(key client.ObjectKey, cached T, found bool) (T, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	own, ok := e.written[key]
	if !ok {
		return cached, found
	}
	if found && (cached.GetUID() != own.GetUID() || !older(cached, own)) {
		delete(e.written, key)
		return cached, true
	}
	return own, true
}

// Latest returns the later of known and what was written, and goes on remembering that.
func (e *Written[T]) Latest(known T) T {
	e.mu.Lock()
	defer e.mu.Unlock()
	if own, ok := e.written[client.ObjectKeyFromObject(known)]; ok && own.GetUID() == known.GetUID() && older(known, own) {
		return own
	}
	return known
}

// Forget drops what was written, when it turned out to be outdated.
func (e *Written[T]) Forget(key client.ObjectKey) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.written, key)
}

// older reports whether a is an earlier version of the object than b. Resource versions of one
// object are numbers that grow (formally since Kubernetes 1.35, in fact always with etcd).
func older(a, b client.Object) bool {
	va, errA := strconv.ParseUint(a.GetResourceVersion(), 10, 64)
	vb, errB := strconv.ParseUint(b.GetResourceVersion(), 10, 64)
	return errA == nil && errB == nil && va < vb
}
