// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// DefaultUser is the name of the user that a connection without a user's name is given.
const DefaultUser = "default"

// Credentials are a user's name and password. The zero value shows nothing.
type Credentials struct {
	User     string // empty means Redis's default user
	Password string
}

// Password are the credentials of the default user, for [Options].
func Password(password string) func() []Credentials {
	return func() []Credentials { return []Credentials{{Password: password}} }
}

// User is an entry of Redis's access control list (ACL).
type User struct {
	Name string
	// Rules are words of ACL SETUSER, and hold no password.
	Rules []string
	// Passwords are taken from whoever names the user.
	Passwords []string
}

// Words are what ACL SETUSER takes after the user's name, and redis.conf after it: they make the user be like u,
// whatever it was. Passwords are told by what they hash to.
func (u User) Words() []string {
	words := slices.Concat([]string{"reset", "on"}, u.Rules)
	for _, password := range u.Passwords {
		words = append(words, passwordRule(password))
	}
	return words
}

// passwordRule is the rule of an ACL that takes a password, and does not tell it.
func passwordRule(password string) string {
	sum := sha256.Sum256([]byte(password))
	return "#" + hex.EncodeToString(sum[:])
}

// Users are the users that a process knows, and what it shows its master.
type Users struct {
	// All there are. Without the default user, that one stays as it is.
	All []User
	// Master is shown to the master.
	Master Credentials
}

// SetUsers makes the process know these users and no others, and show its master u.Master from the next connection on.
// Connections of users that stay go on; those of the others end. An error holds Redis's words, and then nothing was
// changed of the user that it is about. It is lost when the process ends. This client's connection becomes that of the
// first of its credentials that the process takes. What is returned is that of [Client.Users].
func (c *Client) SetUsers(ctx context.Context, u Users) (fingerprint string, err error) {
	err = c.listing(ctx, "ACL SETUSER", func(ctx context.Context, r *redis.Client) error {
		if err := setUsers(ctx, r, u); err != nil {
			return err
		}
		c.authenticate(ctx, r)
		fingerprint, err = usersFingerprint(ctx, r)
		return err
	})
	return fingerprint, err
}

// setUsers sees to the default user last: the connection may be of that one, and it may not do the rest afterwards.
func setUsers(ctx context.Context, r *redis.Client, u Users) error {
	names := redis.NewStringSliceCmd(ctx, "ACL", "USERS")
	if err := r.Process(ctx, names); err != nil {
		return err
	}
	_, err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
		last := func() {}
		for _, user := range u.All {
			if user.Name == DefaultUser {
				last = func() { setUser(ctx, p, user) }
				continue
			}
			setUser(ctx, p, user)
		}
		p.Do(ctx, "CONFIG", "SET", "masteruser", u.Master.User, "masterauth", u.Master.Password)
		for _, name := range names.Val() {
			known := slices.ContainsFunc(u.All, func(user User) bool { return user.Name == name })
			if !known && name != DefaultUser {
				p.Do(ctx, "ACL", "DELUSER", name)
			}
		}
		last()
		return nil
	})
	return err
}

func setUser(ctx context.Context, p redis.Pipeliner, user User) {
	words := []any{"ACL", "SETUSER", user.Name}
	for _, word := range user.Words() {
		words = append(words, word)
	}
	p.Do(ctx, words...)
}

// authenticate makes the connection be of the credentials in force, where the process takes them. A connection keeps
// the user that it was made with, and another one may be allowed less by now.
func (c *Client) authenticate(ctx context.Context, r *redis.Client) {
	l := c.current()
	shown := c.opts.credentials()
	if l == nil || l.shown == shown[0] {
		return
	}
	user := shown[0].User
	if user == "" {
		user = DefaultUser
	}
	if r.Process(ctx, redis.NewStatusCmd(ctx, "AUTH", user, shown[0].Password)) == nil {
		l.shown = shown[0]
	}
}

// Users tells which users the process knows and what it shows its master, by a text that is another one when anything
// of that was changed, and that holds no password.
func (c *Client) Users(ctx context.Context) (fingerprint string, err error) {
	err = c.listing(ctx, "ACL LIST", func(ctx context.Context, r *redis.Client) error {
		fingerprint, err = usersFingerprint(ctx, r)
		return err
	})
	return fingerprint, err
}

func usersFingerprint(ctx context.Context, r *redis.Client) (string, error) {
	var list *redis.StringSliceCmd
	shown := redis.NewMapStringStringCmd(ctx, "CONFIG", "GET", "master*")
	_, err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
		list = redis.NewStringSliceCmd(ctx, "ACL", "LIST")
		_ = p.Process(ctx, list)
		return p.Process(ctx, shown)
	})
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, line := range append(list.Val(), shown.Val()["masteruser"], shown.Val()["masterauth"]) {
		h.Write([]byte(line + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// trialUser is made for a moment, without a password and switched off.
const trialUser = "redisha-trial"

// RefusedUser is a user that Redis refuses, and why, in Redis's words.
type RefusedUser struct {
	Name, Why string
}

// TryUsers returns those of the users whose rules the process refuses, and changes none.
func (c *Client) TryUsers(ctx context.Context, users []User) ([]RefusedUser, error) {
	var replies []*redis.Cmd
	err := c.do(ctx, "ACL SETUSER (a trial)", func(ctx context.Context, r *redis.Client) error {
		_, err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, user := range users {
				words := []any{"ACL", "SETUSER", trialUser, "reset"}
				for _, rule := range append(slices.Clone(user.Rules), "off") {
					words = append(words, rule)
				}
				replies = append(replies, p.Do(ctx, words...))
			}
			p.Do(ctx, "ACL", "DELUSER", trialUser)
			return nil
		})
		if isReply(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var refused []RefusedUser
	for i, user := range users {
		if err := replies[i].Err(); err != nil {
			refused = append(refused, RefusedUser{Name: user.Name, Why: strings.TrimPrefix(err.Error(), "ERR ")})
		}
	}
	return refused, nil
}

// isWrongPassword reports that Redis knows another password than the one that it was shown, or no such user.
func isWrongPassword(err error) bool {
	return isReply(err) && strings.Contains(err.Error(), "WRONGPASS")
}

// isNotPermitted reports that the connection's user may not do it.
func isNotPermitted(err error) bool {
	return isReply(err) && strings.HasPrefix(err.Error(), "NOPERM")
}
