// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Markdown is the report as a page has it: a line for each application, a column for each fault, and what each saw of
// errors.
func (r *Report) Markdown() string {
	faults := r.faults()
	var names []string
	rows := map[string]Row{}
	for _, row := range r.Rows() {
		if !slices.Contains(names, row.Library) {
			names = append(names, row.Library)
		}
		rows[row.Fault+" "+row.Library] = row
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.Setting)
	fmt.Fprintf(&b, "| | %s |\n|---|%s\n", strings.Join(faults, " | "), strings.Repeat("--:|", len(faults)))
	cells := []string{"*the new master is published*"}
	for _, fault := range faults {
		median, worst, _ := r.published(fault)
		cells = append(cells, fmt.Sprintf("*%d / %d*", median, worst))
	}
	fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	for _, name := range names {
		cells := []string{r.title(name)}
		for _, fault := range faults {
			cells = append(cells, rows[fault+" "+name].cell())
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	fmt.Fprint(&b, "\n| | errors, most frequent first |\n|---|---|\n")
	for _, name := range names {
		if seen := r.errorsOf(name, 4); seen != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", name, seen)
		}
	}
	if left := r.leftOut(); len(left) > 0 {
		fmt.Fprintf(&b, "\n%s.\n", strings.Join(left, "; "))
	}
	return b.String()
}

// title is the library with its version.
func (r *Report) title(name string) string {
	for _, used := range r.Libraries {
		if used.Name == name {
			return strings.TrimSpace(used.Title + " " + used.Version)
		}
	}
	return name
}

// cell has the median and the worst, and what is worse than time.
func (r Row) cell() string {
	if r.Rounds == 0 {
		return ""
	}
	text := fmt.Sprintf("%d / %d", r.Median.Milliseconds(), r.Worst.Milliseconds())
	if r.Left > 0 {
		text += fmt.Sprintf(", **left %s**", r.leftBehind())
	}
	if r.Lost > 0 {
		text += fmt.Sprintf(", %d lost", r.Lost)
	}
	return text
}

func (r *Report) errorsOf(name string, most int) string {
	counts := map[string]int64{}
	for _, result := range r.Results {
		if result.Library != name {
			continue
		}
		for class, n := range result.Errors {
			counts[class] += n
		}
	}
	classes := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	return strings.ReplaceAll(strings.Join(classes[:min(len(classes), most)], "; "), "|", "\\|")
}

// Bound is how long applications may be without an answer by one fault, in the median and at worst; zero is no bound.
type Bound struct{ Median, Worst time.Duration }

// ParseBounds reads FAULT=MEDIAN/WORST, as in kill=200ms/500ms.
func ParseBounds(given []string) (map[string]Bound, error) {
	bounds := map[string]Bound{}
	for _, text := range given {
		fault, times, _ := strings.Cut(text, "=")
		median, worst, ok := strings.Cut(times, "/")
		if !ok {
			return nil, fmt.Errorf("%q is not FAULT=MEDIAN/WORST", text)
		}
		var b Bound
		var err error
		if b.Median, err = time.ParseDuration(median); err == nil {
			b.Worst, err = time.ParseDuration(worst)
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		bounds[fault] = b
	}
	return bounds, nil
}

// Wrong returns what must not be: an application left behind, something acknowledged and lost by a planned change, a
// bound missed.
func (r *Report) Wrong(bounds map[string]Bound) []string {
	var wrong []string
	for _, row := range r.Rows() {
		about := row.Fault + ": " + row.Library
		if row.Left > 0 {
			wrong = append(wrong, fmt.Sprintf("%s was left behind in %d of %d rounds", about, row.Left, row.Rounds))
		}
		if row.Planned && row.Lost > 0 {
			wrong = append(wrong, fmt.Sprintf("%s lost %d of what was acknowledged", about, row.Lost))
		}
		bound := bounds[row.Fault]
		if bound.Median > 0 && row.Median > bound.Median {
			wrong = append(
				wrong,
				fmt.Sprintf("%s had no answer for %s in the median, at most %s is wanted", about, row.Median, bound.Median),
			)
		}
		if bound.Worst > 0 && row.Worst > bound.Worst {
			wrong = append(
				wrong, fmt.Sprintf("%s had no answer for %s at worst, at most %s is wanted", about, row.Worst, bound.Worst),
			)
		}
	}
	return wrong
}

// Insert returns a page with a text in the place of what is between the comments "clients: NAME" and "end of NAME".
func Insert(page, name, text string) (string, error) {
	from, to := fmt.Sprintf("<!-- clients: %s -->\n", name), fmt.Sprintf("<!-- end of %s -->", name)
	before, rest, found := strings.Cut(page, from)
	_, after, ended := strings.Cut(rest, to)
	if !found || !ended {
		return "", fmt.Errorf("the page has no place between %q and %q", strings.TrimSpace(from), to)
	}
	return before + from + text + to + after, nil
}
