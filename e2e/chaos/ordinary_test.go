// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2/server"
)

// A master that has just become a replica refuses. go-redis tries again by itself, so that the application sees no
// error, where a client that tries once does.
func TestAnOrdinaryWriterTriesAgainWhereAnotherFails(t *testing.T) {
	for name, test := range map[string]struct {
		ordinary bool
		errors   int64
	}{"ordinary": {true, 0}, "one that tries once": {false, 1}} {
		t.Run(name, func(t *testing.T) {
			m := newMaster(t)
			w := startWriters(t, Options{Finder: Fixed(m.Addr()), Writers: 1, Ordinary: test.ordinary})
			waitAcks(t, w, 20)
			var refused atomic.Bool
			m.Server().SetPreHook(func(peer *server.Peer, command string, _ ...string) bool {
				if command != "SET" || refused.Swap(true) {
					return false
				}
				peer.WriteError("READONLY You can't write against a read only replica.")
				return true
			})
			waitAcks(t, w, 20)
			w.Stop()
			if n := total(w.Failed()); !refused.Load() || n != test.errors {
				t.Errorf("refused: %t, %d errors (%s), want %d", refused.Load(), n, w.Errors(), test.errors)
			}
			if loss, err := w.Verify(t.Context()); err != nil || loss.Lost != 0 || loss.Acked != w.Acked() {
				t.Errorf("%+v, %v", loss, err)
			}
		})
	}
}

func total(counts map[string]int64) (n int64) {
	for _, count := range counts {
		n += count
	}
	return n
}

func TestWhatIsWrittenWithAFormerPasswordIsFoundWithTheNext(t *testing.T) {
	m := newMaster(t)
	m.RequireAuth("first")
	w := startWriters(t, Options{Finder: Fixed(m.Addr()), Password: "first", Writers: 1})
	waitAcks(t, w, 20)
	w.Stop()
	m.RequireAuth("second")
	m.Del("w0:3")
	if _, err := w.Verify(t.Context()); err == nil {
		t.Error("the former password is taken still")
	}
	loss, err := w.VerifyBy(t.Context(), Options{Finder: Fixed(m.Addr()), Password: "second"})
	if err != nil || loss.Acked != w.Acked() || loss.Lost != 1 {
		t.Errorf("%+v of %d, %v; want one lost", loss, w.Acked(), err)
	}
}

func TestTheSettingsOfAnOrdinaryClientAreThoseOfTheLibrary(t *testing.T) {
	if s := OrdinarySettings(); s.MaxRetries < 1 || s.MinRetryBackoff <= 0 || s.MaxRetryBackoff < s.MinRetryBackoff ||
		s.DialerRetries < 1 || s.DialerRetryTimeout <= 0 || s.ReadTimeout <= 0 {
		t.Errorf("%+v", s)
	}
}
