// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/redisha/redisha/e2e/clients"
)

func TestApplicationsWriteInGroupsThatTheMachineCanCarry(t *testing.T) {
	of := func(lanes ...int64) (all []application) {
		for _, n := range lanes {
			all = append(all, application{Library: clients.Library{Lanes: n}})
		}
		return all
	}
	for name, test := range map[string]struct {
		all  []application
		want []int
	}{
		"all at once":              {of(1, 1, 1), []int{3}},
		"one group after another":  {of(1, 1, 1, 1, 1, 1, 1), []int{6, 1}},
		"one with many by itself":  {of(1, 16, 1, 1), []int{1, 1, 2}},
		"as many as there is room": {of(3, 3, 1), []int{2, 1}},
	} {
		var sizes []int
		for _, group := range grouped(test.all, 6) {
			sizes = append(sizes, len(group))
		}
		if len(sizes) != len(test.want) {
			t.Errorf("%s: groups of %v, want %v", name, sizes, test.want)
			continue
		}
		for i := range sizes {
			if sizes[i] != test.want[i] {
				t.Errorf("%s: groups of %v, want %v", name, sizes, test.want)
			}
		}
	}
}
