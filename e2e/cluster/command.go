// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// run runs a command and returns what it prints. Its error holds the end of what it printed too.
func run(ctx context.Context, name string, args ...string) (string, error) {
	return runWith(ctx, nil, nil, name, args...)
}

func runWith(ctx context.Context, input io.Reader, environment []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, failure bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, &out, &failure
	if environment != nil {
		cmd.Env = append(cmd.Environ(), environment...)
	}
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		command := strings.Join(append([]string{name}, args[:min(2, len(args))]...), " ")
		return "", fmt.Errorf("%s: %w: %s", command, err, tail(failure.String()+out.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// tail returns the last lines of a text.
func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}
