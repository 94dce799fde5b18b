// SPDX-License-Identifier: Apache-2.0

// Package scenarios is what happens to a Redis master in bad nights, done for real: processes killed, hung and
// restarted, networks parted, operators killed between any two steps, and people who help by hand. Each scenario runs
// the shipped operator and real redis-server processes in the sandbox, writes without pause, and asserts the outcome,
// the data (every acknowledged write is looked up) and the reason that was reported.
//
// `make scenarios` runs them, `make scenarios COUNT=5` five times over; they take minutes, so a plain `go test ./...`
// leaves them out. At the end there is a table: for each scenario how long no write was acknowledged, how many were,
// and how many of those are gone.
package scenarios
