// SPDX-License-Identifier: Apache-2.0

package resources_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
)

type config = map[string]v1alpha1.ConfigValue

// Settings of persistence that a person may choose.
var (
	rdbOnly = config{"appendonly": "no", "save": "60 1"}
	aofOnly = config{"appendonly": "yes", "save": `""`}
	both    = config{} // the defaults of a set with storage
	neither = config{"appendonly": "no", "save": `""`}
)

func with(settings config, name, value string) config {
	all := config{name: v1alpha1.ConfigValue(value)}
	for k, v := range settings {
		all[k] = v
	}
	return all
}

// onVolume starts a Redis with these settings on a volume; it is killed at the end of the test.
func onVolume(t *testing.T, volume string, settings config, how launch) *server {
	t.Helper()
	rha := runnable()
	rha.Spec.Config = with(settings, "appendfsync", "always") // what is acknowledged is on the disk
	how.dir = volume
	how.env = append(how.env, "REDISHA_TERMINATION_LOG="+filepath.Join(volume, "termination.txt"))
	if err := os.WriteFile(filepath.Join(volume, "termination.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(volume, "kept.conf")) // of the pod before
	return start(t, rha, how)
}

func (s *server) serves() *server {
	s.t.Helper()
	s.eventually(
		"redis-server has loaded",
		func() bool { return strings.Contains(s.cli("info", "persistence"), "loading:0") },
	)
	return s
}

// wrote makes it a master and writes; each write is on disk when it returns, where writes are persisted at all.
func (s *server) wrote(keys ...string) *server {
	s.t.Helper()
	s.serves()
	s.cli("replicaof", "no", "one")
	for _, key := range keys {
		if out := s.cli("set", key, "of "+key); !strings.Contains(out, "OK") {
			s.t.Fatalf("not written: %s", out)
		}
	}
	return s
}

// ended stops the container as a kubelet does, or by SIGKILL, after which the kernel still has all that was written.
func (s *server) ended(signal syscall.Signal) {
	s.t.Helper()
	if signal == syscall.SIGKILL {
		s.kill()
	} else {
		s.signal(s.process.Process.Pid, signal)
	}
	s.exitCode()
}

func (s *server) holds(keys ...string) {
	s.t.Helper()
	s.serves()
	for _, key := range keys {
		if out := strings.TrimSpace(s.cli("get", key)); out != "of "+key {
			s.t.Errorf("%s is %q", key, out)
		}
	}
	if out := strings.TrimSpace(s.cli("dbsize")); out != fmt.Sprint(len(keys)) {
		s.t.Errorf("%s keys, want %d", out, len(keys))
	}
}

func (s *server) setting(name string) string {
	lines := strings.Fields(s.cli("config", "get", name))
	if len(lines) < 2 {
		return ""
	}
	return strings.Join(lines[1:], " ")
}

// settles waits until what redis.conf says is so.
func (s *server) settles(settings config) {
	s.t.Helper()
	want := "yes"
	if v, ok := settings["appendonly"]; ok {
		want = strings.ToLower(string(v))
	}
	s.eventually("appendonly is "+want, func() bool { return s.setting("appendonly") == want })
}

func TestNoStartIgnoresWhatLiesOnTheVolume(t *testing.T) {
	kill, stop := syscall.SIGKILL, syscall.SIGTERM
	for name, tc := range map[string]struct {
		before, after config
		how           syscall.Signal
	}{
		"a snapshot, and appendonly is yes by now":                    {rdbOnly, both, stop},
		"a snapshot, and AOF in its place":                            {rdbOnly, aofOnly, stop},
		"an append-only file without a preamble wanted":               {rdbOnly, with(aofOnly, "aof-use-rdb-preamble", "no"), stop},
		"both, and appendonly is no by now":                           {both, rdbOnly, stop},
		"both, killed, and appendonly is no by now":                   {both, rdbOnly, kill},
		"AOF, and snapshots in its place":                             {aofOnly, rdbOnly, stop},
		"AOF, and nothing is to be persisted any more":                {aofOnly, neither, kill},
		"a snapshot by another name":                                  {rdbOnly, with(rdbOnly, "dbfilename", "shop.rdb"), stop},
		"a snapshot by another name, and appendonly is yes by now":    {with(rdbOnly, "dbfilename", "shop.rdb"), both, stop},
		"AOF in another folder":                                       {both, with(both, "appenddirname", "aof"), kill},
		"AOF by another name":                                         {both, with(both, "appendfilename", "shop.aof"), kill},
		"AOF by another name in another folder":                       {both, with(with(both, "appenddirname", "aof"), "appendfilename", "shop.aof"), kill},
		"AOF by another name, and appendonly is no by now":            {aofOnly, with(rdbOnly, "appendfilename", "shop.aof"), kill},
		"a snapshot whose name was quoted, by another name":           {with(rdbOnly, "dbfilename", `"shop.rdb"`), with(rdbOnly, "dbfilename", "'cart.rdb'"), stop},
		"AOF whose name is one that appendonly yes in capitals keeps": {both, with(both, "appendonly", "YES"), kill},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			volume := t.TempDir()
			onVolume(t, volume, tc.before, launch{}).wrote("a", "b").ended(tc.how)
			after := onVolume(t, volume, tc.after, launch{})
			after.holds("a", "b")
			after.settles(tc.after)
			if string(tc.after["save"]) == `""` && tc.after["appendonly"] == "no" {
				return // what is written is not to last
			}
			after.wrote("c").ended(stop)
			again := onVolume(t, volume, tc.after, launch{})
			again.holds("a", "b", "c")
			again.ended(stop)
			onVolume(t, volume, tc.before, launch{}).holds("a", "b", "c") // and back
		})
	}
}

func TestEveryShellSeesToTheVolume(t *testing.T) {
	inEveryShell(t, func(t *testing.T, shell []string) {
		volume := t.TempDir()
		onVolume(t, volume, rdbOnly, launch{shell: shell}).wrote("a").ended(syscall.SIGTERM)
		renamed := with(with(aofOnly, "appenddirname", "aof"), "appendfilename", "shop.aof")
		for _, settings := range []config{aofOnly, renamed, with(neither, "dbfilename", "shop.rdb"), rdbOnly} {
			s := onVolume(t, volume, settings, launch{shell: shell})
			s.holds("a")
			s.settles(settings)
			s.ended(syscall.SIGKILL)
		}
	})
}

// Redis leaves the files of an AOF that is turned off behind, and would load them when it is turned on again.
func TestAnAppendOnlyFileThatWasTurnedOffIsNotLoadedAgain(t *testing.T) {
	for name, how := range map[string]syscall.Signal{"stopped": syscall.SIGTERM, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			volume := t.TempDir()
			onVolume(t, volume, both, launch{}).wrote("a").ended(how)
			off := onVolume(t, volume, rdbOnly, launch{})
			off.serves().settles(rdbOnly)
			off.wrote("b").ended(syscall.SIGTERM)
			onVolume(t, volume, both, launch{}).holds("a", "b")
		})
	}
}

// It is what a Redis before 7.0 leaves behind, and what a person restores from one.
func TestASingleAppendOnlyFileIsLoaded(t *testing.T) {
	for name, after := range map[string]config{
		"as AOF": both, "and becomes a snapshot": rdbOnly, "by another name": with(both, "appendfilename", "shop.aof"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			volume := t.TempDir()
			command := "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$4\r\nof a\r\n"
			if err := os.WriteFile(filepath.Join(volume, "appendonly.aof"), []byte(command), 0o600); err != nil {
				t.Fatal(err)
			}
			s := onVolume(t, volume, after, launch{})
			s.holds("a")
			s.settles(after)
			s.ended(syscall.SIGKILL)
			onVolume(t, volume, after, launch{}).holds("a")
		})
	}
}

func TestACrashWhileAnAppendOnlyFileBecomesASnapshotLosesNothing(t *testing.T) {
	volume := t.TempDir()
	onVolume(t, volume, aofOnly, launch{}).wrote("a").ended(syscall.SIGKILL)
	for moment := range 8 {
		s := onVolume(t, volume, neither, launch{})
		s.holds("a")
		time.Sleep(time.Duration(moment) * 400 * time.Millisecond)
		s.kill()
		s.exitCode()
	}
	s := onVolume(t, volume, neither, launch{})
	s.holds("a")
	s.settles(neither)
	s.eventually("the append-only file is removed", func() bool {
		_, err := os.Stat(filepath.Join(volume, "appendonlydir"))
		return os.IsNotExist(err)
	})
}

// A snapshot that cannot be written keeps AOF on, and what is written meanwhile.
func TestAnAppendOnlyFileStaysOnUntilASnapshotHoldsItAll(t *testing.T) {
	volume := t.TempDir()
	onVolume(t, volume, aofOnly, launch{}).wrote("a").ended(syscall.SIGKILL)
	blocked := filepath.Join(volume, "dump.rdb") // a folder, which no snapshot replaces
	if err := os.Mkdir(blocked, 0o700); err != nil {
		t.Fatal(err)
	}
	s := onVolume(t, volume, neither, launch{})
	s.wrote("b")
	s.eventually("it says so", func() bool { return strings.Contains(s.output.String(), "no snapshot can be written") })
	if s.setting("appendonly") != "yes" {
		t.Error("nothing persists what is written")
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	s.settles(neither)
	s.ended(syscall.SIGKILL)
	onVolume(t, volume, neither, launch{}).holds("a", "b")
}

func TestAProcessThatIsKilledAmidTheChangeIsStartedAnewWithAllData(t *testing.T) {
	volume := t.TempDir()
	onVolume(t, volume, aofOnly, launch{}).wrote("a").ended(syscall.SIGKILL)
	s := onVolume(t, volume, neither, launch{env: bounds(0, 0)})
	s.holds("a")
	before := s.runID()
	s.signal(s.redis(), syscall.SIGKILL)
	s.eventually("another process answers", func() bool { id := s.runID(); return id != "" && id != before })
	s.holds("a")
	s.settles(neither)
}

// snapshot leaves one on the volume, with one key, and returns it.
func snapshot(t *testing.T, volume string) []byte {
	t.Helper()
	onVolume(t, volume, rdbOnly, launch{}).wrote("a").ended(syscall.SIGTERM)
	data, err := os.ReadFile(filepath.Join(volume, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func put(t *testing.T, volume, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(volume, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhatCannotBeLoadedIsRefusedWithTheRemedy(t *testing.T) {
	for name, tc := range map[string]struct {
		lies     func(t *testing.T, volume string)
		settings config
		says     string
	}{
		"two snapshots by other names": {func(t *testing.T, volume string) {
			put(t, volume, "other.rdb", snapshot(t, volume))
		}, with(rdbOnly, "dbfilename", "shop.rdb"), "both hold data"},
		"a snapshot by a name that nothing tells anything about": {func(t *testing.T, volume string) {
			put(t, volume, "backup", snapshot(t, volume))
			_ = os.Remove(filepath.Join(volume, "dump.rdb"))
		}, both, "spec.config.dbfilename"},
		"an append-only file without its manifest": {func(t *testing.T, volume string) {
			onVolume(t, volume, both, launch{}).wrote("a").ended(syscall.SIGKILL)
			if err := os.Remove(filepath.Join(volume, "appendonlydir", "appendonly.aof.manifest")); err != nil {
				t.Fatal(err)
			}
		}, both, "no manifest"},
		"a Redis that is too old": {func(t *testing.T, _ string) {
			t.Setenv("PATH", older(t)+":"+os.Getenv("PATH"))
		}, both, "Redis 6.2.14 is older than 7.0"},
	} {
		t.Run(name, func(t *testing.T) {
			volume := t.TempDir()
			tc.lies(t, volume)
			s := onVolume(t, volume, tc.settings, launch{})
			if code := s.exitCode(); code != 78 {
				t.Errorf("exit code %d", code)
			}
			message, err := os.ReadFile(filepath.Join(volume, "termination.txt"))
			if err != nil || !strings.Contains(string(message), tc.says) || !strings.Contains(s.output.String(), tc.says) {
				t.Errorf("%v, the termination message is %q", err, message)
			}
		})
	}
}

// older is a folder with a redis-server that calls itself 6.2.
func older(t *testing.T) string {
	t.Helper()
	redis, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	script := fmt.Sprintf(
		"#!/bin/sh\n[ \"$1\" != --version ] || { echo 'Redis server v=6.2.14 sha=00000000:0'; exit; }\nexec %s \"$@\"\n",
		redis,
	)
	if err := os.WriteFile(filepath.Join(bin, "redis-server"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return bin
}

// A first start that ended before it had written its manifest must not be taken for data.
func TestAFirstStartThatWasInterruptedIsNotRefused(t *testing.T) {
	volume := t.TempDir()
	onVolume(t, volume, both, launch{}).serves().ended(syscall.SIGKILL)
	if err := os.Remove(filepath.Join(volume, "appendonlydir", "appendonly.aof.manifest")); err != nil {
		t.Fatal(err)
	}
	onVolume(t, volume, both, launch{}).holds()
}

// A container may be killed while the files of an AOF are removed that is off. Half of them would be taken for an AOF
// that is broken.
func TestAnAppendOnlyFileThatWasHalfRemovedIsNotMissed(t *testing.T) {
	t.Parallel()
	volume := t.TempDir()
	onVolume(t, volume, rdbOnly, launch{}).wrote("a").ended(syscall.SIGTERM)
	gone := filepath.Join(volume, ".redisha-gone")
	if err := os.Mkdir(gone, 0o700); err != nil {
		t.Fatal(err)
	}
	manifest := "file appendonly.aof.1.base.rdb seq 1 type b\n"
	if err := os.WriteFile(filepath.Join(gone, "appendonly.aof.manifest"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, settings := range []config{rdbOnly, both} {
		s := onVolume(t, volume, settings, launch{})
		s.holds("a")
		if _, err := os.Stat(gone); !os.IsNotExist(err) {
			t.Errorf("it is still there: %v", err)
		}
		s.ended(syscall.SIGTERM)
	}
}
