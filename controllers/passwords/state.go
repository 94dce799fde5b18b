// SPDX-License-Identifier: Apache-2.0

// Package passwords says which password a RedisHA's Redis processes take while one takes the place of another. It is
// pure: the workload controller walks the way, and every controller that talks to Redis reads where it is from the
// Secret that pods mount.
package passwords

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/redisha/redisha/redisclient"
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
	case s.Current == "":
		return State{Current: want}
	case want == s.Current:
		s.Coming = ""
		return s.expired(told, now)
	case told && slices.Contains(s.taken(), want):
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

// taken are the passwords that processes take.
func (s State) taken() []string {
	all := append([]string{s.Current}, s.Former...)
	if s.Coming != "" && !slices.Contains(all, s.Coming) {
		all = append(all, s.Coming)
	}
	return all
}

// Single reports that there is one password, and no process has to be told of it.
func (s State) Single() bool { return len(s.taken()) == 1 && len(s.Retired) == 0 }

// Others are what is to be tried where a Redis refuses the current password.
func (s State) Others() []string { return slices.Concat(s.taken()[1:], s.Retired) }

// Passwords are what a process is to take and show.
func (s State) Passwords() redisclient.Passwords {
	return redisclient.Passwords{Current: s.Current, Accepted: s.taken()}
}

// Generation names what a process is told; the same for the same passwords.
func (s State) Generation() string {
	h := sha256.New()
	for _, password := range s.taken() {
		fmt.Fprintf(h, "%d %s ", len(password), password)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}
