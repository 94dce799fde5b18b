// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/google/go-cmp/cmp"
)

// confirmBy makes a miniredis answer WAIT as a master does whose writes that many replicas confirm.
func confirmBy(m *miniredis.Miniredis, replicas int) {
	m.Server().SetPreHook(func(peer *server.Peer, command string, _ ...string) bool {
		if command != "WAIT" {
			return false
		}
		peer.WriteInt(replicas)
		return true
	})
}

func TestAWriteThatTooFewReplicasConfirmIsNotAcknowledged(t *testing.T) {
	m := newMaster(t)
	confirmBy(m, 1)
	w := startWriters(t, Options{Finder: Fixed(m.Addr()), Wait: 2})
	eventually(t, func() bool { return w.Failed()[classUnreplicated] > 3 })
	if n := w.Acked(); n != 0 {
		t.Errorf("%d writes count as acknowledged, and one replica of two confirmed them", n)
	}
}

func TestAWriteThatReplicasConfirmIsAcknowledged(t *testing.T) {
	m := newMaster(t)
	confirmBy(m, 1)
	w := startWriters(t, Options{Finder: Fixed(m.Addr()), Wait: 1})
	waitAcks(t, w, 50)
	w.Stop()
	if loss, err := w.Verify(t.Context()); err != nil || loss.Lost != 0 || loss.Acked != w.Acked() {
		t.Errorf("verified %+v, %v, want %d acknowledged and none lost", loss, err, w.Acked())
	}
}

func TestRunsWithPrefixesKeepTheirKeysApart(t *testing.T) {
	m := newMaster(t)
	one := startWriters(t, Options{Finder: Fixed(m.Addr()), Prefix: "one:"})
	other := startWriters(t, Options{Finder: Fixed(m.Addr()), Prefix: "other:"})
	waitAcks(t, one, 50)
	waitAcks(t, other, 50)
	for _, w := range []*Writers{one, other} {
		w.Stop()
		if loss, err := w.Verify(t.Context()); err != nil || loss.Lost != 0 {
			t.Errorf("verified %+v, %v", loss, err)
		}
	}
}

func TestTheReportSaysWhatAnOutageCost(t *testing.T) {
	m := newMaster(t)
	w := startWriters(t, Options{Finder: Fixed(m.Addr())})
	waitAcks(t, w, 20)
	down := time.Now()
	m.Close()
	time.Sleep(300 * time.Millisecond)
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	registerRole(t, m, "master") // it forgets what it was taught
	waitAcks(t, w, 20)
	up := time.Now()
	m.Del("w0:1")
	w.Stop()
	loss, err := w.Verify(t.Context())
	r := w.Report("a stream", loss, err)
	if r.Unverified != "" || r.Lost != 1 || r.Acked != w.Acked() || !slices.Equal(r.Examples, []string{"w0:1"}) {
		t.Errorf("%+v, want one of %d writes lost, w0:1", r, w.Acked())
	}
	if r.LargestGap < 300 || r.GapSince(down) < 300*time.Millisecond || r.GapSince(up) >= 300*time.Millisecond {
		t.Errorf("%+v, want a gap of at least 300 ms, and not after it", r)
	}
	if r.Availability <= 0 || r.Availability > 1-0.3/up.Sub(r.First).Seconds() {
		t.Errorf("available for %v of %v, in which there was an outage of 300 ms", r.Availability, r.End.Sub(r.First))
	}
	if r.Errors["refused"] == 0 || r.ErrorExamples["refused"] == "" {
		t.Errorf("errors %v, want refused connections", r.Errors)
	}
}

func TestAReportSurvivesBeingPrinted(t *testing.T) {
	m := newMaster(t)
	w := startWriters(t, Options{Finder: Fixed(m.Addr())})
	waitAcks(t, w, 5)
	m.Close()
	time.Sleep(60 * time.Millisecond)
	w.Stop()
	r := w.Report("a stream", Loss{}, errors.New("no answer"))
	r.First, r.End = r.First.Round(0), r.End.Round(0) // without the monotonic clock, which is not printed
	for i := range r.Gaps {
		r.Gaps[i].Start = r.Gaps[i].Start.Round(0)
	}
	text, err := json.Marshal(Result{Streams: []Report{r}})
	if err != nil {
		t.Fatal(err)
	}
	var got Result
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Result{Streams: []Report{r}}, got); diff != "" {
		t.Error(diff)
	}
	if r.Unverified == "" || len(r.Gaps) == 0 || !r.Gaps[len(r.Gaps)-1].Open {
		t.Errorf("%+v, want an open gap at the end and that nothing was verified", r)
	}
}

func TestTheLongestGapsAreKept(t *testing.T) {
	l := newLedger(1, 0)
	for range maxGaps {
		l.remember(Gap{From: l.begin, To: l.begin.Add(time.Millisecond)})
	}
	outage := Gap{From: l.begin, To: l.begin.Add(time.Minute)}
	l.remember(outage)
	if !slices.Contains(l.gaps, outage) || len(l.gaps) != maxGaps || l.gapsMore != 1 {
		t.Errorf("%d gaps and %d more, want the outage among %d", len(l.gaps), l.gapsMore, maxGaps)
	}
}

// eventually waits for what has to come.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come")
		}
	}
}
