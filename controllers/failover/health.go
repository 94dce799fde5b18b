// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"strings"
	"sync"
	"time"

	"github.com/redisha/redisha/failover"
)

// observerHealth notices when RedisHA of so many owners lose sight of their masters at the same moment that the
// operator's own network is the likely cause. Soft evidence is void then, for stormWindow after the last of them; hard
// evidence is not. An owner is a namespace. Whatever one owner's masters do, it holds no other owner's failover back.
type observerHealth struct {
	mu    sync.Mutex
	known map[string]bool
	since map[string]time.Time // of those that are suspect
}

const (
	stormWindow   = 2 * time.Second
	stormAtLeast  = 3 // RedisHA
	stormOwners   = 2 // besides the one that is decided on
	stormFraction = 0.3
)

// note takes in what was diagnosed for one RedisHA.
func (s *observerHealth) note(key string, d failover.Diagnosis, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known, s.since = map[string]bool{}, map[string]time.Time{}
	}
	s.known[key] = true
	switch d {
	case failover.DiagnosisMasterDown,
		failover.DiagnosisMasterUnreachableNoWitness,
		failover.DiagnosisMasterUnreachableWithReplicas,
		failover.DiagnosisMasterUnreachableWithoutGuard,
		failover.DiagnosisMasterUnreachableButReplicating:
		if _, ok := s.since[key]; !ok {
			s.since[key] = now
		}
	default:
		delete(s.since, key)
	}
}

// suspect reports whether more masters became suspect within the window than chance explains, for a decision on the
// RedisHA named key. Where others own RedisHA too, they are what tells: of one owner's alone it cannot be told whether
// the observer or the owner's machines are in trouble.
func (s *observerHealth) suspect(key string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	recent, all, hit := 0, map[string]bool{}, map[string]bool{}
	for k := range s.known {
		all[ownerOf(k)] = true
		if t, suspect := s.since[k]; suspect && now.Sub(t) <= stormWindow {
			recent++
			hit[ownerOf(k)] = true
		}
	}
	if recent < stormAtLeast {
		return false
	}
	own := ownerOf(key)
	delete(all, own)
	delete(hit, own)
	if len(all) == 0 {
		return float64(recent) > stormFraction*float64(len(s.known))
	}
	return len(hit) >= stormOwners && float64(len(hit)) > stormFraction*float64(len(all))
}

// ownerOf is the namespace of a RedisHA.
func ownerOf(key string) string {
	namespace, _, _ := strings.Cut(key, "/")
	return namespace
}

func (s *observerHealth) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, key)
	delete(s.since, key)
}
