// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"testing"
	"time"

	"github.com/redisha/redisha/redisclient"
)

func TestATrialAndSettingsAreSentUnderTheLeaseToTheProcessThatIsMeant(t *testing.T) {
	w := newWorld()
	settings := []redisclient.Setting{{Name: "maxmemory", Value: "wrong"}, {Name: "hz", Value: "10"}}
	e := New(w, cluster{w}, w, Options{})
	refused, err := e.TryConfig(t.Context(), key, w.ref("u1"), settings)
	if err != nil || len(refused) != 1 || refused[0].Setting != settings[0] {
		t.Errorf("%v, %v", refused, err)
	}
	told, err := e.SetSettings(t.Context(), key, w.ref("u1"), settings)
	if err != nil || len(told.Fixed) != 1 {
		t.Errorf("%v, %v", told, err)
	}
	w.left = func() time.Duration { return time.Millisecond }
	if _, err := e.SetSettings(t.Context(), key, w.ref("u1"), settings); !errors.Is(err, ErrLeaseTooShort) {
		t.Errorf("without a lease: %v", err)
	}
	if _, err := e.TryConfig(t.Context(), key, w.ref("u1"), settings); !errors.Is(err, ErrLeaseTooShort) {
		t.Errorf("without a lease: %v", err)
	}
	gone := w.ref("u1")
	gone.UID = "another"
	if _, err := e.TryConfig(t.Context(), key, gone, settings); !errors.Is(err, ErrNoLink) {
		t.Errorf("to a pod that is not watched: %v", err)
	}
}
