// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Store keeps a T for each key. The zero value is ready.
type Store[T any] struct {
	// New makes what is kept under a key that was not asked for before; a zero T when nil.
	New func() *T

	mu sync.Mutex
	of map[client.ObjectKey]*T
}

// Of returns what is kept under key: the same until it is forgotten. The store may be used by any goroutine; what it
// gives out has no lock. A controller never works on one key in two goroutines at the same time.
func (s *Store[T]) Of(key client.ObjectKey) *T {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.of[key]
	if kept == nil {
		if kept = new(T); s.New != nil {
			kept = s.New()
		}
		if s.of == nil {
			s.of = map[client.ObjectKey]*T{}
		}
		s.of[key] = kept
	}
	return kept
}

// Forget drops what is kept under key.
func (s *Store[T]) Forget(key client.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, key)
}
