// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestApplicationsAreChosenByNameAndGroup(t *testing.T) {
	all, err := Select("all")
	if err != nil || len(all) != len(Catalogue()) {
		t.Fatalf("%d of %d, %v", len(all), len(Catalogue()), err)
	}
	plain, _ := Select("default")
	tuned, _ := Select("tuned")
	if len(plain)+len(tuned)+len(yardstick()) != len(all) || len(tuned) == 0 {
		t.Errorf("%d with defaults, %d tuned and a yardstick of %d", len(plain), len(tuned), len(all))
	}
	some, err := Select("redigo, go-redis")
	if err != nil || len(some) != 2 || some[0].Name != "go-redis" {
		t.Errorf("%v, %v", some, err)
	}
	if _, err := Select("redigo,rediggo"); err == nil {
		t.Error("an application that does not exist was chosen")
	}
}

func TestEveryApplicationIsOfItsOwnNameAndHasARuntime(t *testing.T) {
	names := map[string]bool{}
	for _, l := range Catalogue() {
		if names[l.Name] {
			t.Errorf("two are called %s", l.Name)
		}
		names[l.Name] = true
		if runtimes()[l.runtime].try == nil {
			t.Errorf("%s has the runtime %q", l.Name, l.runtime)
		}
	}
}

// TestEveryProgramExists: a name without a program would be left out on every machine, as if for want of its runtime.
func TestEveryProgramExists(t *testing.T) {
	goPrograms, err := os.ReadFile("programs/goclients/main.go")
	if err != nil {
		t.Fatal(err)
	}
	extensions := map[string]string{"node": ".js", "python": ".py", "php": ".php", "ruby": ".rb", "c": ".c"}
	for _, l := range Catalogue() {
		switch extension := extensions[l.runtime]; {
		case l.runtime == "go":
			if !strings.Contains(string(goPrograms), `"`+l.program+`":`) {
				t.Errorf("goclients has no %s", l.program)
			}
		case extension != "":
			if _, err := os.Stat(filepath.Join("programs", l.runtime, l.program+extension)); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestTheLockFileNamesNoHost(t *testing.T) {
	text, err := os.ReadFile("programs/node/package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), `"resolved"`) {
		t.Error("the lock file says where packages were loaded from: npm install with the .npmrc beside it does not")
	}
	if !strings.Contains(string(text), `"integrity"`) {
		t.Error("the lock file has no sums")
	}
}
