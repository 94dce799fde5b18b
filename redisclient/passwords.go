// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Passwords are those of a process's default user, and the one that the process shows its master.
type Passwords struct {
	// Current is shown to the master.
	Current string
	// Accepted are taken from clients, Current among them.
	Accepted []string
}

// SetPasswords makes the process take these passwords of its default user and no others, and show Current to its master
// from the next connection on. Connections that are there stay. It is lost when the process ends.
func (c *Client) SetPasswords(ctx context.Context, p Passwords) error {
	return c.do(ctx, "ACL SETUSER default", func(ctx context.Context, r *redis.Client) error {
		_, err := r.TxPipelined(ctx, func(tx redis.Pipeliner) error {
			rules := []any{"ACL", "SETUSER", "default", "resetpass"}
			for _, password := range p.Accepted {
				rules = append(rules, PasswordRule(password))
			}
			tx.Do(ctx, rules...)
			tx.ConfigSet(ctx, "masterauth", p.Current)
			return nil
		})
		return err
	})
}

// PasswordRule is the rule of an ACL that takes a password, and does not tell it.
func PasswordRule(password string) string {
	sum := sha256.Sum256([]byte(password))
	return "#" + hex.EncodeToString(sum[:])
}

// isWrongPassword reports that Redis knows another password than the one that it was shown.
func isWrongPassword(err error) bool {
	return isReply(err) && strings.Contains(err.Error(), "WRONGPASS")
}
