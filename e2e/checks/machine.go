// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine says on what something is measured, and what else the machine does at this moment.
func Machine() string {
	var name unix.Utsname
	kernel := "unknown"
	if unix.Uname(&name) == nil {
		kernel, _, _ = strings.Cut(unix.ByteSliceToString(name.Release[:]), "-")
	}
	return fmt.Sprintf("%d cores%s, Linux %s, load %s at the end", runtime.NumCPU(), cpuModel(), kernel, load())
}

// RedisVersion is that of the machine's redis-server.
func RedisVersion() string {
	text, _ := exec.Command("redis-server", "--version").Output()
	for word := range strings.FieldsSeq(string(text)) {
		if version, ok := strings.CutPrefix(word, "v="); ok {
			return version
		}
	}
	return "unknown version"
}

// Commit is the commit that is checked out, and whether anything differs from it.
func Commit() string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	text, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "of an unknown commit"
	}
	return strings.TrimSpace(string(text))
}

// Save writes a report to a file, and makes its folder when that is missing. Without a path it does nothing.
func Save(path, text string) error {
	if path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

func cpuModel() string {
	data, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return " (" + strings.TrimSpace(value) + ")"
		}
	}
	return ""
}

func load() string {
	data, _ := os.ReadFile("/proc/loadavg")
	if first, _, ok := strings.Cut(string(data), " "); ok {
		return first
	}
	return "unknown"
}
