// SPDX-License-Identifier: Apache-2.0

//go:build race

package testbed

// raceDetector: a test that watches itself for races watches the operator too.
const raceDetector = true
