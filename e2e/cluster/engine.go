// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/redisha/redisha/e2e/gobuild"
)

// runFolder is where an engine of ours keeps what it has open; the paths of its sockets have to be short.
const runFolder = "/run/redisha-kind"

// engine is an engine that we have started, as it is remembered in a file.
type engine struct {
	PID     int
	Started string // as the kernel counts, so that another process of that number is not taken for it
}

func engineAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := run(ctx, "docker", "version", "--format", "{{.Server.Version}}")
	return err == nil
}

// startEngine sees to it that a Docker engine answers. Where none does, on a Debian and as root, it installs and starts
// one.
func startEngine(ctx context.Context, log *steps, dir string) error {
	if engineAnswers(ctx) || ctx.Err() != nil {
		return ctx.Err()
	}
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		return fmt.Errorf("no Docker engine answers at DOCKER_HOST=%s: start it, or unset DOCKER_HOST", host)
	}
	if os.Geteuid() != 0 || !onDebian() {
		return errors.New("no Docker engine answers: start one (docker version has to show a server), or install one; " +
			"only on Debian and as root is it done here")
	}
	for _, commands := range [][]string{{"dockerd", "runc", "iptables"}, {"docker"}} {
		if err := install(ctx, log, commands...); err != nil {
			return err
		}
	}
	return log.step("starting a Docker engine", func() error { return launch(ctx, log, dir) })
}

// launch starts an engine that touches nothing of the machine but its own folders: it sets no rules of iptables,
// forwards nothing, and has no network but the one that is made for the nodes.
func launch(ctx context.Context, progress io.Writer, dir string) error {
	runtime := filepath.Join(dir, "ociruntime")
	if err := gobuild.Static(ctx, progress, runtime, "./e2e/cluster/cmd/ociruntime"); err != nil {
		return err
	}
	logFile := filepath.Join(dir, "dockerd.log")
	out, err := os.Create(logFile)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(
		"dockerd",
		"--data-root",
		filepath.Join(dir, "docker"),
		"--exec-root",
		runFolder,
		"--pidfile",
		runFolder+".pid",
		"--bridge",
		"none",
		"--iptables=false",
		"--ip-masq=false",
		"--ip-forward=false",
		"--dns",
		"127.0.0.53", // of the container itself, where nothing listens: names from outside are not asked for
		"--add-runtime",
		"redisha="+runtime,
		"--default-runtime",
		"redisha",
		"--log-level",
		"warn",
	)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it outlives us, and ctrl-C
	keepFilesToOurselves()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start dockerd: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := remember(dir, cmd.Process.Pid); err != nil {
		return err
	}
	deadline := time.After(time.Minute)
	for !engineAnswers(ctx) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			text, _ := os.ReadFile(logFile)
			return fmt.Errorf("dockerd ended (%w): %s", err, tail(string(text)))
		case <-deadline:
			return fmt.Errorf("dockerd does not answer after a minute: see %s", logFile)
		case <-time.After(200 * time.Millisecond):
		}
	}
	return nil
}

// keepFilesToOurselves lets no process that is started from now on have the files that whoever called us has left open:
// an engine would have them open for as long as it runs, and hold the lock of a flock(1) that the call was made under.
// Kernels before 5.11 cannot do it.
func keepFilesToOurselves() {
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
}

func engineFile(dir string) string { return filepath.Join(dir, "engine.json") }

func remember(dir string, pid int) error {
	data, err := json.Marshal(engine{PID: pid, Started: startOf(pid)})
	if err != nil {
		return err
	}
	return os.WriteFile(engineFile(dir), data, 0o644)
}

// ourEngine returns the engine that we have started; alive tells whether it still runs.
func ourEngine(dir string) (e engine, ours, alive bool) {
	data, err := os.ReadFile(engineFile(dir))
	if err != nil || json.Unmarshal(data, &e) != nil {
		return e, false, false
	}
	return e, true, e.Started != "" && startOf(e.PID) == e.Started
}

// startOf returns when a process was started, in the kernel's ticks, or nothing if there is none.
func startOf(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field is a name in brackets and may hold anything.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}

// reviveEngine starts an engine of ours that has ended, as after a reboot, because only an engine can remove its
// containers.
func reviveEngine(ctx context.Context, log *steps, dir string) error {
	if _, ours, alive := ourEngine(dir); !ours || alive {
		return nil
	}
	return startEngine(ctx, log, dir)
}

// stopEngine stops the engine if it is ours and removes what it leaves.
func stopEngine(ctx context.Context, log *steps, dir string) error {
	e, ours, alive := ourEngine(dir)
	if !ours {
		return nil
	}
	if alive {
		if err := log.step("stopping the Docker engine", func() error { return stop(ctx, e) }); err != nil {
			return err
		}
	}
	removeEmpty()
	return errors.Join(os.RemoveAll(runFolder), os.Remove(engineFile(dir)))
}

func stop(ctx context.Context, e engine) error {
	if err := syscall.Kill(e.PID, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop dockerd, process %d: %w", e.PID, err)
	}
	deadline := time.After(time.Minute)
	for startOf(e.PID) == e.Started {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return fmt.Errorf("dockerd, process %d, does not end: kill it and try again", e.PID)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// removeEmpty removes folders that an engine leaves, those that are empty: groups of processes in which containers have
// been, and places for sockets.
func removeEmpty() {
	for _, pattern := range []string{"/sys/fs/cgroup/docker", "/sys/fs/cgroup/*/docker",
		"/run/containerd/s", "/run/containerd", "/run/docker/plugins", "/run/docker"} {
		folders, _ := filepath.Glob(pattern)
		for _, folder := range folders {
			_ = syscall.Rmdir(folder)
		}
	}
}
