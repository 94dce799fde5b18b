// SPDX-License-Identifier: Apache-2.0

package simulator

import "testing"

func TestStandbysTakeTheLeaseOfTheDeadAtOnce(t *testing.T) {
	const schedules = 30
	stats, finding := Run(1, schedules, 2, nil)
	if finding != nil {
		t.Fatal(finding.Violation)
	}
	if stats.heirs == 0 || stats.heirs >= stats.takeovers {
		t.Errorf(
			"%d of %d takeovers are from the dead, with %d crashes in %d schedules", stats.heirs, stats.takeovers,
			stats.crashes, schedules,
		)
	}
}
