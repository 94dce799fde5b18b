// SPDX-License-Identifier: Apache-2.0

package gobuild

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Module is a nested module of this repository from which commands are built. Its sums pin every byte of what is built.
type Module struct {
	Dir     string // below the repository's root
	Key     string // what its folder in the cache begins with
	Title   string // what is being built, for people
	LDFlags string
}

// Command is a command of a module, under the name its file gets.
type Command struct{ Name, Package string }

// Provide returns the folder that holds the commands, building those that are missing. A cold build takes minutes, so a
// line of progress is written every few seconds. Two processes asking at the same time build once.
func (m Module) Provide(ctx context.Context, progress io.Writer, commands ...Command) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	source := filepath.Join(root, m.Dir)
	key, err := digest(source)
	if err != nil {
		return "", err
	}
	dir, err := CacheDir(m.Key + "-" + key)
	if err != nil || len(Missing(dir, commands)) == 0 {
		return dir, err
	}
	unlock, err := Lock(ctx, filepath.Join(dir, ".lock"), func() {
		fmt.Fprintf(progress, "another process is building %s, waiting for it\n", m.Title)
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	removeLeftovers(dir)
	if lacking := Missing(dir, commands); len(lacking) > 0 {
		return dir, m.build(ctx, progress, source, dir, lacking)
	}
	return dir, nil
}

// Missing returns those of the commands that a folder does not hold.
func Missing(dir string, commands []Command) []Command {
	var lacking []Command
	for _, c := range commands {
		if info, err := os.Stat(filepath.Join(dir, c.Name)); err != nil || info.Mode()&0o111 == 0 {
			lacking = append(lacking, c)
		}
	}
	return lacking
}

// removeLeftovers removes what builds that were killed have left; the lock says that none is going on.
func removeLeftovers(dir string) {
	folders, _ := filepath.Glob(filepath.Join(dir, ".build-*"))
	for _, folder := range folders {
		_ = os.RemoveAll(folder)
	}
}

// digest stands for everything in a nested module that decides what is built from it.
func digest(source string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(source, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if name := entry.Name(); name != "go.mod" && name != "go.sum" && filepath.Ext(name) != ".go" {
			return nil
		}
		data, err := os.ReadFile(file)
		h.Write(data)
		return err
	})
	return fmt.Sprintf("%x", h.Sum(nil)[:6]), err
}

// build compiles all commands in one run of go build, which shares the work among the processors, into a temporary
// folder, and renames, so that an interrupted build is never taken for a binary.
func (m Module) build(ctx context.Context, progress io.Writer, source, dir string, commands []Command) error {
	folder, err := os.MkdirTemp(dir, ".build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	names, packages := make([]string, len(commands)), make([]string, len(commands))
	for i, c := range commands {
		names[i], packages[i] = c.Name, c.Package
	}
	list := strings.Join(names, ", ")
	fmt.Fprintf(progress, "building %s from Go modules, once for this machine, into %s: %s\n", m.Title, dir, list)
	started := time.Now()
	args := append([]string{"-ldflags", "-s -w " + m.LDFlags, "-o", folder + string(filepath.Separator)}, packages...)
	if err := goBuild(ctx, progress, m.Title, source, args...); err != nil {
		return err
	}
	fmt.Fprintf(progress, "  %s: built in %s\n", m.Title, time.Since(started).Round(time.Second))
	for _, c := range commands {
		if err := os.Rename(filepath.Join(folder, builtName(c.Package)), filepath.Join(dir, c.Name)); err != nil {
			return err
		}
	}
	return nil
}

var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// builtName is the name that go build gives to a command: the last element of its path that is not a major version.
func builtName(pkg string) string {
	if name := path.Base(pkg); !majorVersion.MatchString(name) {
		return name
	}
	return path.Base(path.Dir(pkg))
}
