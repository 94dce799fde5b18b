package clients

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// atOnce is how many keys are looked up by one command.
const atOnce = 1000

// LookUp looks for every write that a writer was acknowledged and that was not looked up before, and returns how many are absent
// or have another value than was written. What it has found it deletes, so that a run of any length leaves little to replicate. It is
// for a settled master: what it finds there all replicas have.
func (p *Program) LookUp(ctx context.Context, master *redis.Client) (lost int64, err error) {
	if p.Role != Writer {
		return 0, nil
	}
	numbers := slices.Collect(maps.Keys(p.Record.Accepted()))
	for part := range slices.Chunk(numbers, atOnce) {
		keys := make([]string, len(part))
		for i, n := range part {
			keys[i] = fmt.Sprintf("%s:%d", p.prefix(), n)
		}
		values, err := master.MGet(ctx, keys...).Result()
		if err != nil {
			return lost, fmt.Errorf("look up the writes of %s: %w", p.Name, err)
		}
		for i, n := range part {
			if values[i] != strconv.FormatInt(n, 10) {
				lost++
			}
		}
		if err := master.Unlink(ctx, keys...).Err(); err != nil {
			return lost, fmt.Errorf("delete the writes of %s: %w", p.Name, err)
		}
		p.Record.settle(part)
	}
	return lost, nil
}

// Outstanding returns how many of the numbers that a queue accepted have not arrived, of those accepted from one instant to
// another, in milliseconds since 1970.
func (p *Program) Outstanding(from, to int64) (n int64) {
	if p.Role != Queue {
		return 0
	}
	for _, at := range p.Record.Accepted() {
		if at >= from && at < to {
			n++
		}
	}
	return n
}
