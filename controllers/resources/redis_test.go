// SPDX-License-Identifier: Apache-2.0

package resources_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/accounts"
	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/controllers/passwords"
	"github.com/redisha/redisha/controllers/resources"
)

const password = `pass"word\ with everything $HOME`

// server is a real redis-server running the redis.conf of a RedisHA by the command of its container, with the paths and
// the port of a pod replaced by the test's.
type server struct {
	t       *testing.T
	dir     string
	port    string
	sockets string    // a folder with a short path: that of a socket has 107 bytes at most
	process *exec.Cmd // a group of its own
	output  *output
}

// launch is how a server is started, beside what its RedisHA says.
type launch struct {
	shell []string // in the place of sh
	env   []string
	under []string // what the command runs under
	dir   string   // the volume; a new one if empty

	encryption encryption.State
	former     []string // passwords beside password
	users      []accounts.User
	restricted bool // the default user is; else it may do everything, for the sake of the test
	before     bool // as it was when there were no users but the default one
}

func (l launch) accounts() accounts.State {
	state := accounts.State{Default: passwords.State{Current: password, Former: l.former}}
	if !l.before {
		state.System, state.Restricted = passwords.State{Current: "made by the operator"}, true
	}
	state.Users = l.users
	if !l.restricted {
		state.Rules = []string{"+@all"}
	}
	return state
}

func startRedis(t *testing.T, rha *v1alpha1.RedisHA) *server {
	t.Helper()
	s := start(t, rha, launch{})
	s.eventually("redis-server answers", func() bool { return strings.Contains(s.cli("ping"), "PONG") })
	return s
}

func start(t *testing.T, rha *v1alpha1.RedisHA, how launch) *server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatal("redis-server is not installed: run make deps, or install Redis 7.0 or later")
	}
	s := &server{t: t, dir: how.dir, port: freePort(t), output: &output{}}
	if s.dir == "" {
		s.dir = t.TempDir()
	}
	mounted := resources.MountSecret(rha, how.accounts(), how.encryption, encryption.State{}).Data
	for _, name := range []string{resources.PasswordKey, accounts.PodPasswordKey, resources.AuthConf} {
		if content := mounted[name]; len(content) > 0 {
			s.write(name, string(content))
		}
	}
	data := resources.ConfigMap(rha).Data
	s.write("health.sh", data["health.sh"])
	s.write("prestop.sh", data["prestop.sh"])
	s.write("redis.conf", strings.NewReplacer(
		"port 6379", "port "+s.port, "dir /data", "dir "+s.dir, "/etc/redisha-auth", s.dir, "/tmp/redisha.sock", s.socket(),
	).Replace(data["redis.conf"]))
	command := slices.Clone(resources.StatefulSet(rha, 3).Spec.Template.Spec.Containers[0].Command)
	last := len(command) - 1
	command[last] = strings.ReplaceAll(command[last], "/etc/redisha", s.dir)
	if how.shell != nil {
		command = slices.Concat(how.shell, command[1:])
	}
	command = slices.Concat(how.under, command)
	s.process = exec.Command(command[0], command[1:]...)
	s.process.Env = append(append(os.Environ(), "REDISHA_KEPT="+filepath.Join(s.dir, "kept.conf")), how.env...)
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.process.Stdout, s.process.Stderr = s.output, s.output
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		_ = s.process.Wait()
		if t.Failed() {
			t.Log(s.output.String())
		}
	})
	return s
}

// output is what a server printed so far.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (s *server) socket() string {
	s.t.Helper()
	if s.sockets == "" {
		dir, err := os.MkdirTemp("", "redis")
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { _ = os.RemoveAll(dir) })
		s.sockets = dir
	}
	return filepath.Join(s.sockets, "s")
}

// kill ends the server and what supervises it.
func (s *server) kill() { _ = syscall.Kill(-s.process.Process.Pid, syscall.SIGKILL) }

// redis is the process id of redis-server.
func (s *server) redis() int {
	s.t.Helper()
	_, rest, _ := strings.Cut(s.cli("info", "server"), "process_id:")
	number, _, _ := strings.Cut(rest, "\r")
	pid, err := strconv.Atoi(number)
	if err != nil {
		s.t.Fatalf("no process_id: %v", err)
	}
	return pid
}

// freePort is below those that the kernel gives to connections: one of them may take a port before the server has it.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(10000 + rand.IntN(20000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

func (s *server) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) command(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "REDISHA_PORT="+s.port, "REDISHA_AUTH_DIR="+s.dir, "REDISHA_SOCKET="+s.socket(),
		"REDISHA_READY_LOOKS=1", "REDISHA_HOLD_SECONDS=4", "REDISHA_ALONE_SECONDS=1", "REDISCLI_AUTH="+password)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (s *server) cli(args ...string) string {
	out, _ := s.command("redis-cli", append([]string{"-p", s.port}, args...)...)
	return out
}

func (s *server) script(name string, args ...string) (string, error) {
	return s.command("sh", append([]string{filepath.Join(s.dir, name)}, args...)...)
}

func (s *server) eventually(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// Redis says BUSY before a script is taken for a hung process, whatever down-after is.
func TestAScriptIsAnsweredForBeforeItsRedisIsTakenForHung(t *testing.T) {
	for down, want := range map[int32]string{0: "2000", 1000: "666", 3000: "2000", 60000: "5000"} {
		rha := &v1alpha1.RedisHA{}
		rha.Spec.Failover.DownAfterMilliseconds = down
		if conf := resources.RedisConf(rha); !strings.Contains(conf, "\nlua-time-limit "+want+"\n") {
			t.Errorf("down-after %d ms: want lua-time-limit %s in\n%s", down, want, conf)
		}
	}
	for _, name := range []string{"lua-time-limit", "busy-reply-threshold"} {
		rha := &v1alpha1.RedisHA{}
		rha.Spec.Config = map[string]v1alpha1.ConfigValue{name: "1234"}
		if conf := resources.RedisConf(
			rha,
		); !strings.Contains(conf, "\n"+name+" 1234\n") ||
			strings.Count(conf, "lua-time-limit")+strings.Count(conf, "busy-reply-threshold") != 1 {
			t.Errorf("%s is not what the spec says:\n%s", name, conf)
		}
	}
}

func TestRedisBootsFencedWithThePasswordOfTheSecret(t *testing.T) {
	for name, rha := range map[string]*v1alpha1.RedisHA{"without storage": minimal(), "with storage": runnable()} {
		t.Run(name, func(t *testing.T) {
			s := startRedis(t, rha)
			if out := s.cli("set", "k", "v"); !strings.Contains(out, "READONLY") {
				t.Errorf("a freshly started Redis accepted a write: %q", out)
			}
			if out := s.cli("info", "replication"); !strings.Contains(out, "master_host:127.0.0.1\r\nmaster_port:1\r\n") {
				t.Errorf("not fenced: %s", out)
			}
			if out := s.cli("-a", "wrong", "--no-auth-warning", "ping"); !strings.Contains(out, "WRONGPASS") {
				t.Errorf("a wrong password got %q", out)
			}
			wantSave := ""
			if rha.Spec.Storage != nil {
				wantSave = "900 1 60 1000"
			}
			if out := s.cli("config", "get", "save"); strings.TrimSpace(out) != strings.TrimSpace("save\n"+wantSave) {
				t.Errorf("save is %q, want %q", out, wantSave)
			}
		})
	}
}

func TestWritesAreRefusedAfterAFailedSnapshotWhereSnapshotsAreWanted(t *testing.T) {
	stored := func(config map[string]v1alpha1.ConfigValue) *v1alpha1.RedisHA {
		rha := runnable()
		rha.Spec.Config = config
		return rha
	}
	for name, test := range map[string]struct {
		rha  *v1alpha1.RedisHA
		want bool
	}{
		"without storage":          {minimal(), false},
		"with storage":             {stored(nil), true},
		"without snapshots":        {stored(map[string]v1alpha1.ConfigValue{"save": `""`}), false},
		"and Redis is told not to": {stored(map[string]v1alpha1.ConfigValue{"stop-writes-on-bgsave-error": "no"}), false},
	} {
		if got := resources.RefusesWritesUnsaved(test.rha); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestACrashLeavesNoCoreOnTheVolume(t *testing.T) {
	s := startRedis(t, runnable())
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", s.redis()))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
		t.Errorf("it may dump its memory:\n%s", limits)
	}
}

func TestHealthIsAliveWhenFencedAndReadyOnlyAsMasterOrAttached(t *testing.T) {
	master, replica := startRedis(t, minimal()), startRedis(t, minimal())
	expect := func(s *server, kind string, ok bool) {
		t.Helper()
		if out, err := s.script("health.sh", kind); (err == nil) != ok {
			t.Errorf("health.sh %s: ok=%v, want %v: %s", kind, err == nil, ok, out)
		}
	}
	expect(master, "live", true)
	expect(master, "ready", false)
	master.cli("replicaof", "no", "one")
	expect(master, "ready", true)
	replica.cli("replicaof", "127.0.0.1", master.port)
	replica.eventually("the replica is ready", func() bool {
		_, err := replica.script("health.sh", "ready")
		return err == nil
	})
	replica.write("pod-password", "wrong")
	replica.write("password", "wrong")
	expect(replica, "live", true)
	expect(replica, "ready", false)
	master.kill()
	master.eventually("the port refuses", func() bool { return strings.Contains(master.cli("ping"), "refused") })
	expect(master, "live", false)
}

// alive asks health.sh whether the redis-server of that id lives, with a client that takes forever, as on a machine
// that has too much to do.
func (s *server) alive(redis int) bool {
	s.t.Helper()
	bin, proc := s.t.TempDir(), s.t.TempDir()
	client := filepath.Join(bin, "redis-cli")
	if err := os.WriteFile(client, []byte("#!/bin/sh\nexec sleep 60\n"), 0o700); err != nil {
		s.t.Fatal(err)
	}
	pid := strconv.Itoa(redis)
	if err := os.Symlink("/proc/"+pid, filepath.Join(proc, pid)); err != nil { // other tests' processes are here too
		s.t.Fatal(err)
	}
	_, err := s.command(
		"env", "PATH="+bin+":"+os.Getenv("PATH"), "REDISHA_PROC="+proc, "REDISHA_ANSWER_SECONDS=1", "sh",
		filepath.Join(s.dir, "health.sh"), "live",
	)
	return err == nil
}

func TestARedisThatIsLateIsNotKilledAndOneThatIsHungIs(t *testing.T) {
	s := startRedis(t, minimal())
	redis := s.redis()
	if !s.alive(redis) {
		t.Error("a Redis that is given the processor is taken for hung")
	}
	s.signal(redis, syscall.SIGSTOP)
	s.eventually("a process that is stopped is told from one that is late", func() bool { return !s.alive(redis) })
	s.signal(redis, syscall.SIGCONT)
	s.eventually("it goes on", func() bool { return s.alive(redis) })
}

func TestAPodThatIsAboutToBeReadyIsSeenToBeByTheSameProbe(t *testing.T) {
	s := startRedis(t, minimal())
	time.AfterFunc(time.Second, func() { s.cli("replicaof", "no", "one") })
	if out, err := s.command(
		"env", "REDISHA_READY_LOOKS=4", "sh", filepath.Join(s.dir, "health.sh"), "ready",
	); err != nil {
		t.Error(out)
	}
}

func TestPreStopHoldsAMasterWithReplicasUntilAMomentAfterItIsDemoted(t *testing.T) {
	master, replica := startRedis(t, minimal()), startRedis(t, minimal())
	master.cli("replicaof", "no", "one")
	replica.cli("replicaof", "127.0.0.1", master.port)
	replica.eventually("the replica is attached", func() bool {
		return strings.Contains(replica.cli("info", "replication"), "master_link_status:up")
	})
	returned := make(chan error, 1)
	go func() {
		_, err := master.script("prestop.sh")
		returned <- err
	}()
	select {
	case err := <-returned:
		t.Fatalf("preStop returned while the process was master: %v", err)
	case <-time.After(1500 * time.Millisecond):
	}
	demoted := time.Now() // at the earliest
	master.cli("replicaof", "127.0.0.1", "1")
	if err := <-returned; err != nil {
		t.Errorf("preStop failed after the demotion: %v", err)
	}
	if lingered := time.Since(demoted); lingered < time.Second {
		t.Errorf("preStop returned %s after the demotion, and not everybody knows of it by then", lingered)
	}
}

// It may be a former master that was switched over before its hook began.
func TestPreStopHoldsAReplicaForAMoment(t *testing.T) {
	s := startRedis(t, minimal())
	began := time.Now()
	if out, err := s.script("prestop.sh"); err != nil {
		t.Errorf("preStop of a replica failed: %v %s", err, out)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("preStop of a replica returned after %s, want a second", took)
	}
}

// B11: on a busy node a call may fail once. Were that taken for the end, the master would go before it is replaced.
func TestPreStopOutlastsAnAnswerThatIsLate(t *testing.T) {
	master := startRedis(t, minimal())
	master.cli("replicaof", "no", "one")
	redis := master.redis()
	master.signal(redis, syscall.SIGSTOP)
	began := time.Now()
	wake := time.AfterFunc(1500*time.Millisecond, func() { master.signal(redis, syscall.SIGCONT) })
	defer wake.Stop()
	if out, err := master.command(
		"env", "REDISHA_ALONE_SECONDS=5", "sh", filepath.Join(master.dir, "prestop.sh"),
	); err != nil {
		t.Errorf("preStop failed: %v %s", err, out)
	}
	if took := time.Since(began); took < 2500*time.Millisecond {
		t.Errorf("preStop returned after %s, and the process answers again", took)
	}
}

func TestPreStopIsBoundedForAMasterThatNoReplicaReplaces(t *testing.T) {
	s := startRedis(t, minimal())
	s.cli("replicaof", "no", "one")
	if out, err := s.script("prestop.sh"); err != nil {
		t.Errorf("preStop of a lonely master: %v %s", err, out)
	}
	s.kill()
	t.Setenv("REDISHA_HOLD_SECONDS", "600")
	t.Setenv("REDISHA_LINGER_SECONDS", "600")
	began := time.Now()
	if out, err := s.script("prestop.sh"); err != nil || time.Since(began) > time.Minute {
		t.Errorf("preStop of a dead process: %v %s after %s", err, out, time.Since(began))
	}
}
