// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a running container: PID 1 of a pid namespace, so that whatever it started ends with it.
type process struct {
	spec      *containerSpec
	id        string // the container ID, new for each
	started   time.Time
	pidfd     *os.File
	handle    *os.Process
	done      chan struct{} // closed when it has ended; the fields below are set then
	finished  time.Time
	exitCode  int
	endSignal syscall.Signal
}

// startProcess returns when the container's own program runs, or an error saying why it can't.
func startProcess(spec *containerSpec, ns *os.File, log *os.File) (*process, error) {
	specReader, specWriter, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer specReader.Close()
	errorReader, errorWriter, err := os.Pipe()
	if err != nil {
		specWriter.Close()
		return nil, err
	}
	defer errorReader.Close()
	cmd := exec.Command(selfExecutable)
	cmd.Args = []string{helperContainer}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{ns, specReader, errorWriter}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setsid:     true,
	}
	err = cmd.Start()
	errorWriter.Close()
	if err != nil {
		specWriter.Close()
		return nil, err
	}
	go func() {
		_ = json.NewEncoder(specWriter).Encode(spec) // a helper that dies first says so on the other pipe
		specWriter.Close()
	}()
	message, _ := io.ReadAll(errorReader)
	if len(message) > 0 {
		_ = cmd.Wait()
		return nil, errors.New(string(message))
	}
	pidfd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return nil, fmt.Errorf("open process: %w", err)
	}
	p := &process{
		spec:    spec,
		id:      newContainerID(),
		started: time.Now(),
		handle:  cmd.Process,
		pidfd:   os.NewFile(uintptr(pidfd), "pidfd"),
		done:    make(chan struct{}),
	}
	go p.wait(cmd)
	return p, nil
}

func newContainerID() string {
	var b [32]byte
	_, _ = rand.Read(b[:])
	return "sandbox://" + hex.EncodeToString(b[:])
}

func (p *process) wait(cmd *exec.Cmd) {
	_ = cmd.Wait()
	p.finished = time.Now()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		p.exitCode = exitStatus(status)
		if status.Signaled() {
			p.endSignal = status.Signal()
		}
	}
	close(p.done)
}

func (p *process) signal(s syscall.Signal) error { return p.handle.Signal(s) }

// command is something to run in a running container besides its main process.
type command struct {
	argv           []string
	environment    []string
	dir            string
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       *os.File // takes the place of the three streams when there is one
}

// output runs a command in the container's namespaces and returns its exit code and the beginning of what it printed.
func (p *process) output(ctx context.Context, argv ...string) (int, string, error) {
	var output cappedBuffer
	code, err := p.exec(
		ctx, command{argv: argv, environment: p.spec.Env, dir: p.spec.Dir, stdout: &output, stderr: &output},
	)
	return code, output.String(), err
}

// exec runs a command in the container's namespaces and returns its exit code.
func (p *process) exec(ctx context.Context, c command) (int, error) {
	cmd, err := p.startExec(ctx, c)
	if err != nil {
		return -1, err
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return -1, ctx.Err()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return -1, err
	}
	return exitStatus(cmd.ProcessState.Sys().(syscall.WaitStatus)), nil
}

// startExec needs no helper: a thread enters the container's namespaces, forks, and is thrown away. That makes a probe
// cost no more than its command.
func (p *process) startExec(ctx context.Context, c command) (*exec.Cmd, error) {
	type result struct {
		cmd *exec.Cmd
		err error
	}
	results := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked
		cmd, err := p.forkInside(ctx, c)
		results <- result{cmd, err}
	}()
	r := <-results
	return r.cmd, r.err
}

func (p *process) forkInside(ctx context.Context, c command) (*exec.Cmd, error) {
	select {
	case <-p.done:
		return nil, errors.New("container is not running")
	default:
	}
	// Threads share root and working folder until they say otherwise, and a mount namespace can't be entered before.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return nil, fmt.Errorf("unshare: %w", err)
	}
	const all = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC
	if err := unix.Setns(int(p.pidfd.Fd()), all); err != nil {
		return nil, fmt.Errorf("enter container: %w", err)
	}
	path, err := lookPath(c.argv[0], c.environment)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path)
	cmd.Args, cmd.Env, cmd.Dir = c.argv, c.environment, c.dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.stdin, c.stdout, c.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if c.terminal != nil {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = c.terminal, c.terminal, c.terminal
		cmd.SysProcAttr.Setctty = true
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 100 * time.Millisecond // a grandchild may hold the pipe
	return cmd, cmd.Start()
}

// cappedBuffer keeps the beginning, as the kubelet does of a probe's output.
type cappedBuffer struct{ bytes.Buffer }

func (b *cappedBuffer) Write(p []byte) (int, error) {
	const limit = 64 << 10
	if room := limit - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
