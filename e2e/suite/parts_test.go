package suite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/e2e/stage"
)

func TestTheTableHasALineForEachScenarioWithTheMedianAndTheWorst(t *testing.T) {
	var results table
	for _, ms := range []float64{300, 100, 1500} {
		results.Add(row{Scenario: "killed", Gaps: map[string]float64{"service/plain": ms, "pods/plain": 0}, Acked: 10, LostPlain: 1, Reason: "MasterProcessDead"})
	}
	results.Add(row{Scenario: "broken", Failed: true})
	lines := strings.Split(strings.TrimSpace(results.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	if got, want := strings.Fields(lines[1]), []string{"killed", "3", "300ms", "1.5s", "<50ms", "<50ms", "30", "3", "0", "MasterProcessDead"}; strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%q, want %q", got, want)
	}
	if !strings.Contains(lines[2], "1, 1 FAILED") {
		t.Errorf("%q does not say that it failed", lines[2])
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
		{Name: "service/plain", Acked: 10, Lost: 3, Availability: 0.9}, {Name: "service/wait", Wait: 1, Acked: 5, Lost: 1, Availability: 0.5},
	}}, time.Now())
	if r.Acked != 15 || r.LostPlain != 3 || r.LostWait != 1 || r.Availability != 0.5 {
		t.Errorf("%+v", r)
	}
}

// TestTheClientsManifestTakesArguments: the scenarios add to the arguments of the pod in chaos.yaml.
func TestTheClientsManifestTakesArguments(t *testing.T) {
	root, err := stage.Root()
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
