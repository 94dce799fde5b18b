// SPDX-License-Identifier: Apache-2.0

// Package chaos writes to a Redis without pause and knows afterwards what became of it: for how long no write was
// acknowledged, and which acknowledged writes are gone.
//
// Every write is a SET of a key of its own, "w<writer>:<number>", to a value that names the run. So an acknowledged
// write that is absent, or that shows the value of an earlier run, is a lost one; there is nothing to interpret. A
// writer has one write outstanding at most, gives it up after a timeout and dials again at once, as a well-behaved
// application does. How it finds the master is up to its [Finder].
package chaos
