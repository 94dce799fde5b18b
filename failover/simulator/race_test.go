// SPDX-License-Identifier: Apache-2.0

//go:build race

package simulator

// The race detector makes a schedule eight times as long. There is little for it to find: only one task runs at a time.
const (
	underRace     = true
	testSchedules = 50
)
