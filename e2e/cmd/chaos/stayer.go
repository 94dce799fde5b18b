// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"sync"

	"k8s.io/client-go/kubernetes"

	"github.com/redisha/redisha/e2e/chaos"
)

// stayer is the client that stays with a master, if it is asked for one.
type stayer struct {
	kube     kubernetes.Interface
	options  options
	password string

	mu        sync.Mutex
	endpoints *chaos.Endpoints
	one       *chaos.Stayer
}

// connect connects to the present master.
func (s *stayer) connect(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.one != nil {
		return errors.New("there is one already")
	}
	endpoints, err := chaos.WatchEndpoints(ctx, s.kube, s.options.namespace, s.options.service)
	if err != nil {
		return err
	}
	one, err := chaos.Stay(ctx, chaos.Options{Finder: endpoints, Password: s.password})
	if err != nil {
		endpoints.Close()
		return err
	}
	s.endpoints, s.one = endpoints, one
	return nil
}

func (s *stayer) send(writes int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.one == nil {
		return errors.New("no writer stayed: ask for /stay before")
	}
	s.one.Send(writes)
	return nil
}

// outcome is nil if no writer was asked to stay.
func (s *stayer) outcome(ctx context.Context) (*chaos.Stayed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.one == nil {
		return nil, nil
	}
	stayed, err := s.one.Outcome(ctx, chaos.Options{Finder: s.endpoints, Password: s.password})
	if err != nil {
		return nil, err
	}
	return &stayed, nil
}

func (s *stayer) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.one != nil {
		_ = s.one.Close()
		s.endpoints.Close()
	}
}
