// SPDX-License-Identifier: Apache-2.0

package simulator

// entry is a command in a replication stream, together with everything before it: a data set is its last entry.
type entry struct {
	parent *entry
	depth  int
	offset int64   // master_repl_offset after it
	at     instant // when the master executed it
	number int     // of a client's write; 0 for what is no write
	keys   int64   // writes up to here
}

// then returns the history with one more entry.
func (e *entry) then(number int, offset int64, at instant) *entry {
	next := &entry{parent: e, offset: offset, at: at, number: number, depth: 1}
	if e != nil {
		next.depth, next.keys = e.depth+1, e.keys
	}
	if number != 0 {
		next.keys++
	}
	return next
}

// contains reports whether o is a part of the history e. Everything contains nothing.
func (e *entry) contains(o *entry) bool {
	if o == nil {
		return true
	}
	for e != nil && e.depth > o.depth {
		e = e.parent
	}
	return e == o
}

// asOf returns the history as it was at an instant, or floor if it comes to that first.
func (e *entry) asOf(by instant, floor *entry) *entry {
	for e != nil && e.at > by && e != floor {
		e = e.parent
	}
	return e
}

// keyCount is the number of keys of a data set: each write has its own.
func (e *entry) keyCount() int64 {
	if e == nil {
		return 0
	}
	return e.keys
}

// image is what a disk holds.
type image struct {
	head   *entry
	replid string // empty for an append-only file, which knows no history
	offset int64
}
