// SPDX-License-Identifier: Apache-2.0

package gobuild

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEachReleaseIsWhatItsModulePins(t *testing.T) {
	root, err := Root()
	check(t, err)
	for _, r := range releases {
		t.Setenv(EnvKubernetes, r.Minor)
		got, err := Kubernetes()
		check(t, err)
		text, err := os.ReadFile(filepath.Join(root, got.Module().Dir, "go.mod"))
		check(t, err)
		if !strings.Contains(string(text), "k8s.io/kubernetes "+r.Version+" // indirect\n") {
			t.Errorf("e2e/kubebin/%s does not require Kubernetes %s", r.Minor, r.Version)
		}
	}
	folders, err := os.ReadDir(filepath.Join(root, "e2e/kubebin"))
	check(t, err)
	if len(folders) != len(releases) {
		t.Errorf("%d folders in e2e/kubebin for %d releases", len(folders), len(releases))
	}
}

func TestAReleaseThatThereIsNoModuleForIsRefusedWithThoseThatThereAre(t *testing.T) {
	t.Setenv(EnvKubernetes, "1.12")
	_, err := Kubernetes()
	if err == nil || !strings.Contains(err.Error(), `KUBERNETES is "1.12": it can be 1.`) {
		t.Errorf("%v", err)
	}
}
