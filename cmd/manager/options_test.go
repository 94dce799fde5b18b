// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func parse(t *testing.T, args ...string) (options, string, error) {
	t.Helper()
	var out bytes.Buffer
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.SetOutput(&out)
	o, err := parseOptions(flags, args)
	return o, out.String(), err
}

func TestTheDefaultsLeaveTimeForACommandBeforeTheLeaseCanBeAnothers(t *testing.T) {
	o, _, err := parse(t)
	if err != nil {
		t.Fatal(err)
	}
	if !o.leaderElect || o.leaseDuration-o.renewDeadline <= time.Second {
		t.Errorf("leader election %t, lease %s, renew deadline %s", o.leaderElect, o.leaseDuration, o.renewDeadline)
	}
}

func TestFlagsThatCannotWorkAreRefusedByName(t *testing.T) {
	for _, tc := range []struct{ arg, names string }{
		{"--leader-renew-deadline=4500ms", "--leader-lease-duration"},
		{"--leader-retry-period=3s", "--leader-retry-period"},
		{"--probe-period=1ms", "--probe-period"},
		{"--concurrent-failovers=0", "--concurrent-failovers"},
	} {
		if _, _, err := parse(t, tc.arg); err == nil || !strings.Contains(err.Error(), tc.names) {
			t.Errorf("%s: %v, want an error that names %s", tc.arg, err, tc.names)
		}
	}
}

func TestHelpExplainsEveryFlag(t *testing.T) {
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.SetOutput(&bytes.Buffer{})
	if _, err := parseOptions(flags, nil); err != nil {
		t.Fatal(err)
	}
	flags.VisitAll(func(f *flag.Flag) {
		if len(f.Usage) < 20 {
			t.Errorf("--%s says only %q", f.Name, f.Usage)
		}
	})
}

func TestTheVersionTellsWhatItWasBuiltFrom(t *testing.T) {
	was := commit
	t.Cleanup(func() { commit = was })
	commit = "4f2a"
	for _, part := range []string{version, "commit 4f2a", "of unknown", "go1."} {
		if got := builtFrom(); !strings.Contains(got, part) {
			t.Errorf("%q does not tell %q", got, part)
		}
	}
	if o, _, err := parse(t, "--version"); err != nil || !o.version {
		t.Errorf("--version: %+v, %v", o, err)
	}
}

func TestNamespacesAreSplit(t *testing.T) {
	o, _, err := parse(t, "--namespaces=a, b,,c")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, o.watched()); diff != "" {
		t.Error(diff)
	}
}
