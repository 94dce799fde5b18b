// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// betweenLives is how long a supervised program may be away: its supervisor starts it anew.
const betweenLives = 2 * time.Second

// signalProgram sends a signal to what the container is there for.
func (p *process) signalProgram(s syscall.Signal) error {
	for deadline := time.Now().Add(betweenLives); ; time.Sleep(time.Millisecond) {
		if err := p.signal(0); err != nil {
			return err
		}
		first := p.procID()
		if !supervises(first) {
			return p.signal(s)
		}
		if child, found := onlyChild(first); found {
			return signalChild(first, child, s)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d supervises nothing for %s", first, betweenLives)
		}
	}
}

// procID is what /proc calls the process: where the kernel refuses a fresh one it is that of another pid namespace.
func (p *process) procID() int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", p.pidfd.Fd()))
	pid, _ := strconv.Atoi(field(string(text), "Pid"))
	return pid
}

// signalChild holds on to the process by its folder in /proc, so that the signal reaches a child of that parent or
// nothing.
func signalChild(parent, child int, s syscall.Signal) error {
	folder, err := os.Open(fmt.Sprintf("/proc/%d", child))
	if err != nil {
		return err
	}
	defer folder.Close()
	if statusField(child, "PPid") != strconv.Itoa(parent) {
		return os.ErrProcessDone
	}
	return unix.PidfdSendSignal(int(folder.Fd()), s, nil, 0)
}

// supervises reports a shell that has a say in its own end: one that only runs commands does not catch SIGTERM.
func supervises(pid int) bool {
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil || !slices.Contains([]string{"sh", "dash", "bash", "ash", "busybox"}, filepath.Base(program)) {
		return false
	}
	caught, err := strconv.ParseUint(statusField(pid, "SigCgt"), 16, 64)
	return err == nil && caught&(1<<(syscall.SIGTERM-1)) != 0
}

// onlyChild returns the child that is not waiting to be reaped, is no spare one, and is the supervisor's no longer; of
// several, which come from probes that were cut short, the first.
func onlyChild(parent int) (int, bool) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	first, found := 0, false
	for _, file := range stats {
		text, err := os.ReadFile(file)
		_, after, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(after) // state, parent, …
		if err != nil || len(fields) < 2 || fields[0] == "Z" || fields[1] != strconv.Itoa(parent) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && (!found || pid < first) && !stands(parent, pid) {
			first, found = pid, true
		}
	}
	return first, found
}

// stands reports a child that has not begun to do anything: a spare redis-server, which waits for its configuration
// (start.sh), or one that will be and still is the shell.
func stands(parent, pid int) bool {
	own, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", parent))
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return bytes.Contains(line, []byte("\x00--include\x00")) || bytes.Equal(line, own)
}

// statusField is a line of a process's status; empty when there is none.
func statusField(pid int, name string) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return field(string(text), name)
}

// field is the value of a line "name: value".
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
