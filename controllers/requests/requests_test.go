// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/failover"
)

func TestRequestsAreReadFromTheAnnotation(t *testing.T) {
	tests := map[string]struct {
		value string
		want  *failover.Request
		fails bool
	}{
		"none": {"", nil, false},
		"any replica": {
			"switchover",
			&failover.Request{ID: "switchover", Verb: failover.VerbSwitchover},
			false,
		},
		"a certain replica": {
			"switchover:r-2",
			&failover.Request{ID: "switchover:r-2", Verb: failover.VerbSwitchover, Target: "r-2"},
			false,
		},
		"any replica, again": {
			"switchover#2",
			&failover.Request{ID: "switchover#2", Verb: failover.VerbSwitchover},
			false,
		},
		"a certain replica, again": {
			"switchover:r-2#x:y",
			&failover.Request{ID: "switchover:r-2#x:y", Verb: failover.VerbSwitchover, Target: "r-2"},
			false,
		},
		"what a RedisHARequest is for": {"force-failover:r-2", nil, true},
		"an ID only":                   {"#1", nil, true},
		"a very long one":              {"switchover#" + strings.Repeat("x", 600), nil, true},
		"nonsense":                     {"please", nil, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			rha := &v1alpha1.RedisHA{}
			rha.Annotations = map[string]string{v1alpha1.AnnotationRequest: tc.value}
			got, err := Of(rha)
			if (err != nil) != tc.fails {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnotherIDIsOneThatWasNotUsed(t *testing.T) {
	for value, want := range map[string]string{
		"switchover": "switchover#2", "switchover#2": "switchover#3", "switchover#x": "switchover#2", "switchover:r-1#9": "switchover:r-1#10",
	} {
		if got := AnotherID(value); got != want {
			t.Errorf("after %s comes %s, want %s", value, got, want)
		}
	}
}
