// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/redisha/redisha/failover"
)

// known is what the controller remembers of a RedisHA from one turn to the next. Another leader begins without it.
type known struct {
	access    atomic.Pointer[access] // the prober's connections read it
	complaint string                 // about the request, as people were told last
	goneSince time.Time              // zero: it is there
	confirmed bool                   // its progress was read past the cache, and is known by our own writes since
	refusals  refusals
	telling   telling
	turns     turns
	claims    claims
	sight     sight
}

// goneFor is for how long the RedisHA has been known to be deleted, which it is.
func (k *known) goneFor(now time.Time) time.Duration {
	if k.goneSince.IsZero() {
		k.goneSince = now
	}
	return now.Sub(k.goneSince)
}

// sight is what the observer remembers.
type sight struct {
	publishing failover.Publication
	departures failover.Departures
	exits      exits
	missing    map[types.UID]missingPod
	volumes    map[string]unlistedClaim // by the claim's name
}
