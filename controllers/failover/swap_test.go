// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/failover"
)

func swapOf(t *testing.T, before, next *v1alpha1.RedisHA) (kind types.PatchType, body []byte) {
	t.Helper()
	patch, err := swapPatch(before, next)
	if err != nil {
		t.Fatal(err)
	}
	if body, err = patch.Data(next); err != nil {
		t.Fatal(err)
	}
	return patch.Type(), body
}

func TestTheSwapTestsTheProgressItReplaces(t *testing.T) {
	before := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{UID: "u"}}
	writeProgress(&before.Status, wholeProgress())
	before.Status.Requests = []v1alpha1.RequestStatus{{ID: "switchover", State: v1alpha1.RequestSucceeded}}
	const of = "/status/failover/"
	for name, test := range map[string]struct {
		revision int64
		want     string
	}{
		"of a revision": {41, "test " + of + "internal/revision, test " + of + "epoch, test " + of + "since"},
		"that was written where no revision is known": {0, "test " + of + "candidate, test " + of + "cause, test " + of + "cooldownUntil, test " + of +
			"epoch, test " + of + "message, test " + of + "oldMaster, test " + of + "reason, test " + of + "request, test " + of + "since, test " + of +
			"startedAt, test " + of + "state, test " + of + "steps, test " + of + "internal/aheadPods, test " + of + "internal/forcedPod, test " + of + "internal/initialized, test " + of +
			"internal/interimMasters, test " + of + "internal/lineage, test " + of + "internal/recentSoftFailovers, test " + of +
			"internal/retiredReplIDs, test " + of + "internal/unheardPods"},
	} {
		before.Status.Failover.Internal.Revision = test.revision
		next := before.DeepCopy()
		moved := wholeProgress()
		moved.State, moved.Nodes = failover.StateReattaching, nil
		writeProgress(&next.Status, moved)
		_, body := swapOf(t, before, next)
		var operations []patchOperation
		if err := json.Unmarshal(body, &operations); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range operations {
			got = append(got, o.Op+" "+o.Path)
		}
		want := "test /metadata/uid, " + test.want + ", add " + of + "state, remove /status/nodes"
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: operations %v, want %s", name, got, want)
		}
	}
}

func TestTheFirstProgressIsRefusedWhereTheObjectHasChanged(t *testing.T) {
	before := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{UID: "u", ResourceVersion: "7"}}
	next := before.DeepCopy()
	writeProgress(&next.Status, failover.Progress{State: failover.StateBootstrapping})
	kind, body := swapOf(t, before, next)
	want := `{"metadata":{"resourceVersion":"7","uid":"u"},"status":{"failover":{"since":null,"state":"Bootstrapping"}}}`
	if kind != types.MergePatchType ||
		strings.ReplaceAll(string(body), `"since":null,`, "") != strings.ReplaceAll(want, `"since":null,`, "") {
		t.Errorf("%s %s, want %s", kind, body, want)
	}
}

// tomorrow adds to every object of a status a field that this version does not know, with what the object is about as
// its value.
func tomorrow(v any) any {
	switch v := v.(type) {
	case map[string]any:
		about := v["pod"]
		if epoch, ok := v["epoch"]; ok && about == nil {
			about = epoch
		}
		for name, field := range v {
			v[name] = tomorrow(field)
		}
		v["tomorrow"] = about
	case []any:
		for i := range v {
			v[i] = tomorrow(v[i])
		}
	}
	return v
}

// today removes what tomorrow added.
func today(v any) any {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "tomorrow")
		for name, field := range v {
			v[name] = today(field)
		}
	case []any:
		for i := range v {
			v[i] = today(v[i])
		}
	}
	return v
}

func asJSON(t *testing.T, v any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

// someStatus is any progress of any three of five pods.
func someStatus(r *rand.Rand, history []v1alpha1.HistoryEntry) v1alpha1.RedisHAStatus {
	p := wholeProgress()
	p.Epoch, p.Since = r.Int64N(3)+1, p.Since.Add(time.Duration(r.IntN(2))*time.Second)
	if r.IntN(3) == 0 {
		p.Candidate, p.OldMaster, p.Steps = nil, nil, nil
	}
	p.Nodes = nil
	for i := range 5 {
		if r.IntN(3) == 0 {
			continue
		}
		ref := failover.NodeRef{Pod: "r-" + string(rune('0'+i)), UID: "u", RunID: "run-" + string(rune('0'+r.IntN(2)))}
		p.Nodes = append(
			p.Nodes,
			failover.NodeRecord{NodeRef: ref, Role: failover.RoleReplica, LinkUp: r.IntN(2) == 0, Attached: r.IntN(2) == 0},
		)
		if r.IntN(3) == 0 {
			p.Master = &failover.Master{NodeRef: ref, Epoch: p.Epoch}
		}
	}
	status := v1alpha1.RedisHAStatus{History: history}
	writeProgress(&status, p)
	return status
}

// Whatever a swap changes, the result is what was to be written, and what it does not know stays where it was.
func TestWhatThisVersionDoesNotKnowSurvivesItsWrites(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		ended := int64(0)
		entry := func() v1alpha1.HistoryEntry {
			ended++
			return v1alpha1.HistoryEntry{Epoch: ended, To: "r-1"}
		}
		var history []v1alpha1.HistoryEntry
		for range r.IntN(maxHistory + 3) {
			history = append(history, entry())
		}
		before := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{UID: "u"}, Status: someStatus(r, history)}
		before.Status.Failover.Internal.Revision = r.Int64N(2) * 8
		if r.IntN(2) == 0 {
			history = append([]v1alpha1.HistoryEntry{entry()}, history...)
			history = history[:min(len(history), maxHistory)]
		}
		next := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{UID: "u"}, Status: someStatus(r, history)}
		next.Status.Failover.Internal.Revision = before.Status.Failover.Internal.Revision + 1
		checkSwap(t, seed, before, next)
	}
}

func checkSwap(t *testing.T, seed uint64, before, next *v1alpha1.RedisHA) {
	t.Helper()
	_, body := swapOf(t, before, next)
	patch, err := jsonpatch.DecodePatch(body)
	if err != nil {
		t.Fatal(err)
	}
	stored := asJSON(t, before)
	if before.Status.Failover.Internal.Revision > 0 { // else nothing but known fields identify the progress, some of which are objects
		stored["status"] = tomorrow(stored["status"])
	}
	document, err := json.Marshal(stored)
	if err != nil {
		t.Fatal(err)
	}
	result, err := patch.Apply(document)
	if err != nil {
		t.Fatalf("seed %d: %v\n%s", seed, err, body)
	}
	var got map[string]any
	if err := json.Unmarshal(result, &got); err != nil {
		t.Fatal(err)
	}
	status := object(got["status"])
	if before.Status.Failover.Internal.Revision > 0 {
		if _, kept := object(status["failover"])["tomorrow"]; !kept {
			t.Errorf("seed %d: what a newer version says of the failover is gone", seed)
		}
		checkTomorrow(t, seed, list(status["nodes"]), list(object(stored["status"])["nodes"]), sameNode)
		checkTomorrow(
			t,
			seed,
			list(status["history"]),
			list(object(stored["status"])["history"]),
			func(a, b map[string]any) bool {
				return reflect.DeepEqual(a["epoch"], b["epoch"])
			},
		)
	}
	if diff := cmp.Diff(asJSON(t, next)["status"], today(any(status))); diff != "" {
		t.Fatalf("seed %d: written (-wanted +stored):\n%s\n%s", seed, diff, body)
	}
}

// checkTomorrow checks that an element has what is not known of it, if and only if it was there before.
func checkTomorrow(t *testing.T, seed uint64, is, was []any, same func(a, b map[string]any) bool) {
	t.Helper()
	for _, v := range is {
		now := object(v)
		had := false
		for _, old := range was {
			had = had || same(object(old), now)
		}
		about, has := now["tomorrow"]
		if has != had {
			t.Errorf("seed %d: %v has what is not known %t, was there before %t", seed, now, has, had)
		}
		if has && about != now["pod"] && !reflect.DeepEqual(about, now["epoch"]) {
			t.Errorf("seed %d: %v has what belongs to %v", seed, now, about)
		}
	}
}

func TestAFieldThatTheDefinitionDoesNotKnowIsNoDifference(t *testing.T) {
	var s storedFields
	was := someStatus(rand.New(rand.NewPCG(1, 1)), nil)
	is := *was.DeepCopy()
	is.Failover.Internal.Revision, is.Failover.Internal.WrittenBy = 5, "v2"
	is.Nodes[0].Internal.WriteGuard = 2
	if !s.differ(&was, &is) {
		t.Fatal("three changes are no difference")
	}
	s.compare(&is, &was) // the API server has dropped all three
	if s.differ(&was, &is) {
		t.Errorf("what cannot be stored counts as a difference; missing: %v", s.missing())
	}
	if diff := cmp.Diff(
		[]string{"failover.internal.revision", "failover.internal.writtenBy", "nodes.internal.writeGuard"}, s.missing(),
	); diff != "" {
		t.Error(diff)
	}
	is.Failover.Epoch++
	if !s.differ(&was, &is) {
		t.Error("another epoch is no difference")
	}
	s.compare(&is, is.DeepCopy())
	if missing := s.missing(); len(missing) > 0 {
		t.Errorf("all was stored, and %v still counts as missing", missing)
	}
}

func TestRefusalsThatGoOnAreTriedEverMoreSeldom(t *testing.T) {
	var f refusals
	now := time.Now()
	var last time.Duration
	for n := 1; n <= 20; n++ {
		f.note(errOvertaken, now)
		pause := f.until.Sub(now)
		switch {
		case n <= ordinaryRefusals && pause != 0:
			t.Errorf("%s after refusal %d, which is ordinary", pause, n)
		case n > ordinaryRefusals && pause < last || pause > mostPause:
			t.Errorf("%s after refusal %d, %s after the one before", pause, n, last)
		}
		last = pause
	}
	if last != mostPause {
		t.Errorf("%s after 20", last)
	}
}
