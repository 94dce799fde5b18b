// SPDX-License-Identifier: Apache-2.0

package resources_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

// inEveryShell runs the test with each shell that an image may have as its sh, of those that are installed here.
func inEveryShell(t *testing.T, test func(t *testing.T, shell []string)) {
	t.Helper()
	for _, shell := range [][]string{{"sh"}, {"dash"}, {"busybox", "sh"}, {"bash", "--posix"}} {
		if _, err := exec.LookPath(shell[0]); err != nil {
			continue
		}
		t.Run(shell[0], func(t *testing.T) {
			t.Parallel()
			test(t, shell)
		})
	}
}

// bounds are those of start.sh, in seconds.
func bounds(young, short int) []string {
	return []string{fmt.Sprintf("REDISHA_YOUNG_SECONDS=%d", young), fmt.Sprintf("REDISHA_SHORT_SECONDS=%d", short)}
}

// stub starts the command with a redis-server that is this script.
func stub(t *testing.T, shell []string, script string, env ...string) *server {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(
		filepath.Join(bin, "redis-server"),
		[]byte("#!/bin/sh\n[ \"$1\" != --version ] || exit 0\n[ \"$2\" != --include ] || read -r go\n"+script),
		0o700,
	); err != nil {
		t.Fatal(err)
	}
	return start(t, minimal(), launch{shell: shell, env: append(env, "PATH="+bin+":"+os.Getenv("PATH"), "BIN="+bin)})
}

// runID is empty while it does not answer.
func (s *server) runID() string {
	_, rest, _ := strings.Cut(s.cli("info", "server"), "run_id:")
	id, _, _ := strings.Cut(rest, "\r")
	return id
}

// refused kills the process and returns for how long its port refuses.
func (s *server) refused(pid int) time.Duration {
	s.t.Helper()
	s.signal(pid, syscall.SIGKILL)
	began := time.Now()
	for time.Since(began) < 20*time.Second {
		gone := errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
		if c, err := net.Dial("tcp", "127.0.0.1:"+s.port); err == nil {
			_ = c.Close()
			if gone {
				break
			}
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

func (s *server) signal(pid int, signal syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(pid, signal); err != nil {
		s.t.Fatal(err)
	}
}

// exitCode waits for the end of the container.
func (s *server) exitCode() int {
	s.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- s.process.Wait() }()
	select {
	case err := <-ended:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			s.t.Fatal(err)
		}
		if status := s.process.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
			return 128 + int(status.Signal())
		}
		return s.process.ProcessState.ExitCode()
	case <-time.After(30 * time.Second):
		s.kill()
		<-ended
		s.t.Fatal("it goes on")
		return 0
	}
}

func TestAKilledRedisIsBackAtOnceAndFenced(t *testing.T) {
	inEveryShell(t, func(t *testing.T, shell []string) {
		s := start(t, runnable(), launch{shell: shell, env: bounds(0, 0)})
		s.eventually("redis-server answers", func() bool { return s.runID() != "" })
		var took []time.Duration
		for i := range 6 { // more than may be short-lived
			before := s.runID()
			s.cli("replicaof", "no", "one")
			took = append(took, s.refused(s.redis()))
			s.eventually("another process answers", func() bool { id := s.runID(); return id != "" && id != before })
			if out := s.cli("set", "k", "v"); !strings.Contains(out, "READONLY") {
				t.Errorf("it accepted a write: %q", out)
			}
			if out := s.cli("info", "replication"); !strings.Contains(out, "master_host:127.0.0.1\r\nmaster_port:1\r\n") {
				t.Errorf("not fenced: %s", out)
			}
			line := fmt.Sprintf(`ended with exit code 137 after \d+ s; starting it anew, start %d in this container`, i+2)
			if !regexp.MustCompile(line).MatchString(s.output.String()) {
				t.Errorf("no line says %q", line)
			}
		}
		t.Log(took)
		if slices.Min(took) > time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// spare is the process that waits for its input to end, once it is a redis-server.
func (s *server) spare() int {
	for _, p := range s.descendants() {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
		if bytes.HasPrefix(line, []byte("redis-server\x00-\x00--include\x00")) {
			return p.pid
		}
	}
	return 0
}

// hasSpare waits for one, made after those given.
func (s *server) hasSpare(not ...int) int {
	s.t.Helper()
	found := 0
	s.eventually("a spare process waits", func() bool {
		found = s.spare()
		return found != 0 && !slices.Contains(not, found)
	})
	return found
}

// back waits until another process than the one with this run id answers, fenced, and returns its pid.
func (s *server) back(before string) int {
	s.t.Helper()
	s.eventually("another process answers", func() bool { id := s.runID(); return id != "" && id != before })
	if out := s.cli("set", "k", "v"); !strings.Contains(out, "READONLY") {
		s.t.Errorf("it accepted a write: %q", out)
	}
	return s.redis()
}

func TestASpareProcessTakesTheKilledOnesPlace(t *testing.T) {
	inEveryShell(t, func(t *testing.T, shell []string) {
		s := start(t, minimal(), launch{shell: shell, env: bounds(0, 0)})
		s.eventually("redis-server answers", func() bool { return s.runID() != "" })
		spare := s.hasSpare()
		for range 3 {
			before := s.runID()
			s.signal(s.redis(), syscall.SIGKILL)
			if pid := s.back(before); pid != spare {
				t.Errorf("%d came back, and %d was waiting", pid, spare)
			}
			spare = s.hasSpare(spare)
		}
		before, redis := s.runID(), s.redis()
		s.signal(spare, syscall.SIGKILL)
		s.signal(redis, syscall.SIGKILL)
		if pid := s.back(before); pid == spare {
			t.Error("the spare one was dead as well")
		}
		s.hasSpare(spare)
		s.signal(s.process.Process.Pid, syscall.SIGTERM)
		s.exitCode()
		s.nothingIsLeft()
	})
}

// What ends the shell alone ends the container, where it is the first process. Where it is not, no process is left that
// serves without its fence.
func TestASpareProcessIsNoMasterWhateverEndsItsShell(t *testing.T) {
	inEveryShell(t, func(t *testing.T, shell []string) {
		for _, alone := range []bool{true, false} {
			s := start(t, minimal(), launch{shell: shell, env: bounds(0, 0)})
			s.eventually("redis-server answers", func() bool { return s.runID() != "" })
			spare, redis, before := s.hasSpare(), s.redis(), s.runID()
			if !alone {
				s.signal(redis, syscall.SIGSTOP) // the shell is to end first
			}
			s.signal(s.process.Process.Pid, syscall.SIGKILL)
			if !alone {
				s.signal(redis, syscall.SIGKILL)
				s.eventually("the spare one has ended, or is fenced", func() bool {
					return errors.Is(syscall.Kill(spare, 0), syscall.ESRCH) || strings.Contains(s.cli("set", "k", "v"), "READONLY")
				})
				continue
			}
			s.eventually("the spare one has ended", func() bool { return errors.Is(syscall.Kill(spare, 0), syscall.ESRCH) })
			if s.runID() != before {
				t.Error("it took the port")
			}
		}
	})
}

func TestWithoutNamedPipesThereIsNoSpareProcess(t *testing.T) {
	inEveryShell(t, func(t *testing.T, shell []string) {
		bin := t.TempDir()
		for _, name := range []string{"redis-server", "redis-cli", "sh", "bash", "dash", "rm", "sleep"} {
			if path, err := exec.LookPath(name); err == nil {
				if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
		s := start(t, minimal(), launch{shell: shell, env: append(bounds(0, 0), "PATH="+bin)})
		s.eventually("redis-server answers", func() bool { return s.runID() != "" })
		for range 3 {
			before := s.runID()
			s.signal(s.redis(), syscall.SIGKILL)
			s.back(before)
		}
		if s.spare() != 0 {
			t.Error("there is one")
		}
	})
}

func TestARedisThatDiesYoungEndsTheContainerWithItsExitCode(t *testing.T) {
	inEveryShell(t, func(t *testing.T, shell []string) {
		s := start(t, minimal(), launch{shell: shell, env: bounds(3600, 3600)})
		s.eventually("redis-server answers", func() bool { return s.runID() != "" })
		s.signal(s.redis(), syscall.SIGKILL)
		if code := s.exitCode(); code != 128+int(syscall.SIGKILL) {
			t.Errorf("exit code %d", code)
		}
	})
}

func TestAConfigurationThatRedisRefusesEndsTheContainer(t *testing.T) {
	rha := minimal()
	rha.Spec.Config = map[string]v1alpha1.ConfigValue{"maxmemory": "much"}
	s := start(t, rha, launch{})
	if code := s.exitCode(); code != 1 || strings.Contains(s.output.String(), "anew") {
		t.Errorf("exit code %d", code)
	}
}

// The file that is mounted is written when the spec is changed, before a rollout has come to the pod.
func TestAProcessThatIsStartedAnewKeepsTheConfigurationOfItsPod(t *testing.T) {
	inEveryShell(t, func(t *testing.T, shell []string) {
		s := start(t, minimal(), launch{shell: shell, env: bounds(0, 0)})
		s.eventually("redis-server answers", func() bool { return s.runID() != "" })
		before := s.runID()
		s.write("redis.conf", "maxmemory 4Gi\n")
		s.signal(s.redis(), syscall.SIGKILL)
		s.eventually("another process answers", func() bool { id := s.runID(); return id != "" && id != before })
		if out := s.cli("config", "rewrite"); strings.Contains(out, "OK") {
			t.Error("Redis can write what it starts from: its fence would be gone")
		}
		if out := s.cli("set", "k", "v"); !strings.Contains(out, "READONLY") {
			t.Errorf("it accepted a write: %q", out)
		}
	})
}

func TestAConfigurationWithWhichRedisDiedYoungIsNotKept(t *testing.T) {
	inEveryShell(t, func(t *testing.T, shell []string) {
		kept := filepath.Join(t.TempDir(), "kept.conf")
		if err := os.WriteFile(kept, []byte("maxmemory 4Gi\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		env := append(bounds(5, 60), "REDISHA_KEPT="+kept)
		if code := start(t, minimal(), launch{shell: shell, env: env}).exitCode(); code != 1 {
			t.Errorf("exit code %d", code)
		}
		s := start(t, minimal(), launch{shell: shell, env: env}) // the next container of the pod
		s.eventually("redis-server answers", func() bool { return s.runID() != "" })
	})
}

func TestAContainerThatIsStoppedEndsAsItsRedisDoes(t *testing.T) {
	inEveryShell(t, func(t *testing.T, shell []string) {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			s := start(t, minimal(), launch{shell: shell, env: bounds(0, 0)})
			s.eventually("redis-server answers", func() bool { return s.runID() != "" })
			s.signal(s.process.Process.Pid, signal)
			if code := s.exitCode(); code != 0 || strings.Contains(s.output.String(), "anew") ||
				!strings.Contains(s.output.String(), "bye bye") {
				t.Errorf("%s: exit code %d", signal, code)
			}
		}
		s := stub(t, shell, "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done", bounds(0, 0)...)
		s.eventually("it runs", func() bool { return strings.Contains(s.output.String(), "up") })
		s.signal(s.process.Process.Pid, syscall.SIGTERM)
		if code := s.exitCode(); code != 3 {
			t.Errorf("exit code %d, want that of redis-server", code)
		}
	})
}

// What comes while redis-server is being started must reach it all the same.
func TestAContainerIsStoppedAtAnyMoment(t *testing.T) {
	inEveryShell(t, func(t *testing.T, shell []string) {
		for moment := range 25 {
			s := stub(t, shell, "exec sleep 600", bounds(0, 0)...)
			time.Sleep(time.Duration(moment) * 200 * time.Microsecond)
			s.signal(s.process.Process.Pid, syscall.SIGTERM)
			s.exitCode()
			s.nothingIsLeft()
		}
		for moment := range 10 { // between two lives
			s := stub(t, shell, "exit 1", bounds(0, 0)...)
			s.eventually("it dies again and again", func() bool { return strings.Count(s.output.String(), "anew") > 3 })
			time.Sleep(time.Duration(moment) * 300 * time.Microsecond)
			s.signal(s.process.Process.Pid, syscall.SIGTERM)
			s.exitCode()
			s.nothingIsLeft()
		}
	})
}

func (s *server) nothingIsLeft() {
	s.t.Helper()
	if err := syscall.Kill(-s.process.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		s.t.Errorf("a process is left: %v", err)
	}
}

func TestARedisThatDiesAgainAndAgainEndsTheContainer(t *testing.T) {
	inEveryShell(t, func(t *testing.T, shell []string) {
		s := stub(t, shell, "echo started; exit 7", bounds(0, 3600)...)
		if code, starts := s.exitCode(), strings.Count(s.output.String(), "started"); code != 7 || starts != 6 {
			t.Errorf("exit code %d after %d starts, want 7 after 6", code, starts)
		}
		// A life that lasted, the third, is one after which they are counted anew.
		s = stub(
			t,
			shell,
			`echo started; echo >>"$BIN/lives"; [ "$(wc -l <"$BIN/lives")" -ne 3 ] || sleep 3; exit 7`,
			bounds(0, 2)...)
		if code, starts := s.exitCode(), strings.Count(s.output.String(), "started"); code != 7 || starts != 9 {
			t.Errorf("exit code %d after %d starts, want 7 after 9", code, starts)
		}
	})
}

func TestWhatADeadRedisLeftBehindIsEnded(t *testing.T) {
	isolated := []string{"unshare", "--map-root-user", "--pid", "--fork", "--mount", "--mount-proc"}
	if out, err := exec.Command(isolated[0], append(isolated[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("a container's first process needs user namespaces and unshare: %v %s", err, out)
	}
	inEveryShell(t, func(t *testing.T, shell []string) {
		s := start(t, minimal(), launch{shell: shell, env: bounds(0, 0), under: isolated})
		s.eventually("redis-server answers", func() bool { return s.runID() != "" })
		s.cli("replicaof", "no", "one")
		s.cli("set", "k", "v")
		s.cli("config", "set", "rdb-key-save-delay", "600000000") // a snapshot that takes minutes
		redis := s.serving()
		s.cli("bgsave")
		var snapshot process
		s.eventually("a child writes the snapshot", func() bool {
			for _, p := range s.descendants() {
				if p.parent == redis.pid {
					snapshot = p
				}
			}
			return snapshot.pid != 0
		})
		before := s.runID()
		s.signal(redis.pid, syscall.SIGKILL)
		s.eventually("another process answers", func() bool { id := s.runID(); return id != "" && id != before })
		s.eventually("the child is gone, and no zombie is left", func() bool {
			return !slices.ContainsFunc(s.descendants(), func(p process) bool { return p.pid == snapshot.pid || p.state == "Z" })
		})
	})
}

// serving is the process that has the port, by its title; INFO tells its id in a namespace of its own.
func (s *server) serving() process {
	s.t.Helper()
	for _, p := range s.descendants() {
		if title, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid)); bytes.Contains(title, []byte(":"+s.port)) {
			return p
		}
	}
	s.t.Fatal("no process has the port in its title")
	return process{}
}

type process struct {
	pid, parent int
	state       string
}

// descendants are the processes of the container, and what it runs under; who came later follows who came before.
func (s *server) descendants() []process {
	s.t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		s.t.Fatal(err)
	}
	children := map[int][]process{}
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		parent, _ := strconv.Atoi(string(fields[1]))
		children[parent] = append(children[parent], process{pid, parent, string(fields[0])})
	}
	all := []process{{pid: s.process.Process.Pid}}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i].pid]...)
	}
	return all
}

// A kubelet replaces $(NAME), and two dollars by one, in a container's command.
func TestTheStartCommandHasNothingThatAKubeletExpands(t *testing.T) {
	for _, word := range resources.StatefulSet(minimal(), 3).Spec.Template.Spec.Containers[0].Command {
		if strings.Contains(word, "$$") || strings.Contains(strings.ReplaceAll(word, "$((", ""), "$(") {
			t.Error(word)
		}
	}
}
