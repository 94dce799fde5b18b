// SPDX-License-Identifier: Apache-2.0

package gobuild

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// goBuild runs go build -v in a module, without cgo, and tells every few seconds how far it is.
func goBuild(ctx context.Context, progress io.Writer, title, module string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-v"}, args...)...)
	cmd.Dir = module
	// No -trimpath: with the flags of an ordinary static build the packages shared with the operator compile once.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	output := &buildOutput{}
	cmd.Stderr, cmd.Stdout = output, output
	stop := Ticker(func(elapsed time.Duration) {
		fmt.Fprintf(progress, "  %s: %s, %s\n", title, output, elapsed)
	})
	err := cmd.Run()
	stop()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("build %s: %w\n%s", title, err, output.tail())
	}
	return nil
}

// Ticker calls tell every 5 s, from another goroutine, until stop has returned.
func Ticker(tell func(elapsed time.Duration)) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	started := time.Now()
	go func() {
		defer close(ended)
		ticker := time.NewTicker(5 * time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				tell(time.Since(started).Round(time.Second))
			}
		}
	}()
	return func() { close(done); <-ended }
}

// moduleOf returns the folder of the module that has a command of this repository, and the command's path in it.
func moduleOf(root, pkg string) (module, command string) {
	if inside, is := strings.CutPrefix(pkg, "./e2e/"); is {
		return filepath.Join(root, "e2e"), "./" + inside
	}
	return root, pkg
}

// Static builds a command of this repository into the file at path, without cgo, and with values for string variables
// of its, as in main.version=2. It leaves it to go build whether there is anything to do.
func Static(ctx context.Context, progress io.Writer, path, pkg string, values ...string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	flags := "-s -w"
	for _, value := range values {
		flags += " -X " + value
	}
	module, command := moduleOf(root, pkg)
	return goBuild(ctx, progress, filepath.Base(pkg), module, "-ldflags", flags, "-o", path, command)
}

// buildOutput counts what go build -v prints, a line for each module it downloads and each package it compiles, and
// keeps the text for an error.
type buildOutput struct {
	mu               sync.Mutex
	lines, downloads int
	text             bytes.Buffer
}

func (o *buildOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines += bytes.Count(p, []byte{'\n'})
	o.downloads += bytes.Count(p, []byte("go: downloading"))
	return o.text.Write(p)
}

func (o *buildOutput) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	compiled := fmt.Sprintf("%d packages compiled", max(o.lines-o.downloads, 0))
	if o.downloads > 0 {
		return fmt.Sprintf("%d modules downloaded, %s", o.downloads, compiled)
	}
	return compiled
}

// tail returns what says why a build failed. The names of packages are left out: with several at work, the last are not
// the reason.
func (o *buildOutput) tail() string {
	var lines []string
	for _, line := range strings.Split(strings.TrimSpace(o.text.String()), "\n") {
		if strings.HasPrefix(line, "go: downloading") || !strings.ContainsAny(line, " \t") {
			continue
		}
		lines = append(lines, line)
	}
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
