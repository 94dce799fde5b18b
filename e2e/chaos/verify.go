// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// batch is how many keys are asked for at once.
const batch = 500

// Verify looks up, at the present master, every write that had been acknowledged when it was called. The error is that
// of a master that could not be asked.
func (w *Writers) Verify(ctx context.Context) (Loss, error) { return w.VerifyBy(ctx, w.options) }

// VerifyBy is Verify by the Finder, the Password and the Dial of other options, for a master that does not take
// connections any more as the writers made theirs.
func (w *Writers) VerifyBy(ctx context.Context, other Options) (Loss, error) {
	spans := w.ledger.copySpans()
	other = other.withDefaults()
	place, err := other.Finder.Find(ctx)
	if err != nil {
		return Loss{}, err
	}
	options := other.client(place.Addr, other.Dial)
	options.ReadTimeout = 10 * time.Second // many keys take longer than one write is given
	client := redis.NewClient(options)
	defer client.Close()
	role, err := client.Do(ctx, "ROLE").Slice()
	if err != nil {
		return Loss{}, fmt.Errorf("verify: %w", err)
	}
	if len(role) == 0 || role[0] != "master" {
		return Loss{}, fmt.Errorf("verify at %s: %w", place.Addr, errNoMaster)
	}
	v := &verification{client: client, run: w.run}
	for writer, all := range spans {
		for _, s := range all {
			for number := s.first; number <= s.last; number++ {
				if err := v.add(ctx, w.options.key(writer, number)); err != nil {
					return Loss{}, fmt.Errorf("verify: %w", err)
				}
			}
		}
	}
	if err := v.flush(ctx); err != nil {
		return Loss{}, fmt.Errorf("verify: %w", err)
	}
	return v.loss, nil
}

type verification struct {
	client *redis.Client
	run    string
	keys   []string
	loss   Loss
}

func (v *verification) add(ctx context.Context, key string) error {
	if v.keys = append(v.keys, key); len(v.keys) < batch {
		return nil
	}
	return v.flush(ctx)
}

func (v *verification) flush(ctx context.Context) error {
	if len(v.keys) == 0 {
		return nil
	}
	values, err := v.client.MGet(ctx, v.keys...).Result()
	if err != nil {
		return err
	}
	if len(values) != len(v.keys) {
		return fmt.Errorf("%d values for %d keys", len(values), len(v.keys))
	}
	for i, value := range values {
		v.judge(v.keys[i], value)
	}
	v.keys = v.keys[:0]
	return nil
}

func (v *verification) judge(key string, value any) {
	v.loss.Acked++
	if value == v.run {
		return
	}
	v.loss.Lost++
	if value != nil {
		v.loss.Foreign++
	}
	if len(v.loss.Examples) < 10 {
		v.loss.Examples = append(v.loss.Examples, key)
	}
}
