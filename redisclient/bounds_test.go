// SPDX-License-Identifier: Apache-2.0

package redisclient_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redisha/redisha/redisclient"
	"github.com/redisha/redisha/redisclient/redistest"
)

// hostile is a client of a peer that answers whatever it is sent with the same bytes, on each connection.
func hostile(answer []byte, timeout time.Duration) *redisclient.Client {
	return redisclient.New(redisclient.Options{
		Addr: "hostile:6379", Timeout: timeout,
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				request := make([]byte, 4<<10)
				for {
					if _, err := theirs.Read(request); err != nil {
						return
					}
					if _, err := theirs.Write(answer); err != nil {
						return
					}
				}
			}()
			return ours, nil
		},
	})
}

// ask asks everything that a client reads an answer of.
func ask(t *testing.T, c *redisclient.Client) (last error) {
	t.Helper()
	for _, call := range []func(context.Context) error{
		c.Ping,
		func(ctx context.Context) error { _, err := c.Info(ctx); return err },
		func(ctx context.Context) error { _, err := c.PauseAndInfo(ctx, time.Second); return err },
		func(ctx context.Context) error { _, err := c.CountOperatorConnections(ctx, "x"); return err },
		func(ctx context.Context) error { _, err := c.KillWriters(ctx); return err },
	} {
		last = call(t.Context())
	}
	return last
}

func info(field string) []byte {
	text := "role:master\r\n" + field + "\r\n"
	return fmt.Appendf(nil, "$%d\r\n%s\r\n", len(text), text)
}

func TestAnAnswerThatNoRedisGivesCostsNothingButItself(t *testing.T) {
	nested := strings.Repeat("*65536\r\n", 1000)
	for name, answer := range map[string][]byte{
		"a string longer than a slice can be":   []byte("$9223372036854775800\r\n"),
		"a string longer than there is memory":  []byte("$70368744177664\r\n"),
		"a length beyond any number":            []byte("$99999999999999999999999\r\n"),
		"a negative length":                     []byte("$-7\r\n"),
		"an array of a billion":                 []byte("*1000000000\r\n"),
		"arrays in arrays":                      []byte(nested),
		"arrays in arrays of one":               bytes.Repeat([]byte("*1\r\n"), 100_000),
		"a map of a billion":                    []byte("%1000000000\r\n"),
		"an attribute of a billion":             []byte("|1000000000\r\n"),
		"a push message of a billion":           []byte(">1000000000\r\n"),
		"a line without an end":                 bytes.Repeat([]byte("+x"), 1<<20),
		"more than was asked for":               bytes.Repeat([]byte("+OK\r\n"), 4<<20),
		"a string of 12 MiB":                    append([]byte("$12582912\r\n"), make([]byte, 12<<20)...),
		"an INFO with a run_id of two MiB":      info("run_id:" + strings.Repeat("a", 2<<20)),
		"an INFO with a run_id of two KiB":      info("run_id:" + strings.Repeat("a", 2<<10)),
		"an INFO with a run_id of two lines":    info("run_id:a\tb"),
		"an INFO with keys beyond any number":   info("db0:keys=9223372036854775807\r\ndb1:keys=9223372036854775807"),
		"an INFO with a negative offset":        info("master_repl_offset:-5"),
		"an INFO with replicas without end":     info(strings.Repeat("slave0:ip=1.2.3.4,port=1,state=online,offset=1,lag=0\r\n", 2000)),
		"nothing of RESP":                       []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"a line end and nothing else":           []byte("\r\n\r\n\r\n"),
		"a null where a string is due":          []byte("$-1\r\n"),
		"a number where a string is due":        []byte(":5\r\n"),
		"arrays where strings are due":          []byte("*2\r\n*0\r\n*-1\r\n"),
		"a verbatim string of another encoding": []byte("=3\r\nxxx\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			c := hostile(answer, 300*time.Millisecond)
			defer c.Close()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := c.Info(t.Context()); err == nil {
				t.Error("it is taken for an INFO")
			}
			_ = ask(t, c)
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
				t.Errorf("%d MiB were made room for", took>>20)
			}
		})
	}
}

// Four lists at a time may be long. Those who announce one and do not send it, or send nothing at all, hold no other
// up.
func TestWhoSendsNoListHoldsNoOthersUp(t *testing.T) {
	healthy := client(t, startFake(t, redistest.Config{}))
	must(t, healthy.Ping(t.Context()))
	done := make(chan struct{})
	defer func() { <-done }()
	go func() {
		defer close(done)
		var all sync.WaitGroup
		for i := range 12 {
			c := hostile([][]byte{nil, []byte("$4000000\r\n")}[i%2], time.Second)
			all.Go(func() {
				defer c.Close()
				_, _ = c.CountOperatorConnections(t.Context(), "x")
			})
		}
		all.Wait()
	}()
	time.Sleep(200 * time.Millisecond)
	began := time.Now()
	if _, err := healthy.CountOperatorConnections(
		t.Context(), "x",
	); err != nil ||
		time.Since(began) > 300*time.Millisecond {
		t.Errorf("answered after %s: %v", time.Since(began), err)
	}
}

// FuzzAnswers has a peer answer anything to everything. Nothing may panic, hang or make room for what does not come.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		"+OK\r\n", "-NOAUTH x\r\n", ":1\r\n", "$4\r\nabcd\r\n", "*2\r\n+a\r\n:1\r\n", "%1\r\n+a\r\n+b\r\n", "|1\r\n+a\r\n+b\r\n+c\r\n", ">2\r\n+moving\r\n+x\r\n",
		"$9223372036854775800\r\n", "*1000000000\r\n", "=7\r\ntxt:abc\r\n", "(123\r\n", "#t\r\n", ",inf\r\n", "_\r\n", "~1\r\n+a\r\n", "!3\r\nERR\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		c := hostile(answer, 20*time.Millisecond)
		defer c.Close()
		began := time.Now()
		_ = ask(t, c)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}
