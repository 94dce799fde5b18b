// SPDX-License-Identifier: Apache-2.0

//go:build !race

package testbed

// raceDetector: the operator is built as it is shipped.
const raceDetector = false
