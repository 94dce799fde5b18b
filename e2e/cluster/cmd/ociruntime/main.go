// SPDX-License-Identifier: Apache-2.0

// Command ociruntime is runc for machines on which even root lacks capabilities, which is so inside some virtual
// machines and containers. Docker asks for all capabilities when a container is privileged, and runc refuses what the
// bounding set lacks. So what is lacking is taken out of the request before runc reads it.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	err := run(os.Args[1:], held)
	fmt.Fprintln(os.Stderr, "ociruntime:", err) // exec returns only when it fails
	os.Exit(1)
}

func run(args []string, held func(capability string) bool) error {
	if bundle := flag(args, "--bundle", "-b"); bundle != "" {
		if err := reduce(filepath.Join(bundle, "config.json"), held, "process", "capabilities"); err != nil {
			return err
		}
	}
	if process := flag(args, "--process", "-p"); process != "" {
		if err := reduce(process, held, "capabilities"); err != nil {
			return err
		}
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	return unix.Exec(runc, append([]string{runc}, args...), os.Environ())
}

// flag returns the value of a flag under any of its names.
func flag(args []string, names ...string) string {
	for i, arg := range args {
		name, value, joined := strings.Cut(arg, "=")
		switch {
		case !slices.Contains(names, name):
		case joined:
			return value
		case i+1 < len(args):
			return args[i+1]
		}
	}
	return ""
}

// reduce takes capabilities that are not held out of the sets that a JSON file has at a path.
func reduce(file string, held func(string) bool, path ...string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var document map[string]any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	sets := document
	for _, key := range path {
		sets, _ = sets[key].(map[string]any)
	}
	for name, set := range sets {
		list, _ := set.([]any)
		sets[name] = slices.DeleteFunc(list, func(capability any) bool {
			text, _ := capability.(string)
			return !held(text)
		})
	}
	if data, err = json.Marshal(document); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}
