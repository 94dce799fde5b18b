// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/conditions"
	"github.com/redisha/redisha/failover"
)

// wholeProgress has every field set, so that a forgotten one is noticed.
func wholeProgress() failover.Progress {
	at := func(s int) time.Time { return time.Date(2026, 1, 2, 3, 4, s, 123456000, time.UTC) }
	ref := func(i string) failover.NodeRef {
		return failover.NodeRef{Pod: "r-" + i, UID: "uid-" + i, RunID: "run-" + i, IP: "10.0.0." + i}
	}
	old, candidate := ref("1"), ref("2")
	lineage := failover.Lineage{ReplID: "aa", ReplID2: "bb", SecondOffset: 12, Offset: 34}
	return failover.Progress{
		State:          failover.StatePromoting,
		Since:          at(1),
		StartedAt:      at(2),
		Epoch:          7,
		Cause:          "MasterDown",
		Reason:         "Cooldown",
		Message:        "a sentence",
		Initialized:    true,
		Master:         &failover.Master{NodeRef: ref("1"), Epoch: 6, Since: at(3), Lineage: lineage},
		OldMaster:      &old,
		Candidate:      &candidate,
		Lineage:        lineage,
		Retired:        []string{"cc", "dd"},
		InterimMasters: []string{"run-2", "r-2"},
		Request:        "switchover:r-2",
		ForcedPod:      "r-2",
		UnheardPods:    []string{"r-3"},
		AheadPods:      []string{"cache-1"},
		Steps: []failover.Step{
			{Name: failover.StepIntent, At: at(4)},
		},
		CooldownUntil: at(5),
		SoftFailovers: []failover.SoftFailover{{Pod: "r-1", At: at(6)}},
		Nodes: []failover.NodeRecord{
			{NodeRef: ref("1"), Role: failover.RoleMaster, Attached: true, WriteGuard: 2, WriteGuardOff: true},
			{NodeRef: ref("2"), Role: failover.RoleReplica, LinkUp: true, Attached: true, Restarts: 3, Version: "7.4.1"},
			{
				NodeRef:       ref("3"),
				Role:          failover.RoleUnknown,
				CatchUpOffset: 56,
				Ineligible:    failover.IneligibleForeign,
				OtherReplID:   "ee",
			},
		},
	}
}

func TestProgressSurvivesTheStatusUnchanged(t *testing.T) {
	want := wholeProgress()
	if fields := emptyFields(want); len(fields) > 0 {
		t.Fatalf("this test does not cover %v", fields)
	}
	var status v1alpha1.RedisHAStatus
	writeProgress(&status, want)
	raw, err := json.Marshal(status) // as it goes through the API server
	if err != nil {
		t.Fatal(err)
	}
	var stored v1alpha1.RedisHAStatus
	if err := json.Unmarshal(raw, &stored); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, progressOf(&stored)); diff != "" {
		t.Errorf("progress after a round trip (-want +got):\n%s", diff)
	}
}

func TestNoStatusIsTheProgressOfASetThatNeverHadAMaster(t *testing.T) {
	want := failover.Progress{State: failover.StateBootstrapping}
	if diff := cmp.Diff(want, progressOf(&v1alpha1.RedisHAStatus{})); diff != "" {
		t.Error(diff)
	}
}

func TestAnEmptySpecIsASafePolicy(t *testing.T) {
	want := failover.Policy{
		Mode: failover.ModeAutomatic, DownAfter: 3 * time.Second, Cooldown: 30 * time.Second, MaxLagBytes: 64 << 20,
		Consistency: failover.ConsistencyBounded, Replicas: 3, Port: 6379,
	}
	if diff := cmp.Diff(want, policyOf(&v1alpha1.RedisHA{})); diff != "" {
		t.Error(diff)
	}
}

func TestAMessageThatTheSchemaWouldRefuseIsCut(t *testing.T) {
	status := &v1alpha1.RedisHAStatus{}
	writeProgress(status, failover.Progress{Message: strings.Repeat("…", conditions.MaxMessage)})
	got := status.Failover.Message
	if len(got) > conditions.MaxMessage || len(got) < conditions.MaxMessage-3 || !utf8.ValidString(got) {
		t.Errorf("%d bytes, valid %t", len(got), utf8.ValidString(got))
	}
}
