// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

const flagsPage = "../../docs/reference/flags.md"

// `make generate` sets UPDATE_DOCS and so writes the page.
func TestTheDocumentedFlagsAreTheManagers(t *testing.T) {
	want := "# The manager's flags\n\nWritten by `make generate`. Flags that cannot work are refused by name (`cmd/manager: TestFlagsThatCannotWorkAreRefusedByName`).\n\n" +
		"| flag | default | what |\n|---|---|---|\n" + flagRows(
		t,
	)
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(flagsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	page, err := os.ReadFile(flagsPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != want {
		t.Errorf("%s does not show the manager's flags; run `make generate`", flagsPage)
	}
}

// flagRows has a row for each flag, by name.
func flagRows(t *testing.T) string {
	t.Helper()
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.SetOutput(&bytes.Buffer{})
	if _, err := parseOptions(flags, nil); err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	flags.VisitAll(func(f *flag.Flag) {
		standard := ""
		if f.DefValue != "" {
			standard = "`" + f.DefValue + "`"
		}
		usage := strings.NewReplacer("\n", " ", "|", "\\|").Replace(f.Usage)
		fmt.Fprintf(&rows, "| `--%s` | %s | %s |\n", f.Name, standard, usage)
	})
	return rows.String()
}
