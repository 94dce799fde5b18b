// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The program runs in stages, each the same executable started anew. The stage is in the environment rather than in the
// arguments because the arguments belong to the program (go test's flags, for one).
const (
	envStage    = "REDISHA_SANDBOX_STAGE"
	envStateDir = "REDISHA_SANDBOX_DIR"
	envAPIPort  = "REDISHA_SANDBOX_API_PORT"

	stageInit = "init" // PID 1 of the namespace
	stageMain = "main" // the program proper, inside

	bridgeFD = 3 // the listener made outside, see listenOutside
)

// Enter makes sure that the program runs inside a user, network, pid and mount namespace of its own. It must be the
// first thing in main or TestMain: what comes before it runs twice. Outside, it first runs prepare (where there still
// is a network; use it for builds and downloads) and provides the Kubernetes binaries and redis-server, then runs the
// program again inside, passing on arguments, environment, standard streams, signals and the exit status, and never
// returns. Inside it returns at once.
func Enter(prepare ...func(context.Context) error) {
	runHelper() // container and host processes start as this executable too
	switch os.Getenv(envStage) {
	case stageMain:
		return
	case stageInit:
		os.Exit(runInit())
	}
	status, err := enter(prepare)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
	}
	os.Exit(status)
}

// Inside reports whether the program runs inside the namespaces made by Enter.
func Inside() bool { return os.Getenv(envStage) == stageMain }

func enter(prepare []func(context.Context) error) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	binaries, err := KubeBinaries(ctx, os.Stderr)
	if err != nil {
		return 1, err
	}
	if _, err := RedisServer(ctx, os.Stderr); err != nil {
		return 1, err
	}
	for _, f := range prepare {
		if err := f(ctx); err != nil {
			return 1, err
		}
	}
	stop()
	dir, remove, err := newStateDir()
	if err != nil {
		return 1, err
	}
	defer remove()
	bridge, port, err := listenOutside()
	if err != nil {
		return 1, err
	}
	defer bridge.Close()
	return runInside(bridge, append(os.Environ(),
		EnvKubeBinDir+"="+binaries, envStateDir+"="+dir, envAPIPort+"="+port))
}

// newStateDir makes the folder for what both sides see, and removes those whose owners were killed and could not.
func newStateDir() (string, func(), error) {
	const prefix, lockName = "redisha-sandbox-", "lock"
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*", lockName))
	for _, path := range left {
		// A lock file so young may be about to be locked.
		if info, err := os.Stat(path); err != nil || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		if f, err := os.OpenFile(path, os.O_RDWR, 0); err == nil {
			if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
				_ = os.RemoveAll(filepath.Dir(path))
			}
			f.Close()
		}
	}
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return "", nil, err
	}
	lock, err := os.Create(filepath.Join(dir, lockName))
	if err == nil {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX)
	}
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "run"), 0o700) // where the inner program mounts a tmpfs
	}
	return dir, func() {
		_ = os.RemoveAll(dir)
		lock.Close()
	}, err
}

// listenOutside opens the port through which kubectl on the machine reaches the API server. A socket belongs to the
// network namespace it was made in, so a listener made here and inherited accepts the machine's connections inside the
// sandbox.
func listenOutside() (*os.File, string, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	f, err := listener.(*net.TCPListener).File()
	return f, port, err
}

func runInside(bridge *os.File, environment []string) (int, error) {
	// The kernel sends the parent-death signal when the thread that forked ends, so that thread must not end before the
	// process.
	runtime.LockOSThread()
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	cmd := exec.Command(self)
	cmd.Args = os.Args
	cmd.Env = append(environment, envStage+"="+stageInit)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{bridge}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
		// A session of its own: the terminal's ctrl-C reaches only this process, which passes it on once.
		Setsid: true,
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(
		signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
	)
	if err := cmd.Start(); err != nil {
		return 1, explainNamespaces(err)
	}
	go func() {
		for interrupts := 0; ; {
			s := <-signals
			if s == os.Interrupt {
				interrupts++
			}
			if interrupts == 3 { // a person has lost patience
				s = os.Kill
			}
			_ = cmd.Process.Signal(s)
		}
	}()
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 1, err
	}
	return exitStatus(cmd.ProcessState.Sys().(syscall.WaitStatus)), nil
}

// exitStatus is what a shell would say of the same process.
func exitStatus(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// explainNamespaces adds the remedy to the error of a machine that does not let its users make namespaces.
func explainNamespaces(err error) error {
	for _, knob := range []struct{ path, bad, remedy string }{
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "sudo sysctl -w " +
			"kernel.apparmor_restrict_unprivileged_userns=0"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"},
		{"/proc/sys/user/max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=15000"},
	} {
		if value, readErr := os.ReadFile(knob.path); readErr == nil && strings.TrimSpace(string(value)) == knob.bad {
			return fmt.Errorf("this machine does not let a user make namespaces (%w); allow it with: %s", err, knob.remedy)
		}
	}
	if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, unix.EROFS) && !errors.Is(err, unix.EINVAL) &&
		!errors.Is(err, unix.ENOSPC) {
		return err
	}
	return fmt.Errorf(
		"cannot make a user, network, pid and mount namespace: %w (inside a container, run it with --security-opt "+
			"seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined)",
		err,
	)
}

// runInit is PID 1 of the namespace: it prepares what only needs doing once, starts the program, reaps orphans, and by
// ending ends everything.
func runInit() int {
	_ = unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0)
	if err := prepareNamespace(); err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", explainNamespaces(err))
		return 1
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		return 1
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(
		signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
	)
	os.Setenv(envStage, stageMain)
	process, err := os.StartProcess(self, os.Args, &os.ProcAttr{
		Env:   os.Environ(),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr, os.NewFile(bridgeFD, "bridge")},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		return 1
	}
	go func() {
		for s := range signals {
			_ = process.Signal(s)
		}
	}()
	return reapUntil(process.Pid)
}

func reapUntil(pid int) int {
	for {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 1
		case got == pid && (status.Exited() || status.Signaled()):
			return exitStatus(status)
		}
	}
}

// prepareNamespace makes mounts private, mounts this pid namespace's /proc, and switches on loopback and forwarding.
func prepareNamespace() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	// Inside some containers parts of /proc are masked and the kernel refuses a fresh one; nothing here depends on it.
	_ = unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	run := filepath.Join(os.Getenv(envStateDir), "run")
	if err := unix.Mount("tmpfs", run, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0700"); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	return prepareRootNetwork()
}
