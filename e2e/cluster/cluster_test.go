// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"github.com/redisha/redisha/e2e/gobuild"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNodesImportTheImagesOfTheirRole(t *testing.T) {
	p := &plan{
		nodeImage: "node:1",
		mounts:    map[bool][]string{true: {"/c/etcd.tar", "/c/pause.tar"}, false: {"/c/pause.tar"}},
	}
	config := p.config(v1alpha4.Mount{HostPath: "/c/audit.yaml", ContainerPath: "/etc/audit.yaml", Readonly: true})
	if len(config.Nodes) != 4 {
		t.Fatalf("%d nodes, want 4", len(config.Nodes))
	}
	for i, node := range config.Nodes {
		role, want := v1alpha4.WorkerRole, []string{"/kind/images/pause.tar"}
		if i == 0 {
			role, want = v1alpha4.ControlPlaneRole, []string{
				"/etc/audit.yaml",
				"/kind/images/etcd.tar",
				"/kind/images/pause.tar",
			}
		}
		var got []string
		for _, mount := range node.ExtraMounts {
			if !mount.Readonly {
				t.Errorf("node %d may write to %s", i, mount.HostPath)
			}
			got = append(got, mount.ContainerPath)
		}
		if diff := cmp.Diff(want, got); diff != "" || node.Role != role {
			t.Errorf("node %d is a %s with these images (-want +got):\n%s", i, node.Role, diff)
		}
	}
}

func TestAnotherProcessIsNotTakenForTheEngine(t *testing.T) {
	dir := t.TempDir()
	if _, ours, _ := ourEngine(dir); ours {
		t.Error("an engine that was not started is ours")
	}
	check(t, remember(dir, os.Getpid()))
	if _, ours, alive := ourEngine(dir); !ours || !alive {
		t.Errorf("ours %t, alive %t; want both", ours, alive)
	}
	data, err := json.Marshal(engine{PID: os.Getpid(), Started: "1"})
	check(t, err)
	check(t, os.WriteFile(engineFile(dir), data, 0o644))
	if _, ours, alive := ourEngine(dir); !ours || alive {
		t.Errorf("ours %t, alive %t; want an engine of ours that has ended", ours, alive)
	}
}

func TestNodesGoWithoutUnitsThatHaveNothingToDoInAContainer(t *testing.T) {
	for name, want := range map[string]bool{
		"usr/lib/systemd/system/multi-user.target.wants/getty.target":                true,
		"etc/systemd/system/multi-user.target.wants/remote-fs.target":                true,
		"etc/systemd/system/timers.target.wants/apt-daily.timer":                     true,
		"usr/lib/systemd/system/sockets.target.wants/systemd-udevd-control.socket":   true,
		"usr/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service": true,
		"usr/lib/systemd/system/sysinit.target.wants/systemd-sysctl.service":         false,
		"usr/lib/systemd/system/sockets.target.wants/systemd-journald.socket":        false,
		"usr/lib/systemd/system/multi-user.target":                                   false,
		"usr/share/doc/bash/README":                                                  true,
		"var/lib/dpkg/status":                                                        false,
		"dev/null":                                                                   true,
	} {
		if got := notInNode.MatchString(name); got != want {
			t.Errorf("%s is left out: %t, want %t", name, got, want)
		}
	}
}

func TestOpenSaysHowToMakeAClusterWhereThereIsNone(t *testing.T) {
	t.Setenv("REDISHA_CACHE", t.TempDir())
	if _, err := Open(); err == nil || err.Error() != "there is no kind cluster: make kind-up makes one" {
		t.Errorf("Open: %v", err)
	}
}

func TestAnEngineDoesNotKeepTheLockThatItsMakerWasCalledUnder(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	check(t, err)
	defer file.Close()
	inherited, err := unix.Dup(int(file.Fd())) // as of a parent: not closed on exec
	check(t, err)
	defer unix.Close(inherited)
	script := fmt.Sprintf("test -e /proc/self/fd/%d", inherited)
	if err := exec.Command("sh", "-c", script).Run(); err != nil {
		t.Fatalf("a child does not have it before either: %v", err)
	}
	keepFilesToOurselves()
	if err := exec.Command("sh", "-c", script).Run(); err == nil {
		t.Error("a child has the file of whoever called us")
	}
}

func TestTheAuditLogTellsWhatAPodAskedForSinceAnInstant(t *testing.T) {
	line := func(at, code string) string {
		return `{"kind":"Event","verb":"patch","requestURI":"/x","requestReceivedTimestamp":"2026-11-24T` + at + `.5Z","responseStatus":{"code":` + code + `},` +
			`"user":{"username":"operator","extra":{"authentication.kubernetes.io/pod-uid":["u1"]}},"objectRef":{"resource":"pods","namespace":"n"}}`
	}
	since := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	events, err := parseAudit([]byte(line("09:59:59", "200")+"\n"+line("10:00:00", "403")+"\n"+`{"kind":"Ev`), since)
	check(t, err)
	if len(events) != 1 || events[0].ResponseStatus.Code != 403 || events[0].PodUID() != "u1" ||
		events[0].ObjectRef.Resource != "pods" {
		t.Errorf("%+v", events)
	}
	if events, err := parseAudit([]byte("what is this\n"+line("10:00:00", "200")), since); err == nil {
		t.Errorf("%+v was read", events)
	}
}

func TestThereIsAPublishedNodeOfEachRelease(t *testing.T) {
	for _, minor := range gobuild.Minors() {
		if image := publishedNodes[minor]; !strings.HasPrefix(image, "kindest/node:v"+minor+".") {
			t.Errorf("Kubernetes %s: published node %q", minor, image)
		}
	}
}
