// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"time"

	"k8s.io/utils/clock"

	"github.com/redisha/redisha/failover/link"
)

// Defaults of [Options].
const (
	DefaultPeriod       = 200 * time.Millisecond
	DefaultProbeTimeout = 500 * time.Millisecond
	DefaultFastPeriod   = 10 * time.Millisecond
	DefaultName         = "redisha"
)

// fastFor is how long the pods of a RedisHA are probed at the fast period after something changed at one of them.
// The witnesses of a killed master see their links end 1 to 3 ms after us, and report it only when asked.
const fastFor = 300 * time.Millisecond

// Options tune a Prober. The zero value is usable.
type Options struct {
	// Period is the time between the end of a probe and the beginning of the next, for a pod at rest.
	Period time.Duration
	// ProbeTimeout is how long an answer may take before the pod counts as silent.
	ProbeTimeout time.Duration
	// FastPeriod is the longest time between probes while something has just changed.
	FastPeriod time.Duration
	// Clock is real unless a test sets it. Timeouts of single probes always use the real one.
	Clock clock.Clock
	// Dial makes the client of a pod's connection; [link.Client] unless set. It may change how to connect, but must
	// keep OnEOF.
	Dial link.Dial
	// Wake is told the key of a RedisHA of which a sample differs in kind from the one before: contact, incarnation,
	// role, link, lineage and so on, but not offsets, ages or numbers of keys. It must return at once.
	Wake func(key string)
	// Panicked is told that the probe of a pod ended in a panic. The pod counts as silent, and is asked again after a
	// pause.
	Panicked func(key, pod string, why any, stack []byte)
	// Name is the name of our connections, as CLIENT LIST shows it.
	Name string
}

func (o Options) withDefaults() Options {
	if o.Period <= 0 {
		o.Period = DefaultPeriod
	}
	if o.ProbeTimeout <= 0 {
		o.ProbeTimeout = DefaultProbeTimeout
	}
	if o.FastPeriod <= 0 {
		o.FastPeriod = DefaultFastPeriod
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Dial == nil {
		o.Dial = link.Client
	}
	if o.Wake == nil {
		o.Wake = func(string) {}
	}
	if o.Panicked == nil {
		o.Panicked = func(string, string, any, []byte) {}
	}
	if o.Name == "" {
		o.Name = DefaultName
	}
	return o
}

// tolerated is by how much a loop of ours may be late before the delay itself is taken for the reason of a silence.
func (o Options) tolerated() time.Duration {
	return max(2*o.Period, time.Second)
}
