// SPDX-License-Identifier: Apache-2.0

// Command clients shows what applications notice when a Redis master is lost: one for each client library, with the
// settings that the library has by itself, all writing through the master's Service in a sandbox. It exits with 1 if
// one of them was left behind, if something acknowledged was lost by a planned change, or if a bound on the times was
// missed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/spf13/pflag"

	"github.com/redisha/redisha/e2e/clients"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

type flags struct {
	rounds    int
	writers   int
	faults    []string
	libraries string
	lag       time.Duration
	tls       bool
	backOff   time.Duration
	bounds    []string
	timeout   time.Duration
	json      string
	markdown  string
	logDir    string
	operator  []string
}

func parse() flags {
	var f flags
	set := pflag.NewFlagSet("clients", pflag.ExitOnError)
	set.IntVar(&f.rounds, "rounds", 1, "how many times each fault happens")
	set.IntVar(&f.writers, "writers", runtime.NumCPU(),
		"how many connections write at the same time; applications beyond that do after the others, one group after another")
	set.StringSliceVar(&f.faults, "faults", nil,
		"which faults, of kill, delete, hang, switchover, rolling, frozen, operator, twice; all when empty")
	set.StringVar(&f.libraries, "libs", "default", "which applications, by name; default, tuned and all stand for several")
	set.DurationVar(&f.lag, "lag", 0,
		"how long at most a Service leads where it led before, as with the kube-proxy of a cluster that is in use")
	set.BoolVar(&f.tls, "tls", false, "encrypt all connections; hiredis is left out, whose package cannot")
	set.DurationVar(&f.backOff, "restart-back-off", 100*time.Millisecond,
		"how long a container that has ended before waits to be started again")
	set.StringArrayVar(&f.bounds, "bound", []string{"kill=3s/15s", "delete=3s/15s", "switchover=5s/15s"},
		"how long an application may be without an answer, FAULT=MEDIAN/WORST; a bound of 0s is none")
	set.DurationVar(&f.timeout, "timeout", 3*time.Hour, "end after this long and report what there is")
	set.StringVar(&f.json, "json", "dist/clients.json", "file for the report as JSON, none when empty")
	set.StringVar(
		&f.markdown, "markdown", "", "file for the report as Markdown, or PAGE#NAME for a place on a page, none when empty",
	)
	set.StringVar(&f.logDir, "log-dir", "", "folder for the logs, which are thrown away otherwise if all went well")
	set.StringArrayVar(&f.operator, "operator-arg", nil, "an argument for the operators, as --zap-log-level=debug")
	_ = set.Parse(os.Args[1:]) // ends the program by itself
	return f
}

func main() {
	var f flags
	var libraries []clients.Library
	if !sandbox.IsHelper() {
		f = parse() // so that --help and mistakes need no sandbox
		var err error
		libraries, err = clients.Select(f.libraries)
		_, unknown := choose(f.faults)
		_, unclear := clients.ParseBounds(f.bounds)
		if err = errors.Join(err, unknown, unclear); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	sandbox.Enter(testbed.Prepare, clients.Prepare(libraries))
	os.Exit(run(f, libraries))
}

func run(f flags, libraries []clients.Library) int {
	s := &suite{flags: f, libraries: libraries, progress: os.Stderr, played: map[string]int{}}
	return testbed.Command("clients", f.logDir, f.timeout, func(ctx context.Context, logs string) error {
		s.logs = logs
		return s.measure(ctx)
	}, func() (bool, error) { return s.conclude(os.Stdout) })
}
