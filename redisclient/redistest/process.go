// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// startsWithin is how long a process may take until it accepts connections, on a machine that may be busy.
const startsWithin = 20 * time.Second

// Process is a real redis-server on this machine, for tests of what only a real one shows. It ends with the test binary
// at the latest.
type Process struct {
	Host string // a loopback address
	Port int
	Dir  string // for its files and its log

	cmd *exec.Cmd
}

// Installed ends a test with the remedy where there is no redis-server.
func Installed(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("this is about real servers: install Redis (Debian, Ubuntu: apt-get install redis-server)")
	}
}

// FreePort is a port of 127.0.0.1 that nothing listened on a moment ago.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Addr is where it listens.
func (p *Process) Addr() string { return net.JoinHostPort(p.Host, strconv.Itoa(p.Port)) }

// Start runs redis-server with the arguments, which are to have it listen at Addr, and returns when it accepts
// connections. The error of one that does not has its log.
func (p *Process) Start(args ...string) error {
	log, err := os.OpenFile(filepath.Join(p.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	p.cmd = exec.Command("redis-server", args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(startsWithin); ; time.Sleep(2 * time.Millisecond) {
		conn, err := net.Dial("tcp", p.Addr())
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			p.Kill()
			said, _ := os.ReadFile(log.Name())
			return fmt.Errorf("redis-server did not start: %w\n%s", err, said)
		}
	}
}

// Kill ends the process, if there is one, and returns when it has ended.
func (p *Process) Kill() {
	if p.cmd == nil || p.cmd.Process == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
}

// Signal sends a signal to the process.
func (p *Process) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}
