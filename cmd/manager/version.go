// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// What the operator was built from: go build -ldflags "-X main.version=… -X main.commit=… -X main.date=…" sets it, as
// make build and the Dockerfile do. date is that of the commit, so that the same sources make the same binary.
var (
	version = "dev"
	commit  string
	date    string
)

// builtFrom says which version this is, of which commit. A build in a git checkout knows the commit without being told.
func builtFrom() string {
	known := map[string]string{"vcs.revision": commit, "vcs.time": date}
	if info, ok := debug.ReadBuildInfo(); ok && commit == "" {
		for _, setting := range info.Settings {
			known[setting.Key] = setting.Value
		}
	}
	return fmt.Sprintf(
		"%s, commit %s of %s, %s", version, orUnknown(known["vcs.revision"]), orUnknown(known["vcs.time"]),
		runtime.Version(),
	)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
