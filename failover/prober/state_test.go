// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return start.Add(d) }

// replica is a healthy replica's INFO.
func replica() redisclient.Info {
	return redisclient.Info{
		RunID:             "run-1",
		Role:              redisclient.RoleReplica,
		MasterHost:        "10.0.0.1",
		MasterPort:        6379,
		LinkUp:            true,
		LinkDownFor:       redisclient.Unknown,
		LastIO:            time.Second,
		ReplID:            "a",
		ReplID2:           "0",
		SecondOffset:      -1,
		Offset:            120,
		AppliedOffset:     100,
		Priority:          100,
		Keys:              7,
		RDBLastSaveOK:     true,
		AOFLastWriteOK:    true,
		ConnectedReplicas: []redisclient.ConnectedReplica{{State: "online"}, {State: "wait_bgsave"}},
	}
}

// sampled is the state of a pod that was sampled at start.
func sampled() *state {
	s := &state{}
	s.record(outcome{began: start, ended: start, info: replica()})
	return s
}

func TestASampleIsWhatTheCoreNeedsOfInfo(t *testing.T) {
	want := failover.Replication{
		RunID:      "run-1",
		Role:       failover.RoleReplica,
		MasterHost: "10.0.0.1",
		MasterPort: 6379,
		LinkUp:     true,
		Linked:     true,
		LastIO:     time.Second,
		Lineage:    failover.Lineage{ReplID: "a", ReplID2: "0", SecondOffset: -1, Offset: 100},
		Priority:   100,
		Keys:       7,
		Followers:  1,
	}
	if diff := cmp.Diff(want, sampled().node.Replication); diff != "" {
		t.Error(diff)
	}
}

func TestARedisThatCannotPersistIsSeen(t *testing.T) {
	for name, test := range map[string]struct {
		spoil     func(i *redisclient.Info)
		aof, save bool
	}{
		"its append-only file":            {func(i *redisclient.Info) { i.AOFEnabled, i.AOFLastWriteOK = true, false }, true, false},
		"one that is off since it failed": {func(i *redisclient.Info) { i.AOFLastWriteOK = false }, false, false},
		"a snapshot":                      {func(i *redisclient.Info) { i.RDBLastSaveOK = false }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			s, info := sampled(), replica()
			before := s.kind()
			test.spoil(&info)
			s.record(outcome{began: start, ended: start, info: info})
			if r := s.node.Replication; r.AOFFailed != test.aof || r.SaveFailed != test.save {
				t.Errorf("AOF failed: %t, snapshot failed: %t", r.AOFFailed, r.SaveFailed)
			}
			if wakes := s.kind() != before; wakes != (test.aof || test.save) {
				t.Errorf("it wakes the controller: %t", wakes)
			}
		})
	}
}

func TestContactFollowsFromTheClassOfTheOutcome(t *testing.T) {
	tests := map[string]struct {
		class       redisclient.Class
		want        failover.Contact
		answered    bool // LastAnswer moves
		newerSample bool
	}{
		"an answer":            {redisclient.ClassNone, failover.ContactAnswering, true, true},
		"loading":              {redisclient.ClassLoading, failover.ContactAnswering, true, false},
		"busy":                 {redisclient.ClassBusy, failover.ContactBusy, true, false},
		"master down":          {redisclient.ClassMasterDown, failover.ContactErring, false, false},
		"misconfigured":        {redisclient.ClassMisconf, failover.ContactErring, false, false},
		"too many clients":     {redisclient.ClassMaxClients, failover.ContactFull, false, false},
		"another error reply":  {redisclient.ClassServer, failover.ContactErring, false, false},
		"wrong password":       {redisclient.ClassAuth, failover.ContactDenied, true, false},
		"nothing in time":      {redisclient.ClassTimeout, failover.ContactSilent, false, false},
		"no route":             {redisclient.ClassUnreachable, failover.ContactSilent, false, false},
		"an error of our own":  {redisclient.ClassOther, failover.ContactSilent, false, false},
		"refused, or EOF, RST": {redisclient.ClassRefused, failover.ContactRefused, false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := sampled()
			s.record(outcome{began: at(time.Second), ended: at(2 * time.Second), class: tt.class, info: replica()})
			got := s.node
			if got.Contact != tt.want {
				t.Errorf("contact is %q, want %q", got.Contact, tt.want)
			}
			if moved := got.LastAnswer.Equal(at(2 * time.Second)); moved != tt.answered {
				t.Errorf("last answer at %v, counted as an answer: %v, want %v", got.LastAnswer, moved, tt.answered)
			}
			if newer := got.SampledAt.Equal(at(time.Second)); newer != tt.newerSample || !got.Sampled {
				t.Errorf("sampled %v at %v, newer: %v, want %v", got.Sampled, got.SampledAt, newer, tt.newerSample)
			}
			if got.Replication.RunID != "run-1" {
				t.Errorf("the older sample is lost: %+v", got.Replication)
			}
			if got.Replication.Loading != (tt.class == redisclient.ClassLoading) {
				t.Errorf("loading is %v", got.Replication.Loading)
			}
		})
	}
}

// An error in the place of a state leaves what the process told before, and that is not in force any more.
func TestAnErrorReplyKeepsNoOldSampleInForce(t *testing.T) {
	for _, class := range []redisclient.Class{redisclient.ClassBusy, redisclient.ClassMaxClients, redisclient.ClassServer} {
		s := sampled()
		s.record(outcome{began: at(time.Second), ended: at(time.Second), class: class})
		if s.node.Answers() {
			t.Errorf("%s: what it said before is in force", class)
		}
		if !s.node.ContactSince.Equal(at(time.Second)) {
			t.Errorf("%s: since %s", class, s.node.ContactSince)
		}
		s.record(outcome{began: at(2 * time.Second), ended: at(2 * time.Second), info: replica()})
		if !s.node.Answers() {
			t.Errorf("%s: it answers again, and that is not taken for it", class)
		}
	}
}

// A script that takes long is a sign of life, and one that never ends is none, though a reply is late once in a while.
func TestAScriptThatNeverEndsIsNoSignOfLife(t *testing.T) {
	s := sampled()
	for now := time.Second; now < 40*time.Second; now += time.Second {
		class := redisclient.ClassBusy
		if now%(7*time.Second) == 0 {
			class = redisclient.ClassTimeout
		}
		s.record(outcome{began: at(now), ended: at(now), class: class})
	}
	silent := s.node.SilentFor(at(40 * time.Second))
	if silent < 8*time.Second || silent > 11*time.Second {
		t.Errorf("silent for %s after 39 s of BUSY, want about %s less", silent, failover.BusyPatience)
	}
	s.record(outcome{began: at(41 * time.Second), ended: at(41 * time.Second), info: replica()})
	s.record(outcome{began: at(42 * time.Second), ended: at(42 * time.Second), class: redisclient.ClassBusy})
	if silent := s.node.SilentFor(at(42 * time.Second)); silent > 0 {
		t.Errorf("another script is taken for the one before: silent for %s", silent)
	}
}

// What a process refuses is told for some seconds, so that it does not change with each command; what it had refused
// before it was met is past.
func TestRefusalsForWantOfMemoryOrClientsAreToldForSomeSeconds(t *testing.T) {
	s := &state{}
	sample := func(since time.Duration, runID string, refused, rejected int64) failover.Replication {
		info := replica()
		info.RunID, info.OutOfMemory, info.RejectedConnections = runID, refused, rejected
		s.record(outcome{began: at(since), ended: at(since), info: info})
		return s.node.Replication
	}
	for i, step := range []struct {
		since             time.Duration
		runID             string
		refused, rejected int64
		memory, clients   bool
	}{
		{0, "a", 7, 7, false, false},
		{time.Second, "a", 8, 7, true, false},
		{5 * time.Second, "a", 9, 8, true, true},
		{14 * time.Second, "a", 9, 8, true, true},
		{15 * time.Second, "a", 9, 8, false, false},
		{16 * time.Second, "a", 10, 9, true, true},
		{17 * time.Second, "b", 3, 0, false, false},
		{18 * time.Second, "b", 3, 1, false, true},
	} {
		before := s.kind()
		r := sample(step.since, step.runID, step.refused, step.rejected)
		if r.OutOfMemory != step.memory || r.TurnsAway != step.clients {
			t.Errorf("step %d: out of memory %t, turns away %t", i, r.OutOfMemory, r.TurnsAway)
		}
		if was := before.outOfMemory != step.memory || before.turnsAway != step.clients; was && s.kind() == before {
			t.Errorf("step %d wakes no controller", i)
		}
	}
}

func TestALossOfContactIsDatedFromTheEOFThatLedToIt(t *testing.T) {
	s := sampled()
	s.eofAt = at(time.Second)
	s.record(outcome{began: at(2 * time.Second), ended: at(3 * time.Second), class: redisclient.ClassRefused})
	if !s.node.ContactSince.Equal(at(time.Second)) {
		t.Errorf("lost since %v, want since the EOF", s.node.ContactSince)
	}
}

func TestALossOfContactIsDatedFromTheBeginningOfTheFailedProbe(t *testing.T) {
	s := sampled()
	s.record(outcome{began: at(2 * time.Second), ended: at(3 * time.Second), class: redisclient.ClassTimeout})
	s.record(outcome{began: at(4 * time.Second), ended: at(5 * time.Second), class: redisclient.ClassTimeout})
	if !s.node.ContactSince.Equal(at(2 * time.Second)) {
		t.Errorf("lost since %v, want since the first failed probe began", s.node.ContactSince)
	}
}

func TestAnEOFThatWasAnsweredAfterwardsIsForgotten(t *testing.T) {
	s := sampled()
	s.eofAt = at(time.Second)
	s.record(outcome{began: at(2 * time.Second), ended: at(2 * time.Second), info: replica()})
	s.record(outcome{began: at(3 * time.Second), ended: at(4 * time.Second), class: redisclient.ClassTimeout})
	if !s.node.ContactSince.Equal(at(3 * time.Second)) {
		t.Errorf("lost since %v, want since the failed probe", s.node.ContactSince)
	}
}

func TestARoleAndALinkAreDatedFromTheFirstSampleThatShowsThem(t *testing.T) {
	s := sampled()
	again := replica()
	s.record(outcome{began: at(time.Second), ended: at(time.Second), info: again})
	if !s.node.RoleSince.Equal(start) || !s.node.LinkSince.Equal(start) {
		t.Errorf("role since %v, link since %v, want both from the first sample", s.node.RoleSince, s.node.LinkSince)
	}
	again.LinkUp = false
	s.record(outcome{began: at(2 * time.Second), ended: at(2 * time.Second), info: again})
	again.Role = redisclient.RoleMaster
	s.record(outcome{began: at(3 * time.Second), ended: at(3 * time.Second), info: again})
	if !s.node.LinkSince.Equal(at(2*time.Second)) || !s.node.RoleSince.Equal(at(3*time.Second)) {
		t.Errorf("role since %v, link since %v, want 3 s and 2 s", s.node.RoleSince, s.node.LinkSince)
	}
	again.RunID = "run-2"
	s.record(outcome{began: at(4 * time.Second), ended: at(4 * time.Second), info: again})
	if !s.node.LinkSince.Equal(at(4*time.Second)) || !s.node.RoleSince.Equal(at(4*time.Second)) {
		t.Errorf("role since %v, link since %v, want both from the new process", s.node.RoleSince, s.node.LinkSince)
	}
}

func TestOnlyAProbeThatBeganAfterwardsEndsStaleness(t *testing.T) {
	s := sampled()
	under := outcome{began: at(time.Second), ended: at(2 * time.Second), marks: s.marks, info: replica()}
	s.markStale(at(0))
	s.record(under)
	if !s.node.Stale {
		t.Error("a probe that was under way ended the staleness")
	}
	s.record(
		outcome{began: at(3 * time.Second), ended: at(3 * time.Second), marks: s.marks, class: redisclient.ClassTimeout},
	)
	if !s.node.Stale {
		t.Error("a probe without an answer ended the staleness")
	}
	s.record(outcome{began: at(4 * time.Second), ended: at(4 * time.Second), marks: s.marks, info: replica()})
	if s.node.Stale {
		t.Error("a later probe did not end the staleness")
	}
}

func TestVoidedSilenceStartsAnew(t *testing.T) {
	s := sampled()
	s.record(outcome{began: at(time.Second), ended: at(2 * time.Second), class: redisclient.ClassTimeout})
	s.voidSilence(at(30 * time.Second))
	if got := s.node.SilentFor(at(31 * time.Second)); got != time.Second {
		t.Errorf("silent for %v, want 1s", got)
	}
}

func TestWhatIsWorthWakingFor(t *testing.T) {
	tests := map[string]struct {
		change func(*redisclient.Info)
		wakes  bool
	}{
		"nothing":               {func(*redisclient.Info) {}, false},
		"the offset":            {func(i *redisclient.Info) { i.Offset++; i.AppliedOffset++ }, false},
		"the age of the link":   {func(i *redisclient.Info) { i.LastIO = 2 * time.Second }, false},
		"keys":                  {func(i *redisclient.Info) { i.Keys++ }, false},
		"uptime":                {func(i *redisclient.Info) { i.UptimeSeconds++ }, false},
		"an offline follower":   {func(i *redisclient.Info) { i.ConnectedReplicas = i.ConnectedReplicas[:1] }, false},
		"the process":           {func(i *redisclient.Info) { i.RunID = "run-2" }, true},
		"the role":              {func(i *redisclient.Info) { i.Role = redisclient.RoleMaster }, true},
		"the master's host":     {func(i *redisclient.Info) { i.MasterHost = failover.FenceHost }, true},
		"the master's port":     {func(i *redisclient.Info) { i.MasterPort = failover.FencePort }, true},
		"the link":              {func(i *redisclient.Info) { i.LinkUp = false }, true},
		"a full sync":           {func(i *redisclient.Info) { i.SyncInProgress = true }, true},
		"loading":               {func(i *redisclient.Info) { i.Loading = true }, true},
		"the lineage":           {func(i *redisclient.Info) { i.ReplID = "b" }, true},
		"what it continues":     {func(i *redisclient.Info) { i.ReplID2 = "b" }, true},
		"the priority":          {func(i *redisclient.Info) { i.Priority = 0 }, true},
		"an online follower":    {func(i *redisclient.Info) { i.ConnectedReplicas = nil }, true},
		"min-replicas-to-write": {func(i *redisclient.Info) { i.MinReplicas = 1 }, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := sampled()
			before := s.kind()
			info := replica()
			tt.change(&info)
			s.record(outcome{began: at(time.Second), ended: at(time.Second), info: info})
			if got := s.kind() != before; got != tt.wakes {
				t.Errorf("worth waking: %v, want %v", got, tt.wakes)
			}
		})
	}
}

func TestWhatAReplacedProcessHadIsRemembered(t *testing.T) {
	s := sampled()
	if s.node.Former.RunID != "" {
		t.Errorf("before the first process there was %+v", s.node.Former)
	}
	again := replica()
	again.AppliedOffset = 150
	s.record(outcome{began: at(time.Second), ended: at(time.Second), info: again})
	again.RunID, again.ReplID, again.AppliedOffset = "run-2", "b", 0
	s.record(outcome{began: at(2 * time.Second), ended: at(2 * time.Second), info: again})
	want := failover.Former{
		RunID:   "run-1",
		Lineage: failover.Lineage{ReplID: "a", ReplID2: "0", SecondOffset: -1, Offset: 150},
	}
	if diff := cmp.Diff(want, s.node.Former); diff != "" {
		t.Error(diff)
	}
}

func TestALinkToAnotherMasterIsNoneToThisOne(t *testing.T) {
	s := sampled()
	moved := replica()
	moved.MasterHost, moved.LinkUp, moved.LinkDownFor = "10.0.0.9", false, time.Second
	s.record(outcome{began: at(time.Second), ended: at(time.Second), info: moved})
	if s.node.Replication.Linked {
		t.Error("it has never been linked to 10.0.0.9")
	}
	moved.LinkUp = true
	s.record(outcome{began: at(2 * time.Second), ended: at(2 * time.Second), info: moved})
	moved.LinkUp = false
	s.record(outcome{began: at(3 * time.Second), ended: at(3 * time.Second), info: moved})
	if !s.node.Replication.Linked {
		t.Error("it was linked to 10.0.0.9 a second ago")
	}
	fresh := moved
	fresh.RunID, fresh.LinkDownFor = "run-2", redisclient.Unknown
	s.record(outcome{began: at(4 * time.Second), ended: at(4 * time.Second), info: fresh})
	if s.node.Replication.Linked {
		t.Error("a new process has not been linked to anybody")
	}
}

func TestAfterAGapOfOurOwnNothingIsActedOnBeforeItWasLookedAtAgain(t *testing.T) {
	s := sampled()
	under := outcome{began: at(time.Second), ended: at(2 * time.Second), marks: s.marks, info: replica()}
	s.voidSilence(at(3 * time.Second))
	s.record(under)
	if s.node.Answers() {
		t.Error("a sample from before the gap may be acted on")
	}
	s.record(outcome{began: at(4 * time.Second), ended: at(4 * time.Second), marks: s.marks, info: replica()})
	if !s.node.Answers() {
		t.Error("a sample from after the gap may not be acted on")
	}
}

// What a link has last carried is known while it is up; of one that has ended, when it did. An order of ours ends it
// without a word.
func TestWhatALinkHasLastCarriedIsKeptWhenItIsEndedByAnOrder(t *testing.T) {
	down := func(host string, since time.Duration) redisclient.Info {
		i := replica()
		i.MasterHost, i.LinkUp, i.LastIO, i.LinkDownFor = host, false, redisclient.Unknown, since
		return i
	}
	for name, tc := range map[string]struct {
		before  func(s *state)
		info    redisclient.Info
		heardAt time.Duration
		from    string
	}{
		"it is up":           {func(*state) {}, replica(), 9 * time.Second, "10.0.0.1"},
		"it ended by itself": {func(*state) {}, down("10.0.0.1", 4*time.Second), 6 * time.Second, "10.0.0.1"},
		"it was ended by an order": {
			func(s *state) { s.markStale(at(8 * time.Second)) }, down(failover.FenceHost, 2*time.Second), -time.Second, "10.0.0.1",
		},
		"it ended before we watched": {func(s *state) { *s = state{} }, down(failover.FenceHost, 2*time.Second), 8 * time.Second, failover.FenceHost},
	} {
		t.Run(name, func(t *testing.T) {
			s := sampled()
			tc.before(s)
			s.record(outcome{began: at(10 * time.Second), ended: at(10 * time.Second), info: tc.info})
			want := failover.Heard{Master: tc.from, At: at(tc.heardAt), RunID: "run-1"}
			if diff := cmp.Diff(want, s.node.Heard); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A replica that was unreachable may have been in touch with its master until its process ended.
func TestALinkMayHaveCarriedSomethingUntilItsProcessEnded(t *testing.T) {
	anew := replica()
	anew.RunID, anew.MasterHost, anew.LinkUp, anew.LastIO = "run-2", failover.FenceHost, false, redisclient.Unknown
	for name, end := range map[string]outcome{
		"its address refuses":  {began: at(9 * time.Second), ended: at(9 * time.Second), class: redisclient.ClassRefused},
		"another one answers":  {began: at(9 * time.Second), ended: at(9 * time.Second), info: anew},
		"we cannot reach it":   {began: at(9 * time.Second), ended: at(9 * time.Second), class: redisclient.ClassTimeout},
		"it turns us away now": {began: at(9 * time.Second), ended: at(9 * time.Second), class: redisclient.ClassMaxClients},
	} {
		t.Run(name, func(t *testing.T) {
			s := sampled()
			s.record(end)
			want := failover.Heard{Master: "10.0.0.1", At: at(9 * time.Second), RunID: "run-1"}
			if c := s.node.Contact; c == failover.ContactSilent || c == failover.ContactFull {
				want.At = at(-time.Second)
			}
			if diff := cmp.Diff(want, s.node.Heard); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What a server says goes into the status, where a text that is too long would be refused with all else.
func TestTheVersionIsTheServersOwnAndBounded(t *testing.T) {
	for want, info := range map[string]redisclient.Info{
		"7.4.1":                         {Version: "7.4.1", Server: "redis"},
		"valkey 8.1.3":                  {Version: "7.2.4", Server: "valkey", ServerVersion: "8.1.3"},
		strings.Repeat("9", maxVersion): {Version: strings.Repeat("9", 256)},
		"x " + strings.Repeat("9", 62):  {Server: "x", ServerVersion: strings.Repeat("9", 256)},
	} {
		if got := replication(info).Version; got != want {
			t.Errorf("%+v: %q", info, got)
		}
	}
}
