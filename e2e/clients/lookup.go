// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// atOnce is how many keys are looked up by one command.
const atOnce = 1000

// Store is a Redis in which writes are looked up.
type Store interface {
	// Get returns the values of keys, in their order; empty for one that is absent.
	Get(ctx context.Context, keys []string) ([]string, error)
	Delete(ctx context.Context, keys []string) error
}

// LookUp looks for every write that a writer was acknowledged and that was not looked up before, and returns how many
// are absent or have another value than was written. What it has found it deletes, so that a run of any length leaves
// little to replicate. It is for a settled master: what it finds there all replicas have.
func (a *Application) LookUp(ctx context.Context, master Store) (lost int64, err error) {
	if a.Role != Writer {
		return 0, nil
	}
	numbers := slices.Collect(maps.Keys(a.Record.Accepted()))
	for part := range slices.Chunk(numbers, atOnce) {
		keys := make([]string, len(part))
		for i, n := range part {
			keys[i] = fmt.Sprintf("%s:%d", a.Prefix, n)
		}
		values, err := master.Get(ctx, keys)
		if err != nil {
			return lost, fmt.Errorf("look up the writes of %s: %w", a.Name, err)
		}
		if len(values) != len(keys) {
			return lost, fmt.Errorf("look up the writes of %s: %d values of %d keys", a.Name, len(values), len(keys))
		}
		for i, n := range part {
			if values[i] != strconv.FormatInt(n, 10) {
				lost++
			}
		}
		if err := master.Delete(ctx, keys); err != nil {
			return lost, fmt.Errorf("delete the writes of %s: %w", a.Name, err)
		}
		a.Record.settle(part)
	}
	return lost, nil
}

// Outstanding returns how many of the numbers that a queue accepted have not arrived, of those accepted from one
// instant to another, in milliseconds since 1970.
func (a *Application) Outstanding(from, to int64) (n int64) {
	if a.Role != Queue {
		return 0
	}
	for _, at := range a.Record.Accepted() {
		if at >= from && at < to {
			n++
		}
	}
	return n
}
