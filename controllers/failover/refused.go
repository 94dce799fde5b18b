// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"fmt"
	"math/bits"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/redisha/redisha/api/v1alpha1"
)

const (
	// ordinaryRefusals is how many swaps in a row may be refused without a word: a cache that is behind, or a successor
	// that begins, costs one or two.
	ordinaryRefusals = 3
	leastPause       = 50 * time.Millisecond // after the first that is not ordinary; doubled with each
	mostPause        = 5 * time.Second
)

// refusals are how often in a row the progress of a RedisHA could not be written. Each time it is read anew and decided
// on anew, so only one that can never be written is refused again and again: its status breaks the CRD's schema, say.
type refusals struct {
	inARow int
	why    string
	until  time.Time // when to try again
}

// note counts one.
func (f *refusals) note(why error, now time.Time) {
	n := f.inARow + 1
	*f = refusals{inARow: n, why: why.Error(), until: now.Add(pauseAfter(n))}
}

func pauseAfter(inARow int) time.Duration {
	beyond := inARow - ordinaryRefusals
	if beyond <= 0 {
		return 0
	}
	return min(leastPause<<min(beyond-1, 10), mostPause)
}

func (f *refusals) ordinary() bool { return f.inARow <= ordinaryRefusals }

// refusalPause is how long to wait before the progress is decided on again.
func (r *Reconciler) refusalPause(key client.ObjectKey) time.Duration {
	return max(r.memory.Of(key).refusals.until.Sub(r.Clock.Now()), 0)
}

// refused tells people, of the first refusal that is not ordinary and then ever more seldom, that the progress cannot
// be written.
func (r *Reconciler) refused(ctx context.Context, rha *v1alpha1.RedisHA, err error) {
	key := client.ObjectKeyFromObject(rha)
	refusedWrites.WithLabelValues(key.Namespace, key.Name).Inc()
	f := &r.memory.Of(key).refusals
	f.note(err, r.Clock.Now())
	if beyond := f.inARow - ordinaryRefusals; beyond <= 0 || bits.OnesCount(uint(beyond)) != 1 {
		return
	}
	log.FromContext(ctx).
		Error(err, "the progress cannot be written; no failover can be carried out", "redisha", key, "inARow", f.inARow)
	r.Recorder.Event(rha, corev1.EventTypeWarning, v1alpha1.EventProgressRefused, fmt.Sprintf(
		"the progress cannot be written, refused %d times in a row: %s", f.inARow, f.why))
}
