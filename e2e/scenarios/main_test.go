// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

// envRun has to be set for the scenarios to run; `make scenarios` does.
const envRun = "SCENARIOS"

// What all scenarios share.
var (
	bed     *testbed.Testbed
	ops     *operators
	results table
	logs    string
)

func TestMain(m *testing.M) {
	becomeHostile()
	sandbox.Enter(onlyWhenAsked, testbed.Prepare, testbed.PrepareTomorrow)
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "scenarios:", err)
		code = 1
	}
	os.Exit(code)
}

// onlyWhenAsked ends the program, outside of the sandbox, unless it is to run.
func onlyWhenAsked(context.Context) error {
	if os.Getenv(envRun) == "" {
		fmt.Println("left out: make scenarios runs them")
		os.Exit(0)
	}
	return nil
}

func run(m *testing.M) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var err error
	if logs, err = os.MkdirTemp("", "redisha-scenarios-"); err != nil {
		return 1, err
	}
	// A container that ends often waits a second, not minutes: what the kubelet's patience costs is not what is measured
	// here.
	s, err := sandbox.Start(
		ctx, sandbox.Options{LogDir: logs, RestartBackOff: time.Second, RestartBackOffMax: 2 * time.Second},
	)
	if err != nil {
		return 1, err
	}
	defer s.Stop()
	if bed, err = testbed.Up(ctx, s, testbed.Options{LogDir: logs}); err != nil {
		return 1, err
	}
	defer bed.Down()
	ops = keepOperators(bed)
	defer ops.stop()
	code := m.Run()
	fmt.Print(results.String())
	if code == 0 {
		return code, os.RemoveAll(logs)
	}
	return code, errors.New("statuses, events, INFO of each Redis and all logs are in " + logs)
}
