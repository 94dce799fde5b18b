// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestFaultsAreChosenByName(t *testing.T) {
	all, err := choose(nil)
	if err != nil || len(all) != len(faults()) {
		t.Errorf("%d faults, %v", len(all), err)
	}
	some, err := choose([]string{"delete", "kill"})
	if err != nil || len(some) != 2 || some[0].name != "delete" || !some[0].planned || some[1].planned {
		t.Errorf("%v, %v", some, err)
	}
	if _, err := choose([]string{"kil"}); err == nil {
		t.Error("a fault that does not exist was chosen")
	}
}
