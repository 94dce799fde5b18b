// SPDX-License-Identifier: Apache-2.0

package sandbox

import "strings"

// expand replaces $(NAME) by its value and $$ by $, and leaves references to unknown names alone: the rules of command,
// args and env of a container.
func expand(text string, value func(string) (string, bool)) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '$' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		if text[i+1] == '$' {
			out.WriteByte('$')
			i++
			continue
		}
		end := strings.IndexByte(text[i:], ')')
		if text[i+1] != '(' || end < 0 {
			out.WriteByte('$')
			continue
		}
		reference := text[i : i+end+1]
		if v, ok := value(reference[2 : len(reference)-1]); ok {
			out.WriteString(v)
		} else {
			out.WriteString(reference)
		}
		i += end
	}
	return out.String()
}
