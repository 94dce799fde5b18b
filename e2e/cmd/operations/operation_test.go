// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"
)

func TestOperationsAreChosenByNameAndPlayedInTheirColumns(t *testing.T) {
	told := func(all []played) string {
		var names []string
		for _, p := range all {
			names = append(names, p.name+" "+p.column)
		}
		return strings.Join(names, ", ")
	}
	for name, test := range map[string]struct {
		names, columns []string
		want           string
	}{
		"both columns":        {[]string{"drain", "delete"}, []string{off, on}, "drain off, drain on, delete off, delete on"},
		"one column":          {[]string{"drain", "delete"}, []string{on}, "drain on, delete on"},
		"some run in one":     {[]string{"tls", "renewal", "authority"}, []string{off, on}, "tls off, renewal on, authority on"},
		"none runs in it":     {[]string{"renewal"}, []string{off}, ""},
		"one that is unknown": {[]string{"delet"}, []string{off}, ""},
		"one left out":        {[]string{"version"}, []string{off}, ""},
		"a column unknown":    {[]string{"delete"}, []string{"yes"}, ""},
	} {
		got, err := choose(test.names, test.columns)
		if told(got) != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: %q, %v", name, told(got), err)
		}
	}
	every := 0
	for _, o := range operations() {
		every += len(o.tls)
	}
	if all, err := choose(nil, []string{off, on}); err != nil || len(all) != every {
		t.Errorf("%d operations and columns instead of %d, %v", len(all), every, err)
	}
	if _, err := choose([]string{"version"}, []string{off}); err == nil || !strings.Contains(err.Error(), "left out") {
		t.Errorf("%v does not say why", err)
	}
}

func TestNoOperationIsLeftOutAndPlayed(t *testing.T) {
	for name := range leftOut() {
		if slices.ContainsFunc(operations(), func(o operation) bool { return o.name == name }) {
			t.Errorf("%s is both", name)
		}
	}
}
