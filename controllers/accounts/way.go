// SPDX-License-Identifier: Apache-2.0

package accounts

import (
	"slices"
	"time"

	"github.com/redisha/redisha/controllers/passwords"
)

// keepSystem is for how long the former passwords of system users are taken: a kubelet may need a minute and more until
// the scripts of a pod read another one.
const keepSystem = 10 * time.Minute

// Goal is what the spec wants.
type Goal struct {
	// Password is that of the default user; empty when it is not known, so that what was begun is ended.
	Password string
	// Rules are those of the default user.
	Rules []string
	// Users are the declared ones.
	Users []Wanted
	// KeepFormer is for how long a password from before is taken.
	KeepFormer time.Duration
	// Running reports that there may be processes, which know their users already.
	Running bool
	// Fresh is a text that cannot be guessed, for whatever password is to be made.
	Fresh string
}

// Wanted is a user that the spec declares.
type Wanted struct {
	Name  string
	Rules []string
	// Password is empty when it is not known.
	Password string
}

// Next is the state that follows s on the way to a goal; s itself when there is nothing to do, or something has to be
// waited for. Told reports that every process that answers has been told of s.
//
// System users come into use when every process knows them, and the default user is restricted when every process uses
// them: so operator and replicas are always let in. Their passwords are renewed with the default user's: whoever
// changes that one because it was stolen wants none to stay.
func (s State) Next(goal Goal, told bool, now time.Time) State {
	next := State{Default: s.Default.Next(goal.Password, goal.KeepFormer, told, now), Rules: goal.Rules}
	renew := s.Default.Current != "" && s.Default.Current != next.Default.Current
	next.System = s.nextSystem(goal, renew, told, now)
	next.Restricted = s.Restricted || s.System.Current != "" && told || !s.knowsSystem() && !goal.Running
	for _, wanted := range goal.Users {
		user := User{Name: wanted.Name, Rules: wanted.Rules}
		if had := s.user(wanted.Name); had != nil {
			user.Password = had.Password
		}
		if user.Password = user.Password.Next(wanted.Password, goal.KeepFormer, told, now); user.Password.Current != "" {
			next.Users = append(next.Users, user)
		}
	}
	return next
}

func (s State) nextSystem(goal Goal, renew, told bool, now time.Time) passwords.State {
	switch {
	case !s.knowsSystem() && goal.Running:
		return passwords.State{Coming: goal.Fresh}
	case !s.knowsSystem():
		return passwords.State{Current: goal.Fresh}
	case renew && s.System.Current != "":
		return s.System.Next(goal.Fresh, keepSystem, told, now)
	}
	return s.System.Next("", keepSystem, told, now)
}

// knowsSystem reports that system users are in use, or on their way there.
func (s State) knowsSystem() bool { return s.System.Current != "" || s.System.Coming != "" }

// user is the one of that name; nil when there is none.
func (s State) user(name string) *User {
	if i := slices.IndexFunc(s.Users, func(u User) bool { return u.Name == name }); i >= 0 {
		return &s.Users[i]
	}
	return nil
}

// RulesOf are those that a user has; false when there is no such user.
func (s State) RulesOf(name string) ([]string, bool) {
	if user := s.user(name); user != nil {
		return user.Rules, true
	}
	return nil, false
}

// Until is when the next password is taken no more; zero when none ends.
func (s State) Until() time.Time {
	var first time.Time
	all := []passwords.State{s.Default, s.System}
	for _, user := range s.Users {
		all = append(all, user.Password)
	}
	for _, p := range all {
		if len(p.Former) > 0 && (first.IsZero() || p.Until.Before(first)) {
			first = p.Until
		}
	}
	return first
}

// Coming reports that something is on its way into use.
func (s State) Coming() bool {
	return !s.Restricted || s.Default.Coming != "" || s.System.Coming != "" ||
		slices.ContainsFunc(s.Users, func(u User) bool { return u.Password.Coming != "" })
}
