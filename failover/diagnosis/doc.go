// SPDX-License-Identifier: Apache-2.0

// Package diagnosis says what is wrong with the master: it holds what was observed against a table of problems, of
// which the first that matches is the diagnosis. It knows no state and decides nothing; like all of the core it is
// given the time.
package diagnosis
