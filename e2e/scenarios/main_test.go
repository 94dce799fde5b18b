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
	"github.com/redisha/redisha/e2e/stage"
)

// envRun has to be set for the scenarios to run; `make scenarios` does.
const envRun = "SCENARIOS"

// What all scenarios share.
var (
	play    *stage.Stage
	crew    *operators
	results table
	logs    string
)

func TestMain(m *testing.M) {
	becomeHostile()
	sandbox.Enter(onlyWhenAsked, stage.Prepare, stage.PrepareTomorrow)
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
	// A container that ends often waits a second, not minutes: what the kubelet's patience costs is not what is measured here.
	s, err := sandbox.Start(ctx, sandbox.Options{LogDir: logs, RestartBackOff: time.Second, RestartBackOffMax: 2 * time.Second})
	if err != nil {
		return 1, err
	}
	defer s.Stop()
	if play, err = stage.Up(ctx, s, stage.Options{LogDir: logs}); err != nil {
		return 1, err
	}
	defer play.Down()
	crew = keepOperators(play)
	defer crew.stop()
	code := m.Run()
	fmt.Print(results.String())
	if code == 0 {
		return code, os.RemoveAll(logs)
	}
	return code, errors.New("statuses, events, INFO of each Redis and all logs are in " + logs)
}
