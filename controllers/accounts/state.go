// SPDX-License-Identifier: Apache-2.0

package accounts

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/redisha/redisha/controllers/passwords"
	"github.com/redisha/redisha/redisclient"
)

// Users that the operator makes. A spec declares none whose name begins with Reserved.
const (
	Reserved = "redisha-"
	// Operator is who watches and changes a process.
	Operator = Reserved + "operator"
	// Replica is as whom a replica follows its master.
	Replica = Reserved + "replica"
	// Pod is as whom the scripts in the pod ask.
	Pod = Reserved + "pod"
)

// State is which users processes know. The zero value knows none.
type State struct {
	// Default has the passwords of the default user.
	Default passwords.State
	// System is what the passwords of the operator's own users are made of. These are in use when it has a current one,
	// and until then the default user is in their place.
	System passwords.State
	// Restricted: operator and replicas are the default user nowhere any more, so that it is restricted.
	Restricted bool
	// Rules are what the spec gives to the default user, or takes from it, after Restrictions.
	Rules []string
	// Users are the declared ones, by their names.
	Users []User
}

// User is one that the spec declares.
type User struct {
	Name     string
	Rules    []string
	Password passwords.State
}

// Keys of the Secrets that hold a state.
const (
	// Key is where all of it is, but for the passwords of the default user.
	Key = "users.json"
	// PodPasswordKey is where the scripts of a pod find the password of Pod; absent while the system users are not in use.
	PodPasswordKey = "pod-password"
)

// recorded is what Key holds.
type recorded struct {
	System     kept       `json:"system"`
	Restricted bool       `json:"restricted,omitempty"`
	Rules      []string   `json:"rules,omitempty"`
	Users      []keptUser `json:"users,omitempty"`
}

type keptUser struct {
	Name     string   `json:"name"`
	Rules    []string `json:"rules,omitempty"`
	Password kept     `json:"password"`
}

// kept is a password's state with the current one.
type kept struct {
	passwords.State

	Current string `json:"current,omitempty"`
}

func keep(s passwords.State) kept { return kept{State: s, Current: s.Current} }

func (k kept) state() passwords.State {
	k.State.Current = k.Current
	return k.State
}

// File is what Key holds.
func (s State) File() []byte {
	r := recorded{System: keep(s.System), Restricted: s.Restricted, Rules: s.Rules}
	for _, user := range s.Users {
		r.Users = append(r.Users, keptUser{Name: user.Name, Rules: user.Rules, Password: keep(user.Password)})
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil // strings and times can be marshalled
	}
	return text
}

// In is the state of a Secret's content, which holds the current password of the default user under that key. What it
// does not hold, or holds in a way that cannot be read, is not known.
func In(data map[string][]byte, password string) State {
	s := State{Default: passwords.In(data, password)}
	s.Recall(data)
	return s
}

// Recall sets what Key holds; nothing where it holds nothing that can be read.
func (s *State) Recall(data map[string][]byte) {
	var r recorded
	if json.Unmarshal(data[Key], &r) != nil {
		return
	}
	s.System, s.Restricted, s.Rules, s.Users = r.System.state(), r.Restricted, r.Rules, nil
	for _, user := range r.Users {
		s.Users = append(s.Users, User{Name: user.Name, Rules: user.Rules, Password: user.Password.state()})
	}
}

// derived is the password of a system user. Who learns one of them knows no other.
func derived(system, user string) string {
	mac := hmac.New(sha256.New, []byte(system))
	mac.Write([]byte(user))
	return hex.EncodeToString(mac.Sum(nil))
}

// PodPassword is that of Pod; empty while it is not in use.
func (s State) PodPassword() string {
	if s.System.Current == "" {
		return ""
	}
	return derived(s.System.Current, Pod)
}

// Shown is what the operator shows a process: what is in force, and then what one may know that has not been told.
func (s State) Shown() []redisclient.Credentials {
	var all []redisclient.Credentials
	for _, system := range s.System.Known() {
		all = append(all, redisclient.Credentials{User: Operator, Password: derived(system, Operator)})
	}
	var defaults []redisclient.Credentials
	for _, password := range s.Default.Known() {
		defaults = append(defaults, redisclient.Credentials{Password: password})
	}
	if s.System.Current == "" {
		return append(defaults, all...)
	}
	return append(all, defaults...)
}

// ForProcess is what a process is told.
func (s State) ForProcess() redisclient.Users {
	users := redisclient.Users{Master: redisclient.Credentials{Password: s.Default.Current}}
	if s.System.Current != "" {
		users.Master = redisclient.Credentials{User: Replica, Password: derived(s.System.Current, Replica)}
	}
	for _, user := range []redisclient.User{
		{Name: Operator, Rules: operatorRules}, {Name: Replica, Rules: replicaRules}, {Name: Pod, Rules: podRules},
	} {
		for _, system := range s.System.Taken() {
			user.Passwords = append(user.Passwords, derived(system, user.Name))
		}
		if len(user.Passwords) > 0 {
			users.All = append(users.All, user)
		}
	}
	for _, user := range s.Users {
		users.All = append(users.All, redisclient.User{
			Name: user.Name, Rules: user.Rules, Passwords: user.Password.Taken(),
		})
	}
	users.All = append(users.All, redisclient.User{
		Name: redisclient.DefaultUser, Rules: s.defaultRules(), Passwords: s.Default.Taken(),
	})
	return users
}

// defaultRules are those of the default user. While operator or replicas are the default user, it may do everything.
func (s State) defaultRules() []string {
	if !s.Restricted {
		return []string{"~*", "&*", "+@all"}
	}
	return slices.Concat([]string{"~*", "&*", "+@all"}, Restrictions, s.Rules)
}

// Conf are the settings of redis.conf that a process starts with.
func (s State) Conf() string {
	var b strings.Builder
	users := s.ForProcess()
	for _, user := range users.All {
		fmt.Fprintf(&b, "user %s %s\n", user.Name, strings.Join(user.Words(), " "))
	}
	if users.Master.User != "" {
		fmt.Fprintf(&b, "masteruser %s\n", users.Master.User)
	}
	fmt.Fprintf(&b, "masterauth %s\n", quote(users.Master.Password))
	return b.String()
}

// quote writes a value of redis.conf the way sdssplitargs of Redis reads it.
func quote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// Generation names what a process is told; the same for the same.
func (s State) Generation() string {
	sum := sha256.Sum256([]byte(s.Conf()))
	return hex.EncodeToString(sum[:6])
}
