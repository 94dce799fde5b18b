// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestOnlyWhatIsLackingIsTakenOut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	spec := `{"process":{"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"],"ambient":[]},"big":12345678901234567890},"mounts":[1]}`
	want := `{"process":{"capabilities":{"bounding":["CAP_CHOWN"],"ambient":[]},"big":12345678901234567890},"mounts":[1]}`
	if err := os.WriteFile(file, []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	lacksOne := func(capability string) bool { return capability != "CAP_SYS_RESOURCE" }
	if err := reduce(file, lacksOne, "process", "capabilities"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(parsed(t, want), parsed(t, string(got))); diff != "" {
		t.Errorf("the request (-want +got):\n%s", diff)
	}
}

func parsed(t *testing.T, text string) map[string]json.RawMessage {
	t.Helper()
	var raw struct{ Process, Mounts json.RawMessage }
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		t.Fatal(err)
	}
	process := map[string]json.RawMessage{"mounts": raw.Mounts}
	if err := json.Unmarshal(raw.Process, &process); err != nil {
		t.Fatal(err)
	}
	sets := map[string]json.RawMessage{}
	if err := json.Unmarshal(process["capabilities"], &sets); err != nil {
		t.Fatal(err)
	}
	delete(process, "capabilities")
	for name, set := range sets {
		process[name] = set
	}
	return process
}

func TestFlagsAreFoundInEveryForm(t *testing.T) {
	for want, args := range map[string][]string{
		"/a": {"--root", "/r", "create", "--bundle", "/a", "id"},
		"/b": {"create", "--bundle=/b", "id"},
		"/c": {"create", "-b", "/c", "id"},
		"":   {"state", "id"},
	} {
		if got := flag(args, "--bundle", "-b"); got != want {
			t.Errorf("flag(%q) = %q, want %q", args, got, want)
		}
	}
}

func TestTheNumbersOfCapabilitiesAreTheKernels(t *testing.T) {
	for name, number := range map[string]int{"CAP_SYS_RESOURCE": unix.CAP_SYS_RESOURCE, "CAP_CHECKPOINT_RESTORE": unix.CAP_CHECKPOINT_RESTORE,
		"CAP_AUDIT_WRITE": unix.CAP_AUDIT_WRITE, "CAP_NET_ADMIN": unix.CAP_NET_ADMIN} {
		if capabilities[number] != name {
			t.Errorf("capability %d is %s, want %s", number, capabilities[number], name)
		}
	}
}
