// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/redisha/redisha/e2e/gobuild"
)

// machine is this machine, with what it has and gets of runtimes.
type machine struct {
	programs string // the folder with the programs
	progress io.Writer
	updated  bool // the lists of packages are fresh
}

// installed is a runtime that is here, or the reason why it is not.
type installed struct {
	command  func(program string) []string
	env      []string
	versions map[string]string // by module; of a runtime with one library by the empty name
	err      error
}

// runtime is what applications in one language need.
type runtime struct {
	packages []string // Debian's
	try      func(ctx context.Context, m *machine) (installed, error)
}

func runtimes() map[string]runtime {
	return map[string]runtime{
		"go":   {try: goPrograms},
		"node": {packages: []string{"nodejs", "npm"}, try: nodePrograms},
		// Debian's own interpreter is the one that has Debian's package.
		"python": {
			packages: []string{"python3-redis"},
			try:      script("python", "/usr/bin/python3", ".py", "-c", "import redis; print(redis.__version__)"),
		},
		"php": {
			packages: []string{"php-cli", "php-redis"},
			try:      script("php", "php", ".php", "-r", "if (!extension_loaded('redis')) exit(1); echo phpversion('redis');"),
		},
		"ruby": {
			packages: []string{"ruby", "ruby-redis"},
			try:      script("ruby", "ruby", ".rb", "-e", "require 'redis'; print Redis::VERSION"),
		},
		"c": {packages: []string{"gcc", "libc6-dev", "libhiredis-dev"}, try: cPrograms},
		"java": {try: func(context.Context, *machine) (installed, error) {
			return installed{}, errors.New("Debian has no package with a Java client of Redis")
		}},
	}
}

// install tries a runtime, and once more after its packages were installed where that can be done.
func (m *machine) install(ctx context.Context, name string) installed {
	r := runtimes()[name]
	i, err := r.try(ctx, m)
	if err != nil && len(r.packages) > 0 {
		if failed := m.packages(ctx, r.packages); failed != nil {
			err = fmt.Errorf("%w (%w)", err, failed)
		} else {
			i, err = r.try(ctx, m)
		}
	}
	i.err = err
	return i
}

// packages installs Debian's packages, or says how to.
func (m *machine) packages(ctx context.Context, names []string) error {
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("on Debian and Ubuntu: sudo apt-get install %s", strings.Join(names, " "))
	}
	fmt.Fprintf(m.progress, "installing Debian's packages %s\n", strings.Join(names, ", "))
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var steps [][]string
	if !m.updated {
		steps = append(steps, []string{"update", "-qq"})
	}
	m.updated = true
	steps = append(steps, append([]string{"install", "-y", "-qq", "--no-install-recommends"}, names...))
	for _, args := range steps {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
		if _, err := output(cmd); err != nil {
			return fmt.Errorf("apt-get %s: %w", args[0], err)
		}
	}
	return nil
}

// script is a runtime that runs files, if it has the library, whose version the arguments make it print.
func script(
	folder, interpreter, extension string, version ...string,
) func(context.Context, *machine) (installed, error) {
	return func(ctx context.Context, m *machine) (installed, error) {
		path, err := exec.LookPath(interpreter)
		if err != nil {
			return installed{}, err
		}
		text, err := output(exec.CommandContext(ctx, path, version...))
		if err != nil {
			return installed{}, fmt.Errorf("%s: %w", interpreter, err)
		}
		return installed{versions: map[string]string{"": text}, command: func(program string) []string {
			return []string{path, filepath.Join(m.programs, folder, program+extension)}
		}}, nil
	}
}

// GoPrograms builds all applications in Go as one static command and returns its path. Its first argument is one of
// them.
func GoPrograms(ctx context.Context, progress io.Writer) (string, error) {
	const name, folder = "goclients", "e2e/clients/programs/goclients"
	module := gobuild.Module{Dir: folder, Key: name, Title: "the applications in Go"}
	dir, err := module.Provide(ctx, progress, gobuild.Command{Name: name, Package: "github.com/redisha/redisha/" + folder})
	return filepath.Join(dir, name), err
}

// InGo are the arguments of GoPrograms' command for an application in Go.
func (a *Application) InGo(place Place) ([]string, bool) {
	return append([]string{a.program}, a.arguments(place, 0)...), a.runtime == "go"
}

func goPrograms(ctx context.Context, m *machine) (installed, error) {
	command, err := GoPrograms(ctx, m.progress)
	if err != nil {
		return installed{}, err
	}
	required, err := os.ReadFile(filepath.Join(m.programs, "goclients/go.mod"))
	if err != nil {
		return installed{}, err
	}
	versions := map[string]string{}
	for line := range strings.Lines(string(required)) {
		if words := strings.Fields(line); len(words) == 2 {
			versions[words[0]] = words[1]
		}
	}
	return installed{versions: versions, command: func(program string) []string {
		return []string{command, program}
	}}, nil
}

// cPrograms compiles them each time, which takes a moment.
func cPrograms(ctx context.Context, m *machine) (installed, error) {
	compiler, err := exec.LookPath("cc")
	if err != nil {
		return installed{}, err
	}
	dir, err := gobuild.CacheDir("cclients")
	if err != nil {
		return installed{}, err
	}
	binary := filepath.Join(dir, "hiredis")
	fresh := fmt.Sprintf("%s.%d", binary, os.Getpid())
	source := filepath.Join(m.programs, "c/hiredis.c")
	if _, err := output(exec.CommandContext(ctx, compiler, "-O2", "-o", fresh, source, "-lhiredis")); err != nil {
		return installed{}, fmt.Errorf("cc: %w", err)
	}
	if err := os.Rename(fresh, binary); err != nil {
		return installed{}, err
	}
	version, err := output(exec.CommandContext(ctx, binary))
	return installed{
		versions: map[string]string{"": version},
		command:  func(string) []string { return []string{binary} },
	}, err
}

// output runs a command and returns what it prints; an error has the last line of that.
func output(cmd *exec.Cmd) (string, error) {
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	err := cmd.Run()
	text := strings.TrimSpace(both.String())
	if err != nil {
		return text, fmt.Errorf("%w: %s", err, text[strings.LastIndex(text, "\n")+1:])
	}
	return text, nil
}
