// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// Options say how a run writes. Only Finder is required.
type Options struct {
	// Finder finds the master.
	Finder Finder
	// Password of Redis, empty for none.
	Password string
	// Dial replaces the TCP dial, for a client somewhere else in the network.
	Dial Dialer
	// Writers is how many there are; 4 when zero.
	Writers int
	// Interval is the time from one write of a writer to its next; 3 ms when zero.
	Interval time.Duration
	// Timeout of a write and of a dial; 250 ms when zero.
	Timeout time.Duration
	// Redial is the pause after an error; 5 ms when zero. There is one only so as not to burn the processor.
	Redial time.Duration
	// Wait is how many replicas have to confirm a write (WAIT) before it counts as acknowledged; none when zero.
	Wait int
	// Prefix begins every key, so that several runs at one master do not write each other's keys.
	Prefix string
	// LongGap is from when on Report lists a gap; 50 ms when zero.
	LongGap time.Duration
	// Ordinary writers are as most applications are: each keeps one go-redis client with the settings that the library
	// has by itself, retries included, and goes on with it Redial after an error. Timeout and Wait do not count then.
	Ordinary bool
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&o.Interval, 3*time.Millisecond)
	set(&o.Timeout, 250*time.Millisecond)
	set(&o.Redial, 5*time.Millisecond)
	set(&o.LongGap, 50*time.Millisecond)
	if o.Writers == 0 {
		o.Writers = 4
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	return o
}

// key of a write, "w<writer>:<number>" after the prefix.
func (o Options) key(writer int, number int64) string {
	return fmt.Sprintf("%sw%d:%d", o.Prefix, writer, number)
}

func (o Options) client(addr string, dial Dialer) *redis.Options {
	options := clientOptions(addr, o.Timeout, dial)
	options.Password = o.Password
	return options
}

// Writers is a run. Its methods may be called at any time, also while it writes.
type Writers struct {
	options Options
	run     string
	ledger  *ledger
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// quiet: go-redis writes a line of its own for every dial that fails; here the failures are what is counted.
var quiet = sync.OnceFunc(logging.Disable)

// Start begins to write, until Stop is called. It silences go-redis's logger for the whole program.
func Start(options Options) *Writers {
	quiet()
	ctx, cancel := context.WithCancel(context.Background())
	options = options.withDefaults()
	w := &Writers{options: options, run: rand.Text(), cancel: cancel, ledger: newLedger(options.Writers, options.LongGap)}
	for id := range options.Writers {
		one := &writer{id: id, options: options, run: w.run, ledger: w.ledger}
		if options.Ordinary {
			w.done.Go(func() { one.ordinary(ctx) })
			continue
		}
		w.done.Go(func() { one.loop(ctx) })
	}
	return w
}

// Stop ends the writers and returns when their last writes are over. It may be called twice.
func (w *Writers) Stop() {
	w.cancel()
	w.done.Wait()
	w.ledger.close()
}

// Acked returns how many writes have been acknowledged.
func (w *Writers) Acked() int64 {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	return w.ledger.acked
}

// Gap returns the longest time without any acknowledged write that reaches into the time between from and to, from the
// last acknowledgement before it to the first after it. Only the latest hundred thousand acknowledgements are
// remembered.
func (w *Writers) Gap(from, to time.Time) Gap { return w.ledger.gap(from, to) }

// FirstAck returns when the first write after that instant was acknowledged; false if none was.
func (w *Writers) FirstAck(after time.Time) (time.Time, bool) { return w.ledger.firstAck(after) }

// WaitAck returns when the first write after that instant was acknowledged, waiting for it as long as the context
// allows.
func (w *Writers) WaitAck(ctx context.Context, after time.Time) (time.Time, error) {
	for {
		if at, ok := w.FirstAck(after); ok {
			return at, nil
		}
		if ctx.Err() != nil {
			return time.Time{}, fmt.Errorf("no write has been acknowledged since %s; errors: %s: %w",
				after.Format("15:04:05.000"), w.Errors(), ctx.Err())
		}
		sleep(ctx, 2*time.Millisecond)
	}
}

// LastAck returns when the latest write was acknowledged; false if none was.
func (w *Writers) LastAck() (time.Time, bool) {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	return w.ledger.begin.Add(w.ledger.last), w.ledger.acked > 0
}

// Gaps returns the gaps of at least Options.LongGap since the beginning in their order, the longest 256, and how many
// more there were. After Stop the time from the last acknowledgement to the end is one of them, if it is long enough.
func (w *Writers) Gaps() ([]Gap, int) {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	gaps := slices.Clone(w.ledger.gaps)
	slices.SortFunc(gaps, func(a, b Gap) int { return a.From.Compare(b.From) })
	return gaps, w.ledger.gapsMore
}

// LongestByWriter returns the longest time that each writer alone went without an acknowledgement. After Stop that
// may be the time from its last acknowledgement to the end.
func (w *Writers) LongestByWriter() []Gap {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	return slices.Clone(w.ledger.longest)
}

// Failed returns how many writes and dials failed, by the class of the error: what redisclient says that it is evidence
// of, or one of the classes of this package.
func (w *Writers) Failed() map[string]int64 {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	return maps.Clone(w.ledger.failed)
}

// Errors describes the failures in a line: each class with its number and the first of its messages.
func (w *Writers) Errors() string {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	if len(w.ledger.failed) == 0 {
		return "none"
	}
	var parts []string
	for _, class := range slices.Sorted(maps.Keys(w.ledger.failed)) {
		parts = append(parts, fmt.Sprintf("%d %s (%s)", w.ledger.failed[class], class, w.ledger.examples[class]))
	}
	return strings.Join(parts, ", ")
}

// Loss is the outcome of Verify.
type Loss struct {
	// Acked is how many acknowledged writes were looked up.
	Acked int64
	// Lost is how many of them the master does not have.
	Lost int64
	// Foreign is how many of the lost have the value of an earlier run: old data came back.
	Foreign int64
	// Examples are the first lost keys, at most ten.
	Examples []string
}

// errNoMaster says that what a finder found is not a master.
var errNoMaster = errors.New("the master's address leads to a replica")
