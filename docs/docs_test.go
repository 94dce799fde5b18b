// SPDX-License-Identifier: Apache-2.0

// Package docs holds the documentation to the code: what it names has to exist.
package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/redisha/redisha/api/v1alpha1"
)

const root = ".."

// pages are all pages of the documentation, by path, with their text.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			found[path] = read(t, path)
		}
	}
	if len(found) < 10 {
		t.Fatalf("only %d pages", len(found))
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// all returns the first group of every match.
func all(expression, text string) []string {
	var found []string
	for _, match := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

func TestEveryTestThatIsNamedExists(t *testing.T) {
	tests := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, name := range all(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`, read(t, path)) {
			tests[name] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for page, text := range pages(t) {
		for _, name := range all(`\b((?:Test|Fuzz|Benchmark)[A-Z]\w+)`, text) {
			if !tests[name] {
				t.Errorf("%s names %s, which does not exist", page, name)
			}
		}
	}
}

func TestEveryCaseOfTheContractThatIsNamedExists(t *testing.T) {
	contract := read(t, filepath.Join(root, "redisclient/contract_test.go"))
	for page, text := range pages(t) {
		for _, promise := range all("`(?:TestContract|…)/real/([a-z_]+)`", text) {
			if !strings.Contains(contract, `"`+strings.ReplaceAll(promise, "_", " ")+`":`) {
				t.Errorf("%s names %q, which the contract does not have", page, promise)
			}
		}
	}
}

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	for page, text := range pages(t) {
		for _, target := range all(`\]\(([^)\s]+)\)`, text) {
			path, _, _ := strings.Cut(target, "#")
			if path == "" || strings.Contains(path, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), path)); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

// TestEveryReasonIsExplained: a reason that people meet in a condition is on the page that explains conditions.
func TestEveryReasonIsExplained(t *testing.T) {
	page := read(t, filepath.Join(root, "docs/conditions.md"))
	for path, expression := range map[string]string{
		"api/v1alpha1/conditions.go": `(?m)^\s*(?:Reason|Condition)\w+ += "(\w+)"`,
		"failover/progress.go":       `(?m)^\s*Reason\w+ +Reason += "(\w+)"`,
		"failover/diagnoses.go":      `(?m)^\s*Diagnosis\w+ Diagnosis = "(Master\w+)"`,
	} {
		where := page
		if strings.HasSuffix(path, "diagnoses.go") {
			where = read(t, filepath.Join(root, "docs/architecture.md"))
		}
		names := all(expression, read(t, filepath.Join(root, path)))
		if len(names) == 0 {
			t.Errorf("nothing found in %s", path)
		}
		for _, name := range names {
			if !regexp.MustCompile(`\b` + name + `\b`).MatchString(where) {
				t.Errorf("%s of %s is not explained", name, path)
			}
		}
	}
}

// A tag of an action can be moved by whoever owns it; the digest of a commit cannot.
func TestEveryActionIsPinnedByDigest(t *testing.T) {
	workflows, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yml"))
	if err != nil || len(workflows) == 0 {
		t.Fatal(workflows, err)
	}
	pinned := regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+){2}$`)
	for _, path := range workflows {
		for _, use := range all(`(?m)^\s*-?\s*uses: (.+)$`, read(t, path)) {
			if !pinned.MatchString(use) {
				t.Errorf("%s uses %q, which is not pinned as owner/action@digest # v1.2.3", path, use)
			}
		}
	}
}

func TestEveryRecordHasAStatusAndADate(t *testing.T) {
	records, err := filepath.Glob(filepath.Join(root, "docs", "adr", "0*.md"))
	if err != nil || len(records) < 30 {
		t.Fatal(records, err)
	}
	for _, path := range records {
		if text := read(
			t, path,
		); !regexp.MustCompile(`^# \d+\. .+\n\n\*(Accepted|Superseded), 20\d\d-\d\d-\d\d\.`).
			MatchString(text) {
			t.Errorf("%s does not begin with its title, its status and its date", path)
		}
	}
}

func TestEveryGoFileNamesItsLicence(t *testing.T) {
	files := 0
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasPrefix(filepath.Base(path), "zz_generated") {
			return err
		}
		files++
		if !strings.HasPrefix(read(t, path), "// SPDX-License-Identifier: Apache-2.0\n\n") {
			t.Errorf("%s does not begin with its SPDX licence identifier", path)
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Fatal(files, err)
	}
}

// Whoever imports the types takes what they require along.
func TestTheTypesBringNothingOfTheOperatorAlong(t *testing.T) {
	direct := regexp.MustCompile(`(?m)^\t(\S+) v[^/\n]+$`).
		FindAllStringSubmatch(read(t, filepath.Join(root, "api", "go.mod")), -1)
	var names []string
	for _, module := range direct {
		names = append(names, module[1])
	}
	if want := []string{"k8s.io/api", "k8s.io/apimachinery"}; !slices.Equal(names, want) {
		t.Errorf("the types require %v, want %v", names, want)
	}
	for _, tests := range []string{"sigs.k8s.io/kind", "github.com/onsi/ginkgo", "sigs.k8s.io/kustomize", "github.com/redisha/redisha/e2e"} {
		if strings.Contains(read(t, filepath.Join(root, "go.mod")), tests) {
			t.Errorf("the operator requires %s", tests)
		}
	}
}

// A default is said by a constant, which code that builds a RedisHA goes by, by the definition, and on pages.
func TestTheDefaultsAreTheSameWhereverTheyAreSaid(t *testing.T) {
	definition := object{}
	if err := yaml.Unmarshal(
		[]byte(read(t, filepath.Join(root, "config/crd/bases/redisha.io_redishas.yaml"))),
		&definition,
	); err != nil {
		t.Fatal(err)
	}
	at := func(path ...string) string {
		of := definition["spec"].(object)["versions"].([]any)[0].(object)["schema"].(object)["openAPIV3Schema"]
		for _, name := range append([]string{"spec"}, path...) {
			of = of.(object)["properties"].(object)[name]
		}
		return fmt.Sprint(of.(object)["default"])
	}
	for path, constant := range map[string]any{
		"image": v1alpha1.DefaultImage, "replicas": v1alpha1.DefaultReplicas,
		"failover.downAfterMilliseconds": v1alpha1.DefaultDownAfterMilliseconds, "failover.cooldownSeconds": v1alpha1.DefaultCooldownSeconds,
		"failover.maxLagBytes": fmt.Sprintf("%g", float64(v1alpha1.DefaultMaxLagBytes)), "storage.size": v1alpha1.DefaultStorageSize,
	} {
		if got := at(strings.Split(path, ".")...); got != fmt.Sprint(constant) {
			t.Errorf("the definition's default of spec.%s is %s, the constant %v", path, got, constant)
		}
	}
	pages := 0
	for _, page := range []string{"README.md", "docs/reference/spec.md", "docs/guide/cluster.md", "config/samples/redisha_full.yaml"} {
		for _, image := range regexp.MustCompile(`(?:docker\.io/library/)?redis:[0-9][0-9.]*`).FindAllString(read(t, filepath.Join(root, page)), -1) {
			pages++
			if !strings.HasSuffix(v1alpha1.DefaultImage, image) {
				t.Errorf("%s names %s, and the default is %s", page, image, v1alpha1.DefaultImage)
			}
		}
	}
	if pages < 4 {
		t.Errorf("only %d images on the pages", pages)
	}
}
