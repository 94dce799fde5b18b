// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/gobuild"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

// exporterName is the image that docs/guide/operations/metrics.md names.
const exporterName = "docker.io/oliver006/redis_exporter:v1.88.0"

// exporterImage is that exporter, built from its source of that version.
func exporterImage(ctx context.Context) (sandbox.Image, error) {
	module := gobuild.Module{Dir: "e2e/exporterbin", Key: "exporter", Title: "redis_exporter"}
	command := gobuild.Command{Name: "redis_exporter", Package: "github.com/oliver006/redis_exporter"}
	dir, err := module.Provide(ctx, os.Stderr, command)
	return sandbox.Image{
		Files:      map[string]string{"/redis_exporter": filepath.Join(dir, command.Name)},
		Entrypoint: []string{"/redis_exporter"},
	}, err
}

// drainsNodes is the page that takes Kubernetes nodes away, from whoever has pods there.
const drainsNodes = "nodes"

// Each page is one story: its commands are run in their order, on a RedisHA cache.
func TestTheCommandsOfTheGuideWork(t *testing.T) {
	root, err := testbed.Root()
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs/guide/operations/*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	kubectl, err := sandbox.Kubectl(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		name := strings.TrimSuffix(filepath.Base(page), ".md")
		t.Run(name, func(t *testing.T) {
			if name != drainsNodes {
				t.Parallel() // most of the time a page waits
			}
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			blocks := commandsIn(string(text))
			if len(blocks) == 0 {
				t.Fatal("the page has no command")
			}
			key := create(t, namespace(t), v1alpha1.RedisHASpec{})
			dir := t.TempDir()
			kubeconfig := filepath.Join(dir, "kubeconfig")
			if err := bed.Sandbox.WriteKubeconfig(kubeconfig, sandbox.AdminUser); err != nil {
				t.Fatal(err)
			}
			blocks = append([]string{"kubectl config set-context --current --namespace=" + key.Namespace}, blocks...)
			for _, block := range blocks {
				c := exec.CommandContext(within(t, 6*time.Minute), "sh", "-e", "-c", block)
				c.Dir = dir
				c.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "PATH="+filepath.Dir(kubectl)+":"+os.Getenv("PATH"))
				if output, err := c.CombinedOutput(); err != nil {
					t.Fatalf("%s\n%v: %s", block, err, output)
				}
			}
		})
	}
}

var indented = regexp.MustCompile(`(?m)(?:^    .*\n)+`)

// commandsIn returns the blocks of a page that are for a shell: those that are indented and begin with kubectl.
func commandsIn(page string) []string {
	var blocks []string
	for _, block := range indented.FindAllString(page, -1) {
		if block = strings.ReplaceAll("\n"+block, "\n    ", "\n")[1:]; strings.HasPrefix(block, "kubectl ") {
			blocks = append(blocks, block)
		}
	}
	return blocks
}
