// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
	"github.com/redisha/redisha/redisclient"
)

func TestAQuietenedMasterIsPausedThenFenced(t *testing.T) {
	w := newWorld()
	if err := w.execute(t, failover.Detach{Node: w.ref("u0"), Quieten: true, Within: time.Second})[0].Err; err != nil {
		t.Fatal(err)
	}
	want := []string{"cache-0 PAUSE 5s", "cache-0 REPLICAOF 127.0.0.1 1"}
	if diff := cmp.Diff(want, w.list()); diff != "" {
		t.Error(diff)
	}
}

func TestAReplicaWhoseLinkIsToBeDatedIsSampledBeforeItIsDetached(t *testing.T) {
	w := newWorld()
	if err := w.execute(t, failover.Detach{Node: w.ref("u1"), Look: true, Within: time.Second})[0].Err; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{0, 1}, w.refreshes); diff != "" {
		t.Errorf("sampled after so many commands: %s", diff)
	}
}

func TestAMasterThatCannotPauseIsFencedAllTheSame(t *testing.T) {
	w := newWorld()
	w.redis["u0"].fail["PAUSE"] = redisError("ERR syntax error")
	if err := w.execute(t, failover.Detach{Node: w.ref("u0"), Quieten: true, Within: time.Second})[0].Err; err != nil {
		t.Fatal(err)
	}
	if got := len(w.list()); got != 2 {
		t.Errorf("sent %v", w.list())
	}
}

func TestAMasterThatDoesNotAnswerThePauseIsNotAskedAnythingElse(t *testing.T) {
	w := newWorld()
	w.redis["u0"].fail["PAUSE"] = context.DeadlineExceeded
	err := w.execute(t, failover.Detach{Node: w.ref("u0"), Quieten: true, Within: time.Second})[0].Err
	if redisclient.Classify(err) != redisclient.ClassTimeout || len(w.list()) != 1 {
		t.Errorf("got %v, sent %v", err, w.list())
	}
}

// redisError is an error reply, as go-redis tells it.
type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

func TestANodeIsNotPromotedIfItsMinReplicasCannotBeSet(t *testing.T) {
	w := newWorld()
	w.redis["u1"].fail["MIN-REPLICAS"] = redisError("NOPERM this user has no permissions")
	err := w.execute(t, failover.Promote{Node: w.ref("u1"), MinReplicas: 1})[0].Err
	if redisclient.Classify(err) != redisclient.ClassAuth || len(w.list()) != 1 {
		t.Errorf("got %v, sent %v", err, w.list())
	}
}

func TestANodeIsNeverMadeToFollowItselfOrNoAddress(t *testing.T) {
	w := newWorld()
	self := w.ref("u0")
	sameAddress, nowhere := w.ref("u1"), w.ref("u1")
	sameAddress.IP, nowhere.IP = self.IP, ""
	for name, master := range map[string]failover.NodeRef{"itself": self, "its address": sameAddress, "nowhere": nowhere} {
		if err := w.execute(t, failover.Follow{Node: self, Master: master})[0].Err; !errors.Is(err, ErrNoMaster) {
			t.Errorf("%s: got %v, want ErrNoMaster", name, err)
		}
	}
	if sent := w.list(); len(sent) > 0 {
		t.Errorf("sent %v", sent)
	}
}

func TestWhomACutMetIsRecorded(t *testing.T) {
	for writersOnly, want := range map[bool]string{false: "false 1", true: "true 2"} {
		w := newWorld()
		err := w.execute(t, failover.CutClients{Node: w.ref("u0"), WritersOnly: writersOnly})[0].Err
		if err != nil || w.cut["u0"] != want {
			t.Errorf("got %v, recorded %q, want %q", err, w.cut["u0"], want)
		}
	}
}

func TestACutLeavesTheSampleInForce(t *testing.T) {
	w := newWorld()
	w.execute(t, failover.CutClients{Node: w.ref("u0")})
	if len(w.stale) != 0 {
		t.Errorf("stale: %v", w.stale)
	}
}

func TestClientsThatCouldNotBeCutAreNotSaidToBe(t *testing.T) {
	for _, command := range []string{"KILL", "UNPAUSE"} {
		w := newWorld()
		w.redis["u0"].fail[command] = syscall.ECONNRESET
		if err := w.execute(t, failover.CutClients{Node: w.ref("u0")})[0].Err; err == nil || w.cut["u0"] != "" {
			t.Errorf("%s failed: got %v, recorded %q", command, err, w.cut["u0"])
		}
	}
}

func TestADrainThatCannotCatchUpUnpauses(t *testing.T) {
	tests := map[string]func(w *fakeWorld){
		"its link is down":      func(w *fakeWorld) { w.redis["u1"].info.LinkUp = false },
		"it is of another line": func(w *fakeWorld) { w.redis["u1"].info.ReplID = "b" },
		"it synchronises":       func(w *fakeWorld) { w.redis["u1"].info.SyncInProgress = true },
		"it loads":              func(w *fakeWorld) { w.redis["u1"].info.Loading = true },
		"it is a master":        func(w *fakeWorld) { w.redis["u1"].info.Role = redisclient.RoleMaster },
		"it stays behind":       func(w *fakeWorld) { w.redis["u1"].info.AppliedOffset = 9 },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			spoil(w)
			err := w.execute(t, failover.Drain{Master: w.ref("u0"), Candidate: w.ref("u1"), Within: 20 * time.Millisecond})[0].Err
			if !errors.Is(err, ErrCannotCatchUp) {
				t.Errorf("got %v, want ErrCannotCatchUp", err)
			}
			if diff := cmp.Diff([]string{"cache-0 PAUSE 2.02s", "cache-0 UNPAUSE"}, w.list()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"u0"}, w.refreshed); diff != "" {
				t.Errorf("looked at again: %s", diff)
			}
		})
	}
}

func TestADrainWhoseCallerIsGoneUnpauses(t *testing.T) {
	w := newWorld()
	w.redis["u1"].info.AppliedOffset = 9
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	results := New(w, cluster{w}, w, Options{}).Execute(ctx, key, Master{Port: 6379},
		[]failover.Action{failover.Drain{Master: w.ref("u0"), Candidate: w.ref("u1"), Within: time.Minute}})
	if results[0].Err == nil {
		t.Error("no error")
	}
	if diff := cmp.Diff([]string{"cache-0 PAUSE 1m2s", "cache-0 UNPAUSE"}, w.list()); diff != "" {
		t.Error(diff)
	}
}

func TestADrainWhoseFenceFailsUnpauses(t *testing.T) {
	w := newWorld()
	w.redis["u0"].fail["REPLICAOF"] = context.DeadlineExceeded
	err := w.execute(t, failover.Drain{Master: w.ref("u0"), Candidate: w.ref("u1"), Within: time.Second})[0].Err
	if redisclient.Classify(err) != redisclient.ClassTimeout {
		t.Errorf("got %v", err)
	}
	if got := w.list(); got[len(got)-1] != "cache-0 UNPAUSE" {
		t.Errorf("sent %v", got)
	}
}

func TestADrainThatLostTheLeaseSendsNothingMore(t *testing.T) {
	w := newWorld()
	w.left = func() time.Duration { return time.Minute - time.Duration(len(w.list()))*time.Minute }
	err := w.execute(t, failover.Drain{Master: w.ref("u0"), Candidate: w.ref("u1"), Within: time.Second})[0].Err
	if !errors.Is(err, ErrLeaseTooShort) {
		t.Errorf("got %v, want ErrLeaseTooShort", err)
	}
	if diff := cmp.Diff([]string{"cache-0 PAUSE 3s"}, w.list()); diff != "" {
		t.Error(diff)
	}
}

func TestADrainIntoAProcessThatIsGoneUnpauses(t *testing.T) {
	w := newWorld()
	candidate := w.ref("u1")
	w.redis["u1"].info.RunID = "another"
	err := w.execute(t, failover.Drain{Master: w.ref("u0"), Candidate: candidate, Within: time.Second})[0].Err
	if !errors.Is(err, link.ErrOtherIncarnation) {
		t.Errorf("got %v, want ErrOtherIncarnation", err)
	}
	if diff := cmp.Diff([]string{"cache-0 PAUSE 3s", "cache-0 UNPAUSE"}, w.list()); diff != "" {
		t.Error(diff)
	}
}

// The master's pings move its offset though its writes are paused.
func TestADrainFollowsAnOffsetThatMovesUnderThePause(t *testing.T) {
	w := newWorld()
	master, candidate := w.redis["u0"], w.redis["u1"]
	candidate.info.AppliedOffset = 5
	pings := 3
	master.onInfo = func(i *redisclient.Info) {
		if pings > 0 {
			pings--
			i.Offset += 14
		}
	}
	candidate.onInfo = func(i *redisclient.Info) { i.AppliedOffset = min(i.AppliedOffset+5, master.info.Offset) }
	if err := w.execute(t, failover.Drain{Master: w.ref("u0"), Candidate: w.ref("u1"), Within: 10 * time.Second})[0].Err; err != nil {
		t.Fatal(err)
	}
	if m, c := master.info.Offset, candidate.info.AppliedOffset; c < m || pings > 0 {
		t.Errorf("fenced at %d with the candidate at %d, %d pings to come", m, c, pings)
	}
	// Clients wait until the samples of both show that the candidate has everything.
	if diff := cmp.Diff([]string{"u0", "u1"}, w.refreshed); diff != "" {
		t.Errorf("looked at again: %s", diff)
	}
}
