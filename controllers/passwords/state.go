// SPDX-License-Identifier: Apache-2.0

// Package passwords says which password of a user Redis processes take while one takes the place of another. It is
// pure.
package passwords

import (
	"encoding/json"
	"slices"
	"time"
)

// remembered is how many passwords are kept that no process takes any more. A process that was away for all that time
// knows one of them, and has to be let in to be told.
const remembered = 3

// State is which passwords are known. The zero value knows none.
type State struct {
	// Current is what operator, replicas and probes show.
	Current string `json:"-"`
	// Coming is taken from clients by the processes that were told; nothing shows it yet. Empty for none.
	Coming string `json:"coming,omitempty"`
	// Former are taken from clients until Until.
	Former []string `json:"former,omitempty"`
	// Until is for how long.
	Until time.Time `json:"until,omitzero"`
	// Retired are taken no more, the last one first.
	Retired []string `json:"retired,omitempty"`
}

// Key is the key under which a state is kept beside the current password; absent while that is the only one.
const Key = "passwords.json"

// In is the state of a Secret's content, which holds the current password under that key.
func In(data map[string][]byte, password string) State {
	var s State
	if json.Unmarshal(data[Key], &s) != nil {
		s = State{}
	}
	s.Current = string(data[password])
	return s
}

// File is what In reads; nil where there is one password only.
func (s State) File() []byte {
	if s.Coming == "" && len(s.Former)+len(s.Retired) == 0 {
		return nil
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil // strings and a time can be marshalled
	}
	return text
}

// Next is the state that follows s, when the wanted password is that; empty when it is not known, so that what was
// begun is ended. Told reports that every process that answers has been told of s. A former password is taken for keep
// after the new one has come into use.
//
// A password comes into use when every process takes it, and not before: so whoever shows it is let in.
func (s State) Next(want string, keep time.Duration, told bool, now time.Time) State {
	if want == "" {
		want = s.Current
		if s.Coming != "" {
			want = s.Coming
		}
	}
	switch {
	case s.Current == "" && s.Coming != "" && !told:
		return s
	case s.Current == "":
		return State{Current: want}
	case want == s.Current:
		s.Coming = ""
		return s.expired(told, now)
	case told && slices.Contains(s.Taken(), want):
		next := State{Current: want, Until: now.Add(keep), Retired: without(s.Retired, want)}
		next.Former = without(append([]string{s.Current}, s.Former...), want)
		return next
	}
	s.Coming = want
	return s
}

// expired is s without former passwords whose time is over.
func (s State) expired(told bool, now time.Time) State {
	if len(s.Former) == 0 || !told || now.Before(s.Until) {
		return s
	}
	retired := slices.Concat(s.Former, s.Retired)
	return State{Current: s.Current, Retired: retired[:min(len(retired), remembered)]}
}

func without(all []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(p string) bool { return p == one })
}

// Taken are the passwords that processes take.
func (s State) Taken() []string {
	var all []string
	for _, password := range slices.Concat([]string{s.Current}, s.Former, []string{s.Coming}) {
		if password != "" && !slices.Contains(all, password) {
			all = append(all, password)
		}
	}
	return all
}

// Known are what a Redis may take, for all that is known, the current one first.
func (s State) Known() []string { return slices.Concat(s.Taken(), s.Retired) }
