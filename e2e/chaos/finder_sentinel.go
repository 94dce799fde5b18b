// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Sentinel finds the master as the clients of Redis Sentinel do, go-redis's FailoverClient for one: it asks a Sentinel
// before every dial, the next one where that fails, and it listens to what Sentinels announce. It is a little better
// than most, for it listens to all Sentinels and asks first the one that has spoken last: the one that makes a failover
// speaks before the others know.
type Sentinel struct {
	master    string
	sentinels []*redis.SentinelClient
	first     atomic.Int64 // index of the Sentinel to ask first
	heard     []*redis.PubSub
	done      sync.WaitGroup

	mu   sync.Mutex
	left map[string]chan struct{} // by the address of a master that clients were led to
}

// switchMaster is the channel on which a Sentinel announces another master.
const switchMaster = "+switch-master"

// NewSentinel asks the Sentinels at the addresses for the master of that name. dial may be nil.
func NewSentinel(master string, addrs []string, dial Dialer) *Sentinel {
	quiet()
	s := &Sentinel{master: master, left: map[string]chan struct{}{}}
	for i, addr := range addrs {
		client := redis.NewSentinelClient(clientOptions(addr, 250*time.Millisecond, dial))
		heard := client.Subscribe(context.Background(), switchMaster)
		s.sentinels, s.heard = append(s.sentinels, client), append(s.heard, heard)
		s.done.Go(func() { s.listen(int64(i), heard.Channel()) })
	}
	return s
}

// listen obeys the announcements of a Sentinel until its subscription is closed. One that is lost is made anew by
// go-redis.
func (s *Sentinel) listen(index int64, announced <-chan *redis.Message) {
	for message := range announced {
		if words := strings.Fields(
			message.Payload,
		); len(words) == 5 &&
			words[0] == s.master { // name, old host, port, new host, port
			s.first.Store(index)
			s.leaveAllBut(net.JoinHostPort(words[3], words[4]))
		}
	}
}

func (s *Sentinel) leaveAllBut(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, left := range s.left {
		if old != addr {
			close(left)
			delete(s.left, old)
		}
	}
}

// Find asks SENTINEL GET-MASTER-ADDR-BY-NAME. Left is closed when a Sentinel announces another master.
func (s *Sentinel) Find(ctx context.Context) (Place, error) {
	var errs []error
	first := int(s.first.Load())
	for i := range s.sentinels {
		index := (first + i) % len(s.sentinels)
		addr, err := s.sentinels[index].GetMasterAddrByName(ctx, s.master).Result()
		if err == nil && len(addr) == 2 {
			s.first.CompareAndSwap(int64(first), int64(index))
			return s.place(net.JoinHostPort(addr[0], addr[1])), nil
		}
		errs = append(errs, err)
	}
	return Place{}, fmt.Errorf("no Sentinel knows the master: %w", errors.Join(errs...))
}

func (s *Sentinel) place(addr string) Place {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left[addr] == nil {
		s.left[addr] = make(chan struct{})
	}
	return Place{Addr: addr, Left: s.left[addr]}
}

// Close ends the connections to the Sentinels.
func (s *Sentinel) Close() error {
	var errs []error
	for i, sentinel := range s.sentinels {
		errs = append(errs, s.heard[i].Close(), sentinel.Close())
	}
	s.done.Wait()
	return errors.Join(errs...)
}
