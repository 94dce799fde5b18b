// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/e2e/cluster"
	"github.com/redisha/redisha/e2e/testbed"
)

func TestTheTableHasALineForEachScenarioWithTheMedianAndTheWorst(t *testing.T) {
	var results table
	for _, ms := range []float64{300, 100, 1500} {
		results.Add(
			row{
				Scenario:  "killed",
				Gaps:      map[string]float64{"service/plain": ms, "pods/plain": 0},
				Acked:     10,
				LostPlain: 1,
				Reason:    "MasterProcessDead",
			},
		)
	}
	results.Add(row{Scenario: "broken", Failed: true})
	lines := strings.Split(strings.TrimSpace(results.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	if got, want := strings.Fields(
		lines[1],
	), []string{
		"killed",
		"3",
		"300ms",
		"1.5s",
		"<50ms",
		"<50ms",
		"30",
		"3",
		"0",
		"MasterProcessDead",
	}; strings.Join(
		got, " ",
	) != strings.Join(
		want,
		" ",
	) {
		t.Errorf("%q, want %q", got, want)
	}
	if !strings.Contains(lines[2], "1, 1 FAILED") {
		t.Errorf("%q does not say that it failed", lines[2])
	}
}

func TestTheComparisonHasTheRatioToTheFirstOfEachFault(t *testing.T) {
	var results comparison
	add := func(fault, system, route string, ms float64, lost int64) {
		gaps := map[string]float64{route + "/plain": ms, route + "/wait": ms + 1}
		results.Add(
			measured{System: system, Client: "c", Fault: fault, route: route, row: row{Gaps: gaps, Acked: 10, LostPlain: lost}},
		)
	}
	for range 2 {
		add("killed", "ours", "service", 200, 0)
		add("killed", "theirs", "sentinel", 2100, 3)
		add("deleted", "ours", "service", 0, 0)
		add("deleted", "theirs", "sentinel", 2000, 0)
	}
	results.Add(measured{System: "broken", Client: "c", Fault: "killed", route: "sentinel", row: row{Failed: true}})
	var got []string
	for _, line := range strings.Split(strings.TrimSpace(results.String()), "\n")[1:] {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"killed ours c 2 200ms 200ms 201ms 201ms 20 0 0 1.0",
		"killed theirs c 2 2.1s 2.1s 2.1s 2.1s 20 6 0 10.5",
		"killed broken c 1, 1 FAILED 0 0 0",
		"deleted ours c 2 <50ms <50ms 1ms 1ms 20 0 0",
		"deleted theirs c 2 2s 2s 2s 2s 20 0 0 >40.0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSentinelsTakePartInAsManyRoundsAsTheyAreTold(t *testing.T) {
	for given, want := range map[string]int{"": 10, "3": 3, "10": 10, "20": 10, "1": 1} {
		t.Setenv(envSentinelCount, given)
		rounds := map[string]int{}
		for i := range 10 {
			for _, route := range []string{"service", "sentinel"} {
				if (contestant{route: route}).takesPart(i, 10) {
					rounds[route]++
				}
			}
		}
		if rounds["service"] != 10 || rounds["sentinel"] != want {
			t.Errorf("%s=%q: %v", envSentinelCount, given, rounds)
		}
	}
}

// TestTheSentinelsManifests: what a run of the comparison creates, and how Redis and Sentinel are configured in it.
func TestTheSentinelsManifests(t *testing.T) {
	for _, careful := range []bool{false, true} {
		objects, err := guarding{DownAfter: 1234, Careful: careful}.objects("shop", "redis:7.0")
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[string]int{}
		for _, object := range objects {
			kinds[object.GetObjectKind().GroupVersionKind().Kind]++
			if object.GetNamespace() != "shop" {
				t.Errorf(
					"%s %s is in namespace %q", object.GetObjectKind().GroupVersionKind().Kind, object.GetName(),
					object.GetNamespace(),
				)
			}
			content := object.(*unstructured.Unstructured).Object
			if config, found, _ := unstructured.NestedString(
				content, "data", "sentinel.conf",
			); found &&
				!strings.Contains(config, "down-after-milliseconds cache 1234\n") {
				t.Errorf("sentinel.conf is %s", config)
			}
			if config, found, _ := unstructured.NestedString(
				content, "data", "redis.conf",
			); found &&
				strings.Contains(config, "appendonly yes\n") != careful {
				t.Errorf("careful: %t, and redis.conf is %s", careful, config)
			}
		}
		if kinds["StatefulSet"] != 2 || kinds["Service"] != 2 || kinds["ConfigMap"] != 1 || kinds["Secret"] != 1 {
			t.Errorf("kinds %v", kinds)
		}
	}
}

func TestWhatSentinelsSayIsRead(t *testing.T) {
	text := "name\n198.51.100.7:6379\nflags\nslave\nrole-reported\n\nname\nother\nflags\ns_down,slave\n"
	got := parseSentinel(text)
	if len(got) != 2 || got[0]["flags"] != "slave" || got[0]["name"] != "198.51.100.7:6379" ||
		got[0]["role-reported"] != "" ||
		got[1]["flags"] != "s_down,slave" {
		t.Errorf("%q", got)
	}
	if got := parseSentinel("ERR No such master with that name\n"); len(got) != 0 {
		t.Errorf("%q were read from an error", got)
	}
}

func TestTheResultIsFoundAmongWhatElseTheClientPrinted(t *testing.T) {
	log := "a warning of a library\n{\"level\":\"a line of JSON that is none of ours\"}\n" +
		`{"streams":[{"name":"service/plain","acked":7,"lost":2}]}` + "\nchaos: something at the end\n"
	result, err := parseResult(log)
	if err != nil || len(result.Streams) != 1 || result.Streams[0].Acked != 7 || result.Streams[0].Lost != 2 {
		t.Errorf("%+v, %v", result, err)
	}
	if result, err := parseResult("chaos: it never began\n"); err == nil {
		t.Errorf("%+v was found in an error", result)
	}
}

func TestARowTellsPlainLossesFromThoseThatReplicasHadConfirmed(t *testing.T) {
	var r row
	r.fill(chaos.Result{Streams: []chaos.Report{
		{
			Name:         "service/plain",
			Acked:        10,
			Lost:         3,
			Availability: 0.9,
		},
		{Name: "service/wait", Wait: 1, Acked: 5, Lost: 1, Availability: 0.5},
	}}, time.Now())
	if r.Acked != 15 || r.LostPlain != 3 || r.LostWait != 1 || r.Availability != 0.5 {
		t.Errorf("%+v", r)
	}
}

// TestTheClientsManifestTakesArguments: the scenarios add to the arguments of the pod in chaos.yaml.
func TestTheClientsManifestTakesArguments(t *testing.T) {
	root, err := testbed.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "e2e/cmd/chaos/chaos.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if object.GetKind() != "Pod" {
			continue
		}
		addArgs(object, []string{"--writers=1"})
		containers, _, err := unstructured.NestedSlice(object.Object, "spec", "containers")
		if err != nil {
			t.Fatal(err)
		}
		args := containers[0].(map[string]any)["args"].([]any)
		if args[len(args)-1] != "--writers=1" || len(args) < 2 || object.GetName() != chaosPod {
			t.Errorf("pod %s with arguments %v", object.GetName(), args)
		}
		return
	}
	t.Error("no pod in chaos.yaml")
}

const someRoles = `
kind: ClusterRole
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: manager}
rules:
- {apiGroups: [""], resources: [pods, events], verbs: [create, patch]}
- {apiGroups: [apps], resources: [statefulsets/scale], verbs: [update]}
---
kind: ClusterRoleBinding
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: manager}
roleRef: {kind: ClusterRole, name: manager}
subjects: [{kind: ServiceAccount, name: operator}]
---
kind: Role
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: home, namespace: home}
rules:
- {apiGroups: [""], resources: [events], verbs: [create]}
- {apiGroups: [""], resources: [secrets], verbs: [get]}
---
kind: RoleBinding
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: home, namespace: home}
roleRef: {kind: Role, name: home}
subjects: [{kind: ServiceAccount, name: operator}]
---
kind: ClusterRole
apiVersion: rbac.authorization.k8s.io/v1
metadata: {name: viewer}
rules:
- {apiGroups: [""], resources: [pods], verbs: [get]}
`

func TestRightsThatNoRequestNeededAreNamed(t *testing.T) {
	objects, err := decode([]byte(someRoles))
	if err != nil {
		t.Fatal(err)
	}
	granted, err := grantedTo(objects, "operator")
	if err != nil {
		t.Fatal(err)
	}
	if want := 7; len(granted) != want {
		t.Fatalf("%d rights, want %d: %v", len(granted), want, granted)
	}
	request := func(verb, group, resource, sub, namespace string, code int) (e cluster.AuditEvent) {
		e.Verb, e.ResponseStatus.Code = verb, code
		e.ObjectRef.APIGroup, e.ObjectRef.Resource, e.ObjectRef.Subresource, e.ObjectRef.Namespace = group, resource, sub, namespace
		return e
	}
	events := []cluster.AuditEvent{
		request("get", "", "", "", "", 200),
		request("patch", "", "pods", "", "a", 201), // applied, and created by it
		request("create", "", "events", "", "home", 201),
		request("patch", "", "events", "", "a", 200),
		request("update", "apps", "statefulsets", "scale", "a", 200),
		request("get", "", "secrets", "", "elsewhere", 403),
	}
	got := fmt.Sprint(unused(granted, events))
	if want := "[create events in home get secrets in home]"; got != want {
		t.Errorf("unused: %s, want %s", got, want)
	}
	ending := request("create", "", "pods", "", "a", 403)
	ending.ResponseStatus.Message = `unable to create new content in namespace a because it is being terminated`
	if got := refused(append(events, ending)); len(got) != 1 {
		t.Errorf("refused: %q, want that of the Secret", got)
	}
}
