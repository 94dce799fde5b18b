// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/redisha/redisha/e2e/gobuild"
)

// steps tells what is going on, from many goroutines.
type steps struct {
	mu sync.Mutex
	w  io.Writer
}

func newSteps(w io.Writer) *steps { return &steps{w: w} }

func (s *steps) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// step does something and tells how long it took, and every few seconds that it still goes on.
func (s *steps) step(what string, do func() error) error {
	began := time.Now()
	stop := gobuild.Ticker(func(elapsed time.Duration) { fmt.Fprintf(s, "  … %s, %s\n", what, elapsed) })
	err := do()
	stop()
	if err != nil {
		fmt.Fprintf(s, "  ✗ %s\n", what)
		return err
	}
	fmt.Fprintf(s, "  ✓ %-60s %6.1f s\n", what, time.Since(began).Seconds())
	return nil
}
