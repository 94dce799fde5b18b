// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

func TestWhoStayedWithAHungMasterTellsWhatItStillAcknowledgedAndWhatIsLost(t *testing.T) {
	former, present := newMaster(t), newMaster(t)
	finder := &movable{}
	finder.move(former.Addr())
	options := Options{Finder: finder}
	s, err := Stay(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	release := make(chan struct{})
	hang(former, release)
	s.Send(50)
	finder.move(present.Addr())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got, err := s.Outcome(ctx, options); err == nil {
		t.Fatalf("%+v from a master that hangs", got)
	}
	close(release)
	got, err := s.Outcome(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if got.Sent != 50 || got.Acked != 50 || got.Lost != 50 || got.Addr != former.Addr() {
		t.Errorf("%+v, want 50 sent, acknowledged, and lost", got)
	}
}

func TestWhoStayedWithAFencedMasterHasNothingAcknowledged(t *testing.T) {
	m := newMaster(t)
	options := Options{Finder: Fixed(m.Addr())}
	s, err := Stay(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	refuseWrites(m)
	s.Send(50)
	got, err := s.Outcome(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if got.Acked != 0 || got.Lost != 0 || got.Errors["readonly"] != 50 {
		t.Errorf("%+v, want 50 writes refused", got)
	}
}

// refuseWrites makes a miniredis answer SET as a replica does.
func refuseWrites(m *miniredis.Miniredis) {
	m.Server().SetPreHook(func(peer *server.Peer, command string, _ ...string) bool {
		if command != "SET" {
			return false
		}
		peer.WriteError("READONLY You can't write against a read only replica.")
		return true
	})
}
