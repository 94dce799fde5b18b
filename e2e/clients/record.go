// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Record is what one application has told. It may be used by several goroutines.
type Record struct {
	app Library

	mu       sync.Mutex
	answers  [][]int64       // by lane, when each of its answers came; in order
	accepted map[int64]int64 // by number, when it was acknowledged: those not looked up and not arrived
	early    map[int64]bool  // arrived before they were acknowledged
	errors   map[string]int64
	acked    int64
	next     int64 // greater than every number that was told
	unknown  string
}

// NewRecord returns a record of nothing.
func NewRecord(l Library) *Record {
	r := &Record{app: l, accepted: map[int64]int64{}, early: map[int64]bool{}, errors: map[string]int64{}}
	r.answers = make([][]int64, r.lanes())
	return r
}

// lanes is how many things have to go on for the application to be well: each of its goroutines, or both producing and
// consuming.
func (r *Record) lanes() int64 {
	if r.consumes() {
		return 2
	}
	return r.app.Lanes
}

func (r *Record) consumes() bool { return r.app.Role == Queue || r.app.Role == Subscriber }

// Note takes in a line that the application has printed. What is none of the protocol is kept as what it said last.
func (r *Record) Note(line string) {
	var kind string
	var at, number int64
	if n, _ := fmt.Sscanf(line, "%1s %d %d", &kind, &at, &number); n != 3 {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.unknown = line
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = max(r.next, number+1)
	switch kind {
	case "A":
		r.accept(at, number)
	case "D":
		r.arrive(at, number)
	case "E":
		r.errors[class(line)]++
	}
}

func (r *Record) accept(at, number int64) {
	r.acked++
	lane := number % r.lanes()
	if r.consumes() {
		lane = 0
	}
	r.answers[lane] = append(r.answers[lane], at)
	if r.early[number] {
		delete(r.early, number)
		return
	}
	if r.app.Role == Writer || r.app.Role == Queue {
		r.accepted[number] = at
	}
}

func (r *Record) arrive(at, number int64) {
	r.answers[1] = append(r.answers[1], at)
	if r.app.Role != Queue {
		return
	}
	if _, known := r.accepted[number]; !known {
		r.early[number] = true
	}
	delete(r.accepted, number)
}

// class is an error without what differs from one to the next: its first words but for those with a digit, an address
// for one.
func class(line string) string {
	var words []string
	for _, word := range strings.Fields(line)[3:] {
		if strings.ContainsFunc(word, unicode.IsDigit) {
			continue
		}
		if words = append(words, word); len(words) == 6 {
			break
		}
	}
	return strings.Join(words, " ")
}

// Gap is the longest time without an answer that reaches into the time between two instants: of the lane that was
// without for longest.
func (r *Record) Gap(from, to time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	longest := int64(0)
	for lane, answers := range r.answers {
		if r.consumes() && (lane == 1) != r.app.Arrivals {
			continue
		}
		longest = max(longest, gap(answers, from.UnixMilli(), to.UnixMilli()))
	}
	return time.Duration(longest) * time.Millisecond
}

func gap(answers []int64, from, to int64) int64 {
	longest, last := int64(0), from
	for _, at := range answers {
		if at <= from {
			last = at
			continue
		}
		longest = max(longest, min(at, to)-last)
		if at >= to {
			return longest
		}
		last = at
	}
	return max(longest, to-last)
}

// Silent reports whether some lane has had no answer since the instant.
func (r *Record) Silent(since time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, answers := range r.answers {
		if len(answers) == 0 || answers[len(answers)-1] < since.UnixMilli() {
			return true
		}
	}
	return false
}

// Begin forgets answers and errors that came before now, but for the last answer of each lane.
func (r *Record) Begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for lane, answers := range r.answers {
		if len(answers) > 0 {
			r.answers[lane] = append([]int64(nil), answers[len(answers)-1])
		}
	}
	clear(r.errors)
	r.acked = 0
}

// Acked is how much was acknowledged since Begin, and Errors what went wrong, by class.
func (r *Record) Acked() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acked
}

// Errors is how many errors there were since Begin, by class.
func (r *Record) Errors() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.errors)
}

// Accepted returns the numbers that were acknowledged and neither looked up nor arrived, and when each was.
func (r *Record) Accepted() map[int64]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.accepted)
}

// settle forgets numbers that were looked up.
func (r *Record) settle(numbers []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range numbers {
		delete(r.accepted, n)
	}
}

// start is a number for a program that goes on in the place of one that was ended.
func (r *Record) start() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	const apart = 1000 // a multiple of the lanes, and more than a program has under way
	return (r.next/(apart*r.app.Lanes) + 1) * apart * r.app.Lanes
}

func (r *Record) lastWords() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.unknown
}
