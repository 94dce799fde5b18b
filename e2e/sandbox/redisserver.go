// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// RedisServer returns the path of the machine's redis-server. Where it is missing and can be had without asking anybody
// (root on Debian or a descendant) it is installed, and says so; elsewhere the error names the remedy.
func RedisServer(ctx context.Context, progress io.Writer) (string, error) {
	if path, err := exec.LookPath("redis-server"); err == nil {
		return path, nil
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return "", errors.New(
			"redis-server is not installed: install Redis 7.0 or newer with the machine's package manager (Debian, Ubuntu: " +
				"sudo apt-get install redis-server)",
		)
	}
	fmt.Fprintln(progress, "redis-server is missing: installing Debian's package redis-server")
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	// The package starts a service where there is an init system; RUNLEVEL=1 keeps it from doing so.
	environment := append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1")
	for _, args := range [][]string{
		{"update", "-qq"}, {"install", "-y", "-qq", "--no-install-recommends", "redis-server"},
	} {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = environment
		if output, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("apt-get %s: %w\n%s\nInstall Redis 7.0 or newer by hand", args[0], err, output)
		}
	}
	return exec.LookPath("redis-server")
}
