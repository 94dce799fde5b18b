// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/redisclient/redistest"
)

// answerAs is the argument by which this program becomes one that answers as the pods of hostile tenants.
const answerAs = "answer-as"

// Programs that hostile pods run.
const (
	deafProgram    = "deaf"
	garbageProgram = "garbage"
)

var hostilePrograms = map[string]func(command []string) string{deafProgram: deafTo, garbageProgram: garbageTo}

// startHostile starts a program of hostile pods, and returns where it listens. It is a process of its own that comes
// last on the processors: pods of other tenants run on machines of their own, and what they take there is not what a
// victim waits for.
func startHostile(ctx context.Context, t *testing.T, program string) netip.Addr {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	host, err := bed.Sandbox.NewHost(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	process := host.Command(context.WithoutCancel(ctx), "nice", "-n", "19", self, answerAs, program)
	process.Stderr = os.Stderr
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	t.Cleanup(func() {
		select {
		case err := <-ended:
			t.Errorf("the program of hostile pods ended before the test: %v", err)
		default:
			_ = process.Process.Kill()
			<-ended
		}
	})
	at := netip.AddrPortFrom(host.Addr(), uint16(resources.RedisPort)).String()
	err = sandbox.WaitFor(ctx, "the program of hostile pods", func(ctx context.Context) (bool, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return host.Addr()
}

// becomeHostile answers as hostile pods for ever, if the program was started for it.
func becomeHostile() {
	if len(os.Args) != 3 || os.Args[1] != answerAs {
		return
	}
	// A session of its own is scheduled as one where the kernel groups by session; nice counts within it only.
	_ = os.WriteFile("/proc/self/autogroup", []byte("19"), 0)
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", resources.RedisPort))
	if err != nil {
		fmt.Fprintln(os.Stderr, "scenarios: hostile pods:", err)
		os.Exit(1)
	}
	serve(listener, hostilePrograms[os.Args[2]])
	os.Exit(0)
}

// serve answers each command on each connection, until the listener is closed. An empty answer ends the connection.
func serve(listener net.Listener, answer func(command []string) string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			in := bufio.NewReader(conn)
			for {
				command, err := redistest.ReadCommand(in)
				if err != nil {
					return
				}
				reply := answer(command)
				if reply == "" {
					return
				}
				if _, err := io.WriteString(conn, reply); err != nil {
					return
				}
			}
		}()
	}
}

func bulk(text string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text) }

// replicaInfo is INFO of a fenced replica.
func replicaInfo(runID string) string {
	return bulk(strings.Join([]string{
		"# Server",
		"redis_version:7.0.15",
		"run_id:" + runID,
		"uptime_in_seconds:100",
		"# Persistence",
		"loading:0",
		"rdb_last_bgsave_status:ok",
		"aof_enabled:0",
		"aof_last_write_status:ok",
		"# Replication",
		"role:slave",
		"master_host:127.0.0.1",
		"master_port:1",
		"master_link_status:down",
		"master_last_io_seconds_ago:-1",
		"master_sync_in_progress:0",
		"slave_read_repl_offset:0",
		"slave_repl_offset:0",
		"master_link_down_since_seconds:-1",
		"slave_priority:100",
		"slave_read_only:1",
		"connected_slaves:0",
		"master_replid:" + strings.Repeat(
			"a", 40,
		),
		"master_replid2:" + strings.Repeat("0", 40),
		"master_repl_offset:0",
		"second_repl_offset:-1",
		"",
	}, "\r\n"))
}

// deafTo says yes to everything, and stays as it is.
func deafTo(command []string) string {
	switch strings.ToUpper(command[0]) {
	case "INFO":
		return replicaInfo(strings.Repeat("d", 40))
	case "CONFIG":
		return "*0\r\n"
	case "HELLO":
		return "-ERR unknown command\r\n"
	case "PING":
		return "+PONG\r\n"
	}
	return "+OK\r\n"
}

var (
	garbageTurn atomic.Int64
	longGarbage = bulk(strings.Repeat("x:y\r\n", 100_000))
)

// garbageTo answers INFO with something else each time.
func garbageTo(command []string) string {
	if strings.ToUpper(command[0]) != "INFO" {
		return deafTo(command)
	}
	switch garbageTurn.Add(1) % 8 {
	case 0:
		return "$9223372036854775800\r\n"
	case 1:
		return longGarbage
	case 2:
		return "*70368744177664\r\n"
	case 3:
		return ""
	case 4:
		return "\x00\xff\xfe garbage\r\n"
	}
	random := make([]byte, 20)
	_, _ = rand.Read(random)
	return replicaInfo(hex.EncodeToString(random)) // another process, it says
}
