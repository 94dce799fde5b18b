package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// conclude writes the report and returns what was wrong.
func (s *suite) conclude(out io.Writer) []string {
	if len(s.report.Results) == 0 {
		return nil
	}
	fmt.Fprintln(out, s.report.Text())
	var wrong []string
	for _, row := range s.report.Rows() {
		if row.Left > 0 {
			wrong = append(wrong, fmt.Sprintf("%s was left behind %d times of %d: %s", row.Library, row.Left, row.Rounds, row.Fault))
		}
		if row.Planned && row.Lost > 0 {
			wrong = append(wrong, fmt.Sprintf("%s lost %d acknowledged: %s", row.Library, row.Lost, row.Fault))
		}
	}
	if s.json != "" {
		if err := s.save(); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	for _, sentence := range wrong {
		fmt.Fprintln(out, "WRONG:", sentence)
	}
	return wrong
}

func (s *suite) save() error {
	text, err := s.report.JSON()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.json), 0o755); err != nil {
		return err
	}
	return os.WriteFile(s.json, append(text, '\n'), 0o644)
}
