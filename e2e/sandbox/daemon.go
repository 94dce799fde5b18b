// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// daemon is one process of the control plane, which can be stopped and started again with the same arguments.
type daemon struct {
	name   string
	path   string
	args   []string
	log    string
	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
}

func newDaemon(binaries, logs, name string, args ...string) *daemon {
	return &daemon{name: name, path: filepath.Join(binaries, name), args: args, log: filepath.Join(logs, name+".log")}
}

func (d *daemon) start() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cmd != nil {
		return fmt.Errorf("%s is running already", d.name)
	}
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(d.path, d.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", d.name, err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	d.cmd, d.exited = cmd, exited
	return nil
}

// stop asks politely when given a signal other than SIGKILL, and insists when the context ends.
func (d *daemon) stop(ctx context.Context, signal syscall.Signal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cmd == nil {
		return
	}
	_ = d.cmd.Process.Signal(signal)
	select {
	case <-d.exited:
	case <-ctx.Done():
		_ = d.cmd.Process.Kill()
		<-d.exited
	}
	d.cmd = nil
}

// waitReady polls until ready says nil. A process that ends instead is reported with the end of its log.
func (d *daemon) waitReady(ctx context.Context, ready func(context.Context) error) error {
	d.mu.Lock()
	exited := d.exited
	d.mu.Unlock()
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := ready(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-exited:
			return fmt.Errorf("%s ended instead of becoming ready:\n%s", d.name, d.logTail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", d.name, errors.Join(ctx.Err(), err), d.logTail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (d *daemon) logTail() string {
	data, _ := os.ReadFile(d.log)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
