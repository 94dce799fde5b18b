// SPDX-License-Identifier: Apache-2.0

package redisclient_test

import (
	"runtime"
	"testing"

	"github.com/redisha/redisha/redisclient"
	"github.com/redisha/redisha/redisclient/redistest"
)

func TestReconnectingLeavesNothingBehind(t *testing.T) {
	node := startFake(t, redistest.Config{})
	admin, c := client(t, node), client(t, node)
	reconnect := func(times int) {
		for range times {
			answers(t, c)
			if _, err := admin.KillClients(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	reconnect(3)
	before := runtime.NumGoroutine()
	reconnect(50)
	eventually(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before+5 })
	c.Close()
	admin.Close()
	c.Close() // a second time does nothing
}

// BenchmarkInfo is what a probe costs, on a real server.
func BenchmarkInfo(b *testing.B) {
	node := startReal(b, redistest.Config{})
	c := redisclient.New(redisclient.Options{Addr: node.Addr()})
	defer c.Close()
	for b.Loop() {
		if _, err := c.Info(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
