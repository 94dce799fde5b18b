// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/redisha/redisha/e2e/chaos"
)

// subject is a Redis whose master is killed.
type subject interface {
	// settle waits until all is well and returns the master's address.
	settle(ctx context.Context) (string, error)
	// kill sends SIGKILL to the master's process.
	kill(ctx context.Context) error
	// recovered waits until another one is master, and starts again what was killed if nothing else does.
	recovered(ctx context.Context) error
	// story tells for the progress line what happened when, after that instant; "" where that is not known.
	story(at time.Time) string
	// promotions is how many there had ever been when all was well.
	promotions() int64
}

// row is what was measured of one subject with one kind of client.
type row struct {
	name       string
	gaps       []time.Duration
	acked      int64
	lost       int64
	withLoss   int
	promotions int64 // one for each kill is right
}

// countingPromotions measures a subject on which all is well.
func (b *bench) countingPromotions(
	ctx context.Context, name string, s subject, writers chaos.Options, kills int,
) error {
	before := s.promotions()
	r := &row{name: name}
	b.rows = append(b.rows, r)
	err := b.measure(ctx, r, s, writers, kills)
	r.promotions = s.promotions() - before
	return err
}

// measure kills the master that many times. Each time the writers start anew, with an empty Redis, so that every kill
// finds the same.
func (b *bench) measure(ctx context.Context, r *row, s subject, writers chaos.Options, kills int) error {
	writers.Dial = b.clients.DialContext
	for i := range kills {
		gap, loss, err := b.once(ctx, s, writers)
		if err != nil {
			return fmt.Errorf("kill %d: %w", i+1, err)
		}
		r.add(gap, loss)
		fmt.Fprintf(b.progress, "%s: kill %d of %d: no write for %s, %d of %d lost%s\n",
			r.name, i+1, kills, gap.Length().Round(time.Millisecond), loss.Lost, loss.Acked, s.story(gap.From))
	}
	return nil
}

func (r *row) add(gap chaos.Gap, loss chaos.Loss) {
	r.gaps = append(r.gaps, gap.Length())
	r.acked, r.lost = r.acked+loss.Acked, r.lost+loss.Lost
	if loss.Lost > 0 {
		r.withLoss++
	}
}

func (b *bench) once(ctx context.Context, s subject, options chaos.Options) (chaos.Gap, chaos.Loss, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	master, err := s.settle(ctx)
	if err != nil {
		return chaos.Gap{}, chaos.Loss{}, err
	}
	if err := b.empty(ctx, master, options.Password); err != nil {
		return chaos.Gap{}, chaos.Loss{}, err
	}
	w := chaos.Start(options)
	defer w.Stop()
	if _, err := w.WaitAck(ctx, time.Now()); err != nil {
		return chaos.Gap{}, chaos.Loss{}, err
	}
	// Redis and Sentinel do much once a second: a kill must not always come at the same moment of it.
	time.Sleep(time.Second + rand.N(time.Second))
	at := time.Now()
	if err := loseMaster(ctx, s); err != nil {
		return chaos.Gap{}, chaos.Loss{}, err
	}
	if _, err := w.WaitAck(ctx, time.Now()); err != nil {
		return chaos.Gap{}, chaos.Loss{}, err
	}
	gap := w.Gap(at, time.Now())
	w.Stop()
	loss, err := w.Verify(ctx)
	return gap, loss, err
}

// loseMaster kills the master and returns when all is well again.
func loseMaster(ctx context.Context, s subject) error {
	if err := s.kill(ctx); err != nil {
		return err
	}
	if err := s.recovered(ctx); err != nil {
		return err
	}
	_, err := s.settle(ctx)
	return err
}

func (b *bench) empty(ctx context.Context, addr, password string) error {
	client := b.client(addr, password)
	defer client.Close()
	if err := client.FlushAllAsync(ctx).Err(); err != nil {
		return fmt.Errorf("empty the master: %w", err)
	}
	return nil
}

func (b *bench) client(addr, password string) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr:                     addr,
		Password:                 password,
		Dialer:                   b.clients.DialContext,
		DisableIdentity:          true,
		DialerRetries:            1,
		MaxRetries:               -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}
