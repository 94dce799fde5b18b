// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"maps"
	"time"
)

// Result is what the chaos client prints: a report for each of its streams.
type Result struct {
	Streams []Report `json:"streams"`
	// Stayed is there if a client was asked to stay with a master; Unheard says why nothing is known of it.
	Stayed  *Stayed `json:"stayed,omitempty"`
	Unheard string  `json:"unheard,omitempty"`
}

// Progress is how far the chaos client is. Now is its clock.
type Progress struct {
	Now     time.Time        `json:"now"`
	Streams []StreamProgress `json:"streams"`
}

// StreamProgress is how far one stream is: how many of its writes were acknowledged, when the latest was, and what went
// wrong.
type StreamProgress struct {
	Name    string    `json:"name"`
	Acked   int64     `json:"acked"`
	LastAck time.Time `json:"lastAck"`
	Errors  string    `json:"errors"`
}

// Report is what became of a run, as the chaos client prints it. Times are the client's own.
type Report struct {
	// Name tells the runs of one client apart.
	Name string `json:"name"`
	// Writers is how many there were, Wait how many replicas had to confirm each of their writes.
	Writers int `json:"writers"`
	Wait    int `json:"wait"`
	// First is when the first write was acknowledged, End when the writers had stopped.
	First time.Time `json:"first"`
	End   time.Time `json:"end"`
	// Acked is how many writes were acknowledged and looked up; Lost, Foreign and Examples are those of [Loss].
	Acked    int64    `json:"acked"`
	Lost     int64    `json:"lost"`
	Foreign  int64    `json:"foreign"`
	Examples []string `json:"examples,omitempty"`
	// LargestGap is the longest time without an acknowledged write, in milliseconds; zero when it is shorter than those
	// listed.
	LargestGap float64 `json:"largestGapMs"`
	// Gaps are those of at least Options.LongGap, in their order; MoreGaps is how many shorter ones of them are left out.
	Gaps     []ReportedGap `json:"gaps"`
	MoreGaps int           `json:"moreGaps"`
	// Availability is the share of the time from First to End that was not in such a gap.
	Availability float64 `json:"availability"`
	// Errors is how many writes and dials failed, by class, and ErrorExamples the first message of each class.
	Errors        map[string]int64  `json:"errors"`
	ErrorExamples map[string]string `json:"errorExamples,omitempty"`
	// Unverified says why the writes could not be looked up; Lost means nothing then.
	Unverified string `json:"unverified,omitempty"`
}

// ReportedGap is a [Gap] as it is printed.
type ReportedGap struct {
	Start  time.Time `json:"start"`
	Length float64   `json:"ms"`
	// Open: the run ended before another write was acknowledged.
	Open bool `json:"open,omitempty"`
}

// Report tells what became of the run. Loss and err are those of Verify. It is for a run that was stopped.
func (w *Writers) Report(name string, loss Loss, err error) Report {
	gaps, more := w.Gaps()
	r := Report{
		Name: name, Writers: w.options.Writers, Wait: w.options.Wait,
		Acked: loss.Acked, Lost: loss.Lost, Foreign: loss.Foreign, Examples: loss.Examples,
		Gaps: []ReportedGap{}, MoreGaps: more,
	}
	if err != nil {
		r.Acked, r.Unverified = w.Acked(), err.Error()
	}
	for _, g := range gaps {
		r.Gaps = append(r.Gaps, ReportedGap{Start: g.From, Length: milliseconds(g.Length()), Open: g.Open})
		r.LargestGap = max(r.LargestGap, milliseconds(g.Length()))
	}
	l := w.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	r.First, r.End = l.begin.Add(l.first), l.begin.Add(l.end)
	if l.acked > 0 && l.end > l.first {
		r.Availability = 1 - float64(l.idle)/float64(l.end-l.first)
	}
	r.Errors, r.ErrorExamples = maps.Clone(l.failed), maps.Clone(l.examples)
	return r
}

// GapSince returns the longest listed gap that ends after the instant; zero when there is none.
func (r Report) GapSince(at time.Time) time.Duration {
	var longest time.Duration
	for _, g := range r.Gaps {
		length := time.Duration(g.Length * float64(time.Millisecond))
		if g.Start.Add(length).After(at) {
			longest = max(longest, length)
		}
	}
	return longest
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
