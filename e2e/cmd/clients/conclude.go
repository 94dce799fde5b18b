// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/redisha/redisha/e2e/checks"
	"github.com/redisha/redisha/e2e/clients"
	"github.com/redisha/redisha/e2e/sandbox"
)

// conclude writes the report and returns whether all was as it must be.
func (s *suite) conclude(out io.Writer) (bool, error) {
	if len(s.report.Results) == 0 {
		return false, errors.New("nothing was measured")
	}
	s.report.Setting = s.setting()
	fmt.Fprintf(out, "%s\n\n%s\n", s.report.Setting, s.report.Text())
	bounds, err := clients.ParseBounds(s.bounds)
	if err != nil {
		return false, err
	}
	wrong := s.report.Wrong(bounds)
	for _, sentence := range wrong {
		fmt.Fprintln(out, "WRONG:", sentence)
	}
	text, err := s.report.JSON()
	return len(
			wrong,
		) == 0, errors.Join(
			err,
			checks.Save(s.json, string(text)+"\n"),
			saveTable(s.markdown, s.report.Markdown()),
		)
}

// setting says where and how the numbers were taken.
func (s *suite) setting() string {
	return fmt.Sprintf(
		"%s; Redis %s, Kubernetes %s in the sandbox, Services lag by at most %s, connections %s, RedisHA %s; %d writers "+
			"at a time, rounds of each fault for each: %d; %s.",
		checks.Machine(),
		checks.RedisVersion(),
		sandbox.KubernetesVersion(),
		s.lag,
		map[bool]string{true: "encrypted", false: "in clear"}[s.flags.tls],
		checks.Commit(),
		s.writers,
		s.flags.rounds,
		time.Now().UTC().Format(time.DateOnly),
	)
}

// saveTable writes a file, or with PAGE#NAME the place of that name on a page.
func saveTable(path, text string) error {
	path, name, found := strings.Cut(path, "#")
	if found {
		page, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if text, err = clients.Insert(string(page), name, text); err != nil {
			return err
		}
	}
	return checks.Save(path, text)
}
