// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"errors"
	"sync"
	"time"

	"github.com/redisha/redisha/redisclient"
)

// Bounds of what is remembered, however long a run is.
const (
	ringSize = 1 << 17 // acknowledgements, for Gap and FirstAck; a minute and more at two thousand a second
	maxGaps  = 256
)

// Gap is a time without any acknowledged write.
type Gap struct {
	From, To time.Time
	// Open says that no write was acknowledged after it: To is when it was looked at.
	Open bool
}

// Length is how long it took.
func (g Gap) Length() time.Duration { return g.To.Sub(g.From) }

// span is a range of sequence numbers, both ends included, that were all acknowledged.
type span struct{ first, last int64 }

// ledger is what all writers of a run have seen. Its instants are durations since its beginning, so that a clock that
// is set does not make a gap.
type ledger struct {
	begin    time.Time
	longAt   time.Duration // a gap from here on is remembered by itself
	mu       sync.Mutex
	spans    [][]span
	acked    int64
	failed   map[string]int64 // by class
	examples map[string]string
	ring     []time.Duration
	last     time.Duration // of any acknowledgement
	lastBy   []time.Duration
	longest  []Gap // by writer
	gaps     []Gap
	gapsMore int
	first    time.Duration // the first acknowledgement
	idle     time.Duration // of all long gaps together
	end      time.Duration // when the writers had stopped, zero before
}

func newLedger(writers int, longAt time.Duration) *ledger {
	return &ledger{
		begin: time.Now(), longAt: longAt, spans: make([][]span, writers), failed: map[string]int64{},
		examples: map[string]string{}, lastBy: make([]time.Duration, writers), longest: make([]Gap, writers),
	}
}

// ack records that the writer's write of that number was acknowledged now. The numbers of a writer grow.
func (l *ledger) ack(writer int, number int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Since(l.begin) // taken under the lock, so that the ring is in order
	if spans := l.spans[writer]; len(spans) > 0 && spans[len(spans)-1].last == number-1 {
		spans[len(spans)-1].last = number
	} else {
		l.spans[writer] = append(spans, span{number, number})
	}
	if l.acked == 0 {
		l.first = now
	} else if now-l.last >= l.longAt {
		l.remember(Gap{From: l.begin.Add(l.last), To: l.begin.Add(now)})
	}
	l.noteLongest(writer, now, false)
	l.last, l.lastBy[writer] = now, now
	if len(l.ring) < ringSize {
		l.ring = append(l.ring, now)
	} else {
		l.ring[l.acked%ringSize] = now
	}
	l.acked++
}

// noteLongest keeps the longest gap of a writer that had an acknowledgement before.
func (l *ledger) noteLongest(writer int, now time.Duration, open bool) {
	if last := l.lastBy[writer]; last > 0 && now-last > l.longest[writer].Length() {
		l.longest[writer] = Gap{From: l.begin.Add(last), To: l.begin.Add(now), Open: open}
	}
}

// remember keeps the longest: a long run on a busy machine has more short ones than there is room for, and the outage
// that everybody asks about comes last.
func (l *ledger) remember(g Gap) {
	l.idle += g.Length()
	if len(l.gaps) < maxGaps {
		l.gaps = append(l.gaps, g)
		return
	}
	l.gapsMore++
	shortest := 0
	for i := range l.gaps {
		if l.gaps[i].Length() < l.gaps[shortest].Length() {
			shortest = i
		}
	}
	if g.Length() > l.gaps[shortest].Length() {
		l.gaps[shortest] = g
	}
}

// close notes that nothing will be acknowledged any more. The time since the last acknowledgement may be a gap, too.
func (l *ledger) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end > 0 {
		return
	}
	l.end = time.Since(l.begin)
	for writer := range l.longest {
		l.noteLongest(writer, l.end, true)
	}
	if l.acked > 0 && l.end-l.last >= l.longAt {
		l.remember(Gap{From: l.begin.Add(l.last), To: l.begin.Add(l.end), Open: true})
	}
}

// Classes of errors that are this package's own.
const (
	classUnreplicated = "unreplicated" // taken by the master, confirmed by too few replicas
	classMoved        = "moved"        // the client was told that the master is somewhere else, and left it
	classNowhere      = "nowhere"      // no pod is published as master
)

func classOf(err error) string {
	switch {
	case errors.Is(err, errUnreplicated):
		return classUnreplicated
	case errors.Is(err, errLeft):
		return classMoved
	case errors.Is(err, errNoEndpoint):
		return classNowhere
	default:
		return redisclient.Classify(err).String()
	}
}

func (l *ledger) fail(err error) {
	class := classOf(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed[class]++
	if _, known := l.examples[class]; !known {
		l.examples[class] = err.Error()
	}
}

// at returns the i-th remembered acknowledgement, oldest first.
func (l *ledger) at(i int) time.Duration {
	if len(l.ring) < ringSize {
		return l.ring[i]
	}
	return l.ring[(l.acked+int64(i))%ringSize]
}

// firstAfter returns the index of the first remembered acknowledgement after t, len(ring) if there is none.
func (l *ledger) firstAfter(t time.Duration) int {
	low, high := 0, len(l.ring)
	for low < high {
		if middle := (low + high) / 2; l.at(middle) > t {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

// gap returns the longest gap that reaches into the time between from and to, or the zero Gap when nothing had been
// acknowledged.
func (l *ledger) gap(from, to time.Time) Gap {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ring) == 0 {
		return Gap{}
	}
	start, end := from.Sub(l.begin), to.Sub(l.begin)
	var longest Gap
	previous := l.at(max(0, l.firstAfter(start)-1))
	for i := l.firstAfter(start); ; i++ {
		g := Gap{From: l.begin.Add(previous), To: to, Open: true}
		if i < len(l.ring) {
			g = Gap{From: g.From, To: l.begin.Add(l.at(i))}
		}
		if g.Length() > longest.Length() {
			longest = g
		}
		if i >= len(l.ring) || l.at(i) > end {
			return longest
		}
		previous = l.at(i)
	}
}

func (l *ledger) firstAck(after time.Time) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := l.firstAfter(after.Sub(l.begin))
	if i == len(l.ring) {
		return time.Time{}, false
	}
	return l.begin.Add(l.at(i)), true
}

// copySpans returns what has been acknowledged so far, by writer.
func (l *ledger) copySpans() [][]span {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([][]span, len(l.spans))
	for i, spans := range l.spans {
		all[i] = append([]span(nil), spans...)
	}
	return all
}
