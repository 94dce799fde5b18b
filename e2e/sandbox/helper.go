// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// A process that has to begin in another namespace begins as this executable, under one of these names, and replaces
// itself.
const (
	helperHost      = "redisha-sandbox-host"
	helperContainer = "redisha-sandbox-container"
)

// Descriptors that a helper inherits.
const (
	helperNetNS = 3
	helperSpec  = 4
	helperError = 5
)

var selfExecutable = func() string {
	path, err := os.Executable()
	if err != nil {
		return "/proc/self/exe"
	}
	return path
}()

// Threads that visit other namespaces are thrown away afterwards, but the first thread of a process can't be: keep
// other goroutines off it. Only in init does a locked main goroutine get that thread for certain.
func init() {
	if Inside() {
		runtime.LockOSThread()
	}
}

// IsHelper reports whether this process is about to become a pod's or a Host's in Enter. A main that does anything
// before Enter asks first, because the arguments are not its own then.
func IsHelper() bool { return os.Args[0] == helperHost || os.Args[0] == helperContainer }

// runHelper does not return when this process is a helper.
func runHelper() {
	switch os.Args[0] {
	case helperHost:
		fail(os.Stderr, runHost(os.Args[1:]))
	case helperContainer:
		// Close-on-exec: the reader sees the end of file when the container's own program has replaced this one.
		unix.CloseOnExec(helperError)
		fail(os.NewFile(helperError, "error"), runContainer())
	}
}

func fail(w *os.File, err error) {
	fmt.Fprint(w, err)
	os.Exit(128)
}

func runHost(argv []string) error {
	runtime.LockOSThread()
	if err := unix.Setns(helperNetNS, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	unix.CloseOnExec(helperNetNS)
	return fmt.Errorf("%s: %w", argv[0], unix.Exec(argv[0], argv, os.Environ()))
}

func runContainer() error {
	runtime.LockOSThread()
	var spec containerSpec
	if err := json.NewDecoder(os.NewFile(helperSpec, "spec")).Decode(&spec); err != nil {
		return fmt.Errorf("read specification: %w", err)
	}
	unix.CloseOnExec(helperSpec)
	if err := unix.Setns(helperNetNS, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	unix.CloseOnExec(helperNetNS)
	if err := unix.Sethostname([]byte(spec.Hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := spec.enterRoot(); err != nil {
		return err
	}
	path, err := lookPath(spec.Args[0], spec.Env)
	if err != nil {
		return err
	}
	if err := os.Chdir(spec.Dir); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", path, unix.Exec(path, spec.Args, spec.Env))
}

// lookPath is exec.LookPath by the PATH of the process to be, not of this one.
func lookPath(name string, environment []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	search := defaultPath
	for _, kv := range environment {
		if value, ok := strings.CutPrefix(kv, "PATH="); ok {
			search = value
		}
	}
	for dir := range strings.SplitSeq(search, ":") {
		path := dir + "/" + name
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("exec: %q: executable file not found in $PATH", name)
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
