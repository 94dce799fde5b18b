// SPDX-License-Identifier: Apache-2.0

package testbed

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

// envManager hands the path of the operator's binary from outside the sandbox, where it is built, to the inside.
const envManager = "REDISHA_MANAGER"

// Prepare is for sandbox.Enter: it builds the operator, with the crash points that the release does not have, and says
// so.
func Prepare(ctx context.Context) error { return prepare(ctx, os.Stderr) }

func prepare(ctx context.Context, progress io.Writer) error {
	if os.Getenv(envManager) != "" {
		return nil
	}
	root, err := Root()
	if err != nil {
		return err
	}
	cache, err := gobuild.CacheDir()
	if err != nil {
		return err
	}
	binary := filepath.Join(cache, "manager")
	if raceDetector {
		binary += "-race"
	}
	if err := build(ctx, progress, root, binary); err != nil {
		return err
	}
	return os.Setenv(envManager, binary)
}

func managerBinary() (string, error) {
	if path := os.Getenv(envManager); path != "" {
		return path, nil
	}
	return "", errors.New("no operator has been built: call sandbox.Enter(testbed.Prepare)")
}

// Root returns the folder of the repository that the working folder is in.
func Root() (string, error) { return gobuild.Root() }

// build leaves it to go build whether there is anything to do, and renames, so that a running operator keeps its
// binary.
func build(ctx context.Context, progress io.Writer, root, binary string, flags ...string) error {
	temporary := fmt.Sprintf("%s.%d", binary, os.Getpid())
	defer os.Remove(temporary)
	args := append([]string{"build", "-tags", "crashpoints", "-o", temporary}, flags...)
	if raceDetector {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/manager")...)
	cmd.Dir = root
	cmd.Env = os.Environ()
	if !raceDetector {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=0")
	}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	defer gobuild.Ticker(func(elapsed time.Duration) {
		fmt.Fprintf(progress, "building the operator, %s\n", elapsed)
	})()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the operator: %w\n%s", err, strings.TrimSpace(output.String()))
	}
	return os.Rename(temporary, binary)
}
