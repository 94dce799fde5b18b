package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

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

// Sentinel finds the master as the clients of Redis Sentinel do: by asking one Sentinel after the other until one knows.
type Sentinel struct {
	master    string
	sentinels []*redis.SentinelClient
}

// NewSentinel asks the Sentinels at the addresses for the master of that name. dial may be nil.
func NewSentinel(master string, addrs []string, dial Dialer) *Sentinel {
	s := &Sentinel{master: master}
	for _, addr := range addrs {
		s.sentinels = append(s.sentinels, redis.NewSentinelClient(clientOptions(addr, 250*time.Millisecond, dial)))
	}
	return s
}

// Find asks SENTINEL GET-MASTER-ADDR-BY-NAME.
func (s *Sentinel) Find(ctx context.Context) (Place, error) {
	var errs []error
	for _, sentinel := range s.sentinels {
		addr, err := sentinel.GetMasterAddrByName(ctx, s.master).Result()
		if err == nil && len(addr) == 2 {
			return Place{Addr: joinHostPort(addr[0], addr[1])}, nil
		}
		errs = append(errs, err)
	}
	return Place{}, fmt.Errorf("no Sentinel knows the master: %w", errors.Join(errs...))
}

// Close ends the connections to the Sentinels.
func (s *Sentinel) Close() error {
	var errs []error
	for _, sentinel := range s.sentinels {
		errs = append(errs, sentinel.Close())
	}
	return errors.Join(errs...)
}
