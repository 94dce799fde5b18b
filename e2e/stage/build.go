package stage

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

	"github.com/redisha/redisha/e2e/sandbox"
)

// envManager hands the path of the operator's binary from outside the sandbox, where it is built, to the inside.
const envManager = "REDISHA_MANAGER"

// module is the first line of the go.mod that marks the repository's root.
const module = "module github.com/redisha/redisha\n"

// Prepare is for sandbox.Enter: it builds the operator, with the crash points that the release does not have, and says so.
func Prepare(ctx context.Context) error { return prepare(ctx, os.Stderr) }

func prepare(ctx context.Context, progress io.Writer) error {
	if os.Getenv(envManager) != "" {
		return nil
	}
	root, err := Root()
	if err != nil {
		return err
	}
	cache, err := cacheDir()
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
	return "", errors.New("no operator has been built: call sandbox.Enter(stage.Prepare)")
}

func cacheDir() (string, error) {
	base := os.Getenv(sandbox.EnvCache)
	if base == "" {
		var err error
		if base, err = os.UserCacheDir(); err != nil {
			return "", fmt.Errorf("no cache folder: set %s: %w", sandbox.EnvCache, err)
		}
	}
	dir := filepath.Join(base, "redisha")
	return dir, os.MkdirAll(dir, 0o755)
}

// Root returns the folder of the repository that the working folder is in.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if text, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && bytes.HasPrefix(text, []byte(module)) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("run this inside the repository: config/ and cmd/ are used from there")
		}
		dir = parent
	}
}

// build leaves it to go build whether there is anything to do, and renames, so that a running operator keeps its binary.
func build(ctx context.Context, progress io.Writer, root, binary string) error {
	temporary := fmt.Sprintf("%s.%d", binary, os.Getpid())
	defer os.Remove(temporary)
	args := []string{"build", "-tags", "crashpoints", "-o", temporary}
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
	done := make(chan struct{})
	defer close(done)
	go tick(done, progress)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the operator: %w\n%s", err, strings.TrimSpace(output.String()))
	}
	return os.Rename(temporary, binary)
}

// tick says what is going on, every few seconds if it takes that long.
func tick(done <-chan struct{}, progress io.Writer) {
	started := time.Now()
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
			fmt.Fprintf(progress, "building the operator, %s\n", time.Since(started).Round(time.Second))
		}
	}
}
