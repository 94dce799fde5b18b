// SPDX-License-Identifier: Apache-2.0

//go:build crashpoints

package main

import (
	"os"
	"strings"
	"syscall"

	"github.com/redisha/redisha/failover"
)

// onPersisted is for tests of what a successor does with a failover that was left half done: the
// process kills itself the moment it has persisted the state that the file named by
// REDISHA_CRASH_FILE holds. The file is emptied first, so that the successor lives.
func onPersisted() func(failover.State) {
	file := os.Getenv("REDISHA_CRASH_FILE")
	if file == "" {
		return nil
	}
	return func(s failover.State) {
		want, err := os.ReadFile(file)
		if err != nil || strings.TrimSpace(string(want)) != string(s) {
			return
		}
		if os.WriteFile(file, nil, 0o600) == nil {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}
}
