// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/redisha/redisha/failover/lease"
)

func TestAProcessThatBeginsAnewKeepsItsNameInTheElection(t *testing.T) {
	for _, address := range []string{"", "10.0.0.7:8082", "[fd00::7]:8082"} {
		first, err := candidate("", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := lease.Address(first); got != address {
			t.Errorf("%q is to be found at %q, want %q", first, got, address)
		}
		if again, err := candidate(first, address); err != nil || again != first {
			t.Errorf("%q stands as %q: %v", first, again, err)
		}
		for _, kept := range []string{"", "operator", "another-host_" + first} { // two of one name would both lead
			if other, err := candidate(kept, address); err != nil || other == first || other == kept {
				t.Errorf("stands as %q where the environment says %q: %v", other, kept, err)
			}
		}
		if moved, err := candidate(first, "10.0.0.8:8082"); err != nil || moved == first {
			t.Errorf("stands as %q though it is to be found elsewhere: %v", moved, err)
		}
	}
}
