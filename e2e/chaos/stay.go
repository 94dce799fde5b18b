// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Stayer is a client that stays connected to one master whatever becomes of it, and sends writes without waiting for
// answers. What a hung master has in its socket when it wakes, it may still acknowledge, though another one has long
// been promoted.
type Stayer struct {
	client *redis.Client
	run    string
	done   sync.WaitGroup
	mu     sync.Mutex
	stayed Stayed
	acked  []string
}

// Stayed is what became of the writes of a [Stayer].
type Stayed struct {
	// Addr is the master that it stayed with.
	Addr string `json:"addr"`
	// Sent is how many writes it sent, Acked how many of them were acknowledged by whoever it stayed with, and Lost how
	// many of those the present master does not have.
	Sent  int `json:"sent"`
	Acked int `json:"acked"`
	Lost  int `json:"lost"`
	// Answered is when the last answer, or the end of the connection, arrived.
	Answered time.Time `json:"answered"`
	// Errors is how many writes were not acknowledged, by the class of the error.
	Errors map[string]int64 `json:"errors"`
}

// patience bounds how long a Stayer waits for answers.
const patience = 10 * time.Minute

// Stay connects to where the finder finds the master now. It silences go-redis's logger for the whole program.
func Stay(ctx context.Context, options Options) (*Stayer, error) {
	quiet()
	options = options.withDefaults()
	place, err := options.Finder.Find(ctx)
	if err != nil {
		return nil, err
	}
	o := options.client(place.Addr, options.Dial)
	o.ReadTimeout = patience
	s := &Stayer{
		client: redis.NewClient(o),
		run:    rand.Text(),
		stayed: Stayed{Addr: place.Addr, Errors: map[string]int64{}},
	}
	// As a pipeline: pipelines have connections of their own, and it is theirs that has to be there.
	_, err = s.client.Pipelined(ctx, func(p redis.Pipeliner) error { return p.Ping(ctx).Err() })
	if err != nil {
		_ = s.client.Close()
		return nil, fmt.Errorf("stay at %s: %w", place.Addr, err)
	}
	return s, nil
}

// Send sends that many writes at once and does not wait for answers. It may be called once.
func (s *Stayer) Send(writes int) {
	s.done.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		pipe := s.client.Pipeline()
		keys := map[redis.Cmder]string{}
		for n := range writes {
			k := fmt.Sprintf("stay:%d", n)
			keys[pipe.Set(ctx, k, s.run, 0)] = k
		}
		commands, _ := pipe.Exec(ctx) // each command has its own error
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stayed.Sent, s.stayed.Answered = writes, time.Now()
		for _, c := range commands {
			if err := c.Err(); err != nil {
				s.stayed.Errors[classOf(err)]++
				continue
			}
			s.stayed.Acked++
			s.acked = append(s.acked, keys[c])
		}
	})
}

// Outcome waits until every write has been answered or the context ends, and then looks up, at the master that the
// finder of the options finds, those that were acknowledged.
func (s *Stayer) Outcome(ctx context.Context, options Options) (Stayed, error) {
	answered := make(chan struct{})
	go func() {
		s.done.Wait()
		close(answered)
	}()
	select {
	case <-answered:
	case <-ctx.Done():
		return Stayed{}, fmt.Errorf("whoever stayed has not been answered: %w", context.Cause(ctx))
	}
	options = options.withDefaults()
	place, err := options.Finder.Find(ctx)
	if err != nil {
		return Stayed{}, err
	}
	client := redis.NewClient(options.client(place.Addr, options.Dial))
	defer client.Close()
	v := &verification{client: client, run: s.run}
	for _, k := range s.acked {
		if err := v.add(ctx, k); err != nil {
			return Stayed{}, err
		}
	}
	if err := v.flush(ctx); err != nil {
		return Stayed{}, err
	}
	s.stayed.Lost = int(v.loss.Lost)
	return s.stayed, nil
}

// Close ends the connection.
func (s *Stayer) Close() error { return s.client.Close() }
