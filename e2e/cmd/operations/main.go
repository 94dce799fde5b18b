// SPDX-License-Identifier: Apache-2.0

// Command operations plays planned operations of a RedisHA in a sandbox, while applications write numbered values
// through the master's Service, and prints for how long no write of an application was acknowledged. It exits with 1 if
// an acknowledged write was lost, if a bound on the times was missed, or if the RedisHA did not settle.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

type flags struct {
	rounds     int
	writers    int
	operations []string
	tls        []string
	timeout    time.Duration
	json       string
	markdown   string
	logDir     string
	operator   []string
}

func parse() flags {
	var f flags
	set := pflag.NewFlagSet("operations", pflag.ExitOnError)
	set.IntVar(&f.rounds, "rounds", 10, "how many rounds of each operation are played")
	set.IntVar(&f.writers, "writers", 4, "how many applications write at the same time, each by a client of its own")
	set.StringSliceVar(&f.operations, "operations", nil, "which operations, by name; all when empty")
	set.StringSliceVar(&f.tls, "tls", []string{off, on}, "without encryption, with it, or both: off, on")
	set.DurationVar(&f.timeout, "timeout", 8*time.Hour, "end after this long and report what there is")
	set.StringVar(&f.json, "json", "dist/operations.json", "file for the report as JSON, none when empty")
	set.StringVar(&f.markdown, "markdown", "dist/operations.md", "file for the table as Markdown, none when empty")
	set.StringVar(&f.logDir, "log-dir", "", "folder for the logs, which are thrown away otherwise if all went well")
	set.StringArrayVar(&f.operator, "operator-arg", nil, "an argument for the operators, as --zap-log-level=debug")
	_ = set.Parse(os.Args[1:]) // ends the program by itself
	return f
}

func main() {
	var f flags
	if !sandbox.IsHelper() {
		f = parse() // so that --help and mistakes need no sandbox
		_, unknown := choose(f.operations, f.tls)
		if f.rounds < 1 || f.writers < 1 {
			unknown = errors.Join(unknown, errors.New("there is at least one round, and one writer"))
		}
		if unknown != nil {
			fmt.Fprintln(os.Stderr, unknown)
			os.Exit(2)
		}
	}
	sandbox.Enter(testbed.Prepare, func(ctx context.Context) error {
		_, err := sandbox.Kubectl(ctx, os.Stderr) // for the drain
		return err
	})
	os.Exit(run(f))
}

func run(f flags) int {
	s := &suite{flags: f, progress: os.Stderr}
	return testbed.Command("operations", f.logDir, f.timeout, func(ctx context.Context, logs string) error {
		s.logs = logs
		return s.measure(ctx)
	}, func() (bool, error) { return s.conclude(os.Stdout) })
}

// tell writes a line about what goes on.
func (s *suite) tell(format string, args ...any) { say(s.progress, format, args...) }

func say(to io.Writer, format string, args ...any) { fmt.Fprintf(to, format+"\n", args...) }
