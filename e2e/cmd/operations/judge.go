// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// Bounds of the time without an acknowledged write, in milliseconds.
const (
	// mostStall is that of every round of every operation.
	mostStall = 1000
	// mostSwitchover is that of ninety-nine in a hundred switchovers that are asked for.
	mostSwitchover = 100
)

// wrong says what must not be, each with operation and round: a write lost or not looked up, a bound missed, a RedisHA
// that did not settle.
func (r *report) wrong() []string {
	var wrong []string
	for _, one := range r.Results {
		about := fmt.Sprintf("%s, round %d: ", one.name(), one.Round)
		if one.Failure != "" {
			wrong = append(wrong, about+one.Failure)
		} else if one.LookedUp != one.Acked {
			wrong = append(
				wrong, fmt.Sprintf("%s%d of %d acknowledged writes were looked up", about, one.LookedUp, one.Acked),
			)
		} else if one.Acked == 0 {
			wrong = append(wrong, about+"no write was acknowledged")
		}
		if one.Lost > 0 {
			wrong = append(wrong, fmt.Sprintf("%s%d acknowledged writes are lost: %v", about, one.Lost, one.LostKeys))
		}
		if !one.Outage && one.Stall > mostStall {
			wrong = append(
				wrong, fmt.Sprintf("%s%d ms without an acknowledged write, at most %d are allowed", about, one.Stall, mostStall),
			)
		}
	}
	for _, row := range r.rows() {
		if row.operation == "switchover" && row.p99 > mostSwitchover {
			wrong = append(wrong, fmt.Sprintf(
				"%s, TLS %s, round %d: the p99 is %d ms without an acknowledged write, at most %d are allowed", row.operation,
				row.tls, row.worstRound, row.p99, mostSwitchover,
			))
		}
	}
	return wrong
}
