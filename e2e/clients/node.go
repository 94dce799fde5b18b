// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/redisha/redisha/e2e/gobuild"
)

// The files that say what npm installs.
var npmFiles = []string{"package.json", "package-lock.json", ".npmrc"}

// nodePrograms runs the applications in Node with libraries that npm installs into the cache, once for each lock file.
func nodePrograms(ctx context.Context, m *machine) (installed, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return installed{}, err
	}
	source := filepath.Join(m.programs, "node")
	required, err := readPackage(filepath.Join(source, "package.json"))
	if err != nil {
		return installed{}, err
	}
	version, err := output(exec.CommandContext(ctx, node, "--version"))
	if err != nil {
		return installed{}, err
	}
	if major, least := number(version), number(required.Engines.Node); major < least {
		return installed{}, fmt.Errorf("node %s is older than the libraries' least, %d", version, least)
	}
	modules, err := m.npm(ctx, source)
	if err != nil {
		return installed{}, err
	}
	return installed{
		versions: required.Dependencies, env: []string{"NODE_PATH=" + modules},
		command: func(program string) []string { return []string{node, filepath.Join(source, program+".js")} },
	}, nil
}

type npmPackage struct {
	Dependencies map[string]string `json:"dependencies"`
	Engines      struct {
		Node string `json:"node"`
	} `json:"engines"`
}

func readPackage(path string) (npmPackage, error) {
	var p npmPackage
	text, err := os.ReadFile(path)
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(text, &p)
}

// number is the first number in a version.
func number(version string) int {
	version = strings.TrimLeft(version, "v>=^~ ")
	major, _, _ := strings.Cut(version, ".")
	n, _ := strconv.Atoi(major)
	return n
}

// npm returns the folder of the libraries. A file that is written last says that all of them are there.
func (m *machine) npm(ctx context.Context, source string) (string, error) {
	h := sha256.New()
	files := map[string][]byte{}
	for _, name := range npmFiles {
		text, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", err
		}
		files[name] = text
		h.Write(text)
	}
	dir, err := gobuild.CacheDir(fmt.Sprintf("nodeclients-%x", h.Sum(nil)[:6]))
	if err != nil {
		return "", err
	}
	unlock, err := gobuild.Lock(ctx, filepath.Join(dir, ".lock"), func() {
		fmt.Fprintln(m.progress, "another process installs the libraries for Node, waiting for it")
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	modules, complete := filepath.Join(dir, "node_modules"), filepath.Join(dir, ".complete")
	if _, err := os.Stat(complete); err == nil {
		return modules, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", err
	}
	fmt.Fprintf(m.progress, "installing the libraries for Node by npm, once for this machine, into %s\n", dir)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return "", err
		}
	}
	// Nothing of what is installed needs its scripts.
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if _, err := output(cmd); err != nil {
		return "", fmt.Errorf("npm ci: %w", err)
	}
	return modules, os.WriteFile(complete, nil, 0o644)
}
