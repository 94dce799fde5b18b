// SPDX-License-Identifier: Apache-2.0

package chaos

import "context"

// Place is where a client has found the master.
type Place struct {
	// Addr is host:port.
	Addr string
	// Left is closed when the client learns that the master is somewhere else. It is nil for a client that is told
	// nothing and finds out by an error.
	Left <-chan struct{}
}

// Finder is how a client finds the master. It is asked before every dial, by several goroutines.
type Finder interface {
	// Find returns the present place of the master, or an error when there is none; it does not wait for one.
	Find(ctx context.Context) (Place, error)
}

// Fixed is a master that is always found at the same address.
type Fixed string

// Find returns the address.
func (f Fixed) Find(context.Context) (Place, error) { return Place{Addr: string(f)}, nil }
