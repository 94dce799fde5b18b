// SPDX-License-Identifier: Apache-2.0

// Command bench measures for how long no write is acknowledged when the process of a Redis master is killed: with
// RedisHA, and in the same run on the same machine, with the same client, with three real Redis Sentinels. The result
// is Markdown on standard output; progress goes to standard error. It exits with 1 if a target is missed.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9/logging"
	"github.com/spf13/pflag"

	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

type flags struct {
	kills, sentinelKills, slowKills int
	services                        bool
	timeout                         time.Duration
	managerArgs                     []string
	logDir                          string
}

func parse() flags {
	var f flags
	set := pflag.NewFlagSet("bench", pflag.ExitOnError)
	set.IntVarP(&f.kills, "kills", "n", 30, "how many times the master of a RedisHA is killed, for each kind of client")
	set.IntVar(
		&f.sentinelKills, "sentinel-n", 30, "how many times the master of Sentinels with down-after 1000 ms is killed",
	)
	set.IntVar(
		&f.slowKills, "sentinel-slow-n", 10, "how many times the master of Sentinels with down-after 5000 ms is killed",
	)
	set.BoolVar(&f.services, "service", true, "measure RedisHA through the master's Service too")
	set.DurationVar(&f.timeout, "timeout", 30*time.Minute, "end after this long and report what there is")
	set.StringArrayVar(
		&f.managerArgs, "manager-arg", nil, "one more argument for the operator, e.g. --zap-log-level=debug",
	)
	set.StringVar(&f.logDir, "log-dir", "", "folder for the logs, which are thrown away otherwise")
	_ = set.Parse(os.Args[1:]) // ends the program by itself
	return f
}

func main() {
	if !sandbox.IsHelper() {
		parse() // so that --help and mistakes need no sandbox
	}
	sandbox.Enter(testbed.Prepare)
	os.Exit(run(parse()))
}

func run(f flags) int {
	logging.Disable() // of go-redis, which complains of every dial that fails
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	logs, err := f.logs()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	b := &bench{flags: f, logs: logs, progress: os.Stderr}
	err = b.measureAll(ctx)
	met := b.report(os.Stdout)
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(os.Stderr, "%s\nLogs: %s\n", err, logs)
		return 1
	}
	if f.logDir == "" {
		_ = os.RemoveAll(logs)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ended early:", context.Cause(ctx))
	}
	if !met || err != nil {
		return 1
	}
	return 0
}

func (f flags) logs() (string, error) {
	if f.logDir != "" {
		return filepath.Abs(f.logDir)
	}
	return os.MkdirTemp("", "redisha-bench-")
}

// bench is one run.
type bench struct {
	flags
	logs     string
	progress io.Writer
	sandbox  *sandbox.Sandbox
	clients  *sandbox.Host
	rows     []*row
}

func (b *bench) measureAll(ctx context.Context) error {
	var err error
	b.sandbox, err = sandbox.Start(ctx, sandbox.Options{
		LogDir: filepath.Join(b.logs, "sandbox"), Progress: b.progress,
		// A process that is killed again and again ends its container, and a kubelet would wait longer and longer before it
		// restarts that. That is no part of the gap, only of the time to the next kill.
		RestartBackOff: 100 * time.Millisecond, RestartBackOffMax: 100 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	defer b.sandbox.Stop()
	if b.clients, err = b.sandbox.NewHost("clients"); err != nil {
		return err
	}
	if b.kills > 0 {
		if err := b.measureRedisHA(ctx); err != nil {
			return fmt.Errorf("RedisHA: %w", err)
		}
	}
	for _, s := range []struct {
		downAfter time.Duration
		kills     int
	}{{time.Second, b.sentinelKills}, {5 * time.Second, b.slowKills}} {
		if err := b.measureSentinel(ctx, s.downAfter, s.kills); err != nil {
			return fmt.Errorf("Sentinel, down-after %s: %w", s.downAfter, err)
		}
	}
	return nil
}
