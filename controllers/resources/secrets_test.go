// SPDX-License-Identifier: Apache-2.0

package resources_test

import (
	"strings"
	"testing"

	"github.com/redisha/redisha/controllers/resources"
)

func TestCheckPasswordRefusesWhatClientsOrRedisCannotCarry(t *testing.T) {
	tests := map[string]struct {
		password string
		refused  string
	}{
		"a plain one":         {password: "s3cret"},
		"quotes and spaces":   {password: `a "b" \c $d`},
		"longest":             {password: strings.Repeat("x", 512)},
		"empty":               {password: "", refused: "empty"},
		"too long":            {password: strings.Repeat("x", 513), refused: "512"},
		"written with echo":   {password: "s3cret\n", refused: "printf"},
		"a control character": {password: "s3\x00cret", refused: "control"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := resources.CheckPassword(tc.password)
			if tc.refused == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if tc.refused != "" && (err == nil || !strings.Contains(err.Error(), tc.refused)) {
				t.Errorf("got %v, want a refusal that says %q", err, tc.refused)
			}
		})
	}
}
