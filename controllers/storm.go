package controllers

import (
	"sync"
	"time"

	"github.com/redisha/redisha/failover"
)

// storm notices when so many RedisHA lose sight of their masters at the same moment that the
// operator's own network is the likely cause. Soft evidence is void then; hard evidence is not.
type storm struct {
	mu    sync.Mutex
	known map[string]bool
	since map[string]time.Time // of those that are suspect
}

const (
	stormWindow   = 2 * time.Second
	stormAtLeast  = 3
	stormFraction = 0.3
)

// note takes in what was diagnosed for one RedisHA.
func (s *storm) note(key string, d failover.Diagnosis, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known, s.since = map[string]bool{}, map[string]time.Time{}
	}
	s.known[key] = true
	switch d {
	case failover.DiagnosisDown, failover.DiagnosisUnwitnessed, failover.DiagnosisAccompanied, failover.DiagnosisUnfenced, failover.DiagnosisVetoed:
		if _, ok := s.since[key]; !ok {
			s.since[key] = now
		}
	default:
		delete(s.since, key)
	}
}

// sick reports whether more masters became suspect within the window than chance explains.
func (s *storm) sick(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	recent := 0
	for _, t := range s.since {
		if now.Sub(t) <= stormWindow {
			recent++
		}
	}
	return recent >= stormAtLeast && float64(recent) > stormFraction*float64(len(s.known))
}

func (s *storm) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, key)
	delete(s.since, key)
}
