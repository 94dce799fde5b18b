// SPDX-License-Identifier: Apache-2.0

//go:build !race

package simulator

// How many schedules a test plays; `make simulate` plays as many as one likes.
const (
	underRace     = false
	testSchedules = 1000
)
