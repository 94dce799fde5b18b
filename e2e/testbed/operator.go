// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redisha/redisha/e2e/sandbox"
)

const (
	metricsPort = "8080"
	healthPort  = "8081"
)

// linger is for how long the address of a process that has ended stays, as that of a pod stays whose container has
// ended: what dials it is refused.
const linger = 10 * time.Second

// Operator is one process of the operator, in a host of its own.
type Operator struct {
	// Name is its host's, operator-0 and so on; it is not given twice.
	Name string
	// Host is where it runs, for parting it from pods or the API server.
	Host *sandbox.Host
	// LogPath is its log.
	LogPath string
	// Tomorrows says that it is the operator of tomorrow.
	Tomorrows bool

	crashFile string
	cmd       *exec.Cmd
	http      *http.Client
	once      sync.Once
	exited    chan struct{}
	exitedAt  time.Time // valid when exited is closed
}

// StartOperator starts one more process of the operator. It does not wait for it to be ready.
func (b *Testbed) StartOperator() (*Operator, error) { return b.startOperator(b.binary) }

// StartTomorrowsOperator is StartOperator with the build of PrepareTomorrow.
func (b *Testbed) StartTomorrowsOperator() (*Operator, error) {
	binary, err := tomorrowsBinary()
	if err != nil {
		return nil, err
	}
	return b.startOperator(binary)
}

func (b *Testbed) startOperator(binary string) (*Operator, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := fmt.Sprintf("operator-%d", b.started)
	b.started++
	host, err := b.Sandbox.NewHost(name)
	if err != nil {
		return nil, err
	}
	o := &Operator{
		Name: name, Host: host, Tomorrows: binary != b.binary, exited: make(chan struct{}),
		LogPath:   filepath.Join(b.options.LogDir, name+".log"),
		crashFile: filepath.Join(b.options.LogDir, name+".crash"),
	}
	// The transport dials from the host itself: the operator's ports are reached even when faults part it from others.
	o.http = &http.Client{
		Timeout:   time.Second,
		Transport: &http.Transport{DialContext: host.DialContext, DisableKeepAlives: true},
	}
	if err := o.start(b, binary); err != nil {
		_ = host.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	b.operators = append(b.operators, o)
	return o, nil
}

func (o *Operator) start(b *Testbed, binary string) error {
	log, err := os.OpenFile(o.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	args := append([]string{
		"--kubeconfig=" + b.kubeconfig, "--leader-elect", "--leader-election-namespace=" + Namespace,
		"--metrics-bind-address=:" + metricsPort, "--health-probe-bind-address=:" + healthPort,
	}, b.options.ManagerArgs...)
	// Its life is not bound to a context: it is ended by Kill, or with the sandbox.
	o.cmd = o.Host.Command(context.Background(), binary, args...)
	o.cmd.Env = append(os.Environ(), "REDISHA_CRASH_FILE="+o.crashFile)
	o.cmd.Stdout, o.cmd.Stderr = log, log
	if err := o.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = o.cmd.Wait()
		o.exitedAt = time.Now()
		close(o.exited)
	}()
	return nil
}

// Operators returns the processes that have not ended, oldest first.
func (b *Testbed) Operators() []*Operator {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.operators = slices.DeleteFunc(b.operators, (*Operator).gone)
	return slices.Clone(b.operators)
}

func (o *Operator) gone() bool {
	select {
	case <-o.exited:
		o.leave()
		return true
	default:
		return false
	}
}

// Exited is closed when the process has ended, and ExitedAt tells when it did.
func (o *Operator) Exited() <-chan struct{} { return o.exited }

// ExitedAt is when the process ended. It must not be called before Exited is closed.
func (o *Operator) ExitedAt() time.Time { return o.exitedAt }

// Kill ends the process with SIGKILL and returns when it is gone.
func (o *Operator) Kill() {
	_ = o.cmd.Process.Signal(syscall.SIGKILL)
	<-o.exited
	o.leave()
}

// leave gives the address of a process that has ended back, a while later.
func (o *Operator) leave() {
	o.once.Do(func() { time.AfterFunc(linger, func() { _ = o.Host.Close() }) })
}

// Signal sends a signal to the process, SIGSTOP and SIGCONT for instance.
func (o *Operator) Signal(signal syscall.Signal) error { return o.cmd.Process.Signal(signal) }

// PeakMemory is the most memory that the process has held so far, in bytes.
func (o *Operator) PeakMemory() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", o.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kilobytes int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); err == nil {
			return kilobytes << 10, nil
		}
	}
	return 0, fmt.Errorf("%s: the kernel does not tell", o.Name)
}

// CrashAt makes the process kill itself with SIGKILL as soon as it has persisted that state of a failover.
func (o *Operator) CrashAt(state string) error {
	return os.WriteFile(o.crashFile, []byte(state), 0o600)
}

// Leader returns the process that leads, asking each for its metric; an error if none does.
func (b *Testbed) Leader(ctx context.Context) (*Operator, error) {
	var errs []error
	for _, o := range b.Operators() {
		leads, err := o.Leads(ctx)
		if leads {
			return o, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("no operator leads: %w", errors.Join(errs...))
}

// Leads reports whether the process says that it is the leader.
func (o *Operator) Leads(ctx context.Context) (bool, error) {
	response, err := o.get(ctx, metricsPort, "/metrics")
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if text := lines.Text(); strings.HasPrefix(text, "leader_election_master_status{") {
			return strings.HasSuffix(text, " 1"), nil
		}
	}
	return false, nil
}

func (o *Operator) get(ctx context.Context, port, path string) (*http.Response, error) {
	url := "http://" + net.JoinHostPort(o.Host.Addr().String(), port) + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return o.http.Do(request)
}

func (o *Operator) ready(ctx context.Context) bool {
	response, err := o.get(ctx, healthPort, "/readyz")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// waitOperators returns when all processes are ready and one leads. A process that ends instead is an error with the
// end of its log.
func (b *Testbed) waitOperators(ctx context.Context) error {
	b.mu.Lock()
	all := slices.Clone(b.operators)
	b.mu.Unlock()
	return sandbox.WaitFor(ctx, "a leading operator", func(ctx context.Context) (bool, error) {
		for _, o := range all {
			if o.gone() {
				return false, fmt.Errorf("%s ended:\n%s", o.Name, o.LogTail())
			}
			if !o.ready(ctx) {
				return false, nil
			}
		}
		_, err := b.Leader(ctx)
		return err == nil, nil
	})
}

// LogTail returns the last lines of the process's log.
func (o *Operator) LogTail() string {
	data, _ := os.ReadFile(o.LogPath)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
