// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// Command runs what a program of that name is for, until it is over, interrupted, or has taken too long, and returns
// the program's exit code: 0 if it went well. Measure does the work, and puts logs into its folder; conclude is called
// in any case, and says whether what there is then is well. Without a logDir the logs are thrown away if all is.
func Command(
	name, logDir string, timeout time.Duration,
	measure func(ctx context.Context, logs string) error, conclude func() (well bool, err error),
) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	logs, err := logsIn(logDir, name)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	err = measure(ctx, logs)
	well, failed := conclude()
	if err = errors.Join(err, failed); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil || !well {
		fmt.Fprintln(os.Stderr, "Logs:", logs)
		return 1
	}
	if logDir == "" {
		_ = os.RemoveAll(logs)
	}
	return 0
}

func logsIn(folder, name string) (string, error) {
	if folder != "" {
		return filepath.Abs(folder)
	}
	return os.MkdirTemp("", "redisha-"+name+"-")
}
