// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"os"
	"path/filepath"
	"testing"
)

// The operator of another version is made of the sources of this one by replacing text, which a change of them breaks.
func TestTomorrowsOperatorCanBeMadeOfTodaysSources(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := layOver(root, t.TempDir(), tomorrow)
	if err != nil {
		t.Fatal(err)
	}
	if err := build(t.Context(), os.Stderr, root, filepath.Join(t.TempDir(), "manager"), "-overlay", overlay); err != nil {
		t.Error(err)
	}
}
