// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"context"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Setting is a setting of redis.conf, with its value as CONFIG SET takes it.
type Setting struct {
	Name, Value string
}

// RefusedSetting is a setting that Redis would not start with, and why, in Redis's words.
type RefusedSetting struct {
	Setting
	Why string
}

// trialValue is a value that no Redis takes for a number.
const trialValue = "a trial, to be refused"

// TryConfig returns those of the settings that the process refuses, and changes none. Each is sent in a CONFIG SET
// together with one that is certain to be refused: CONFIG SET sets all or nothing, and does nothing about a value
// before all are accepted. What cannot be tried is not returned: settings that cannot be changed at run time, and all
// of a Redis before 7.0, which sets one at a time only.
func (c *Client) TryConfig(ctx context.Context, settings []Setting) ([]RefusedSetting, error) {
	var replies []*redis.StatusCmd
	err := c.do(ctx, "CONFIG SET (a trial)", func(ctx context.Context, r *redis.Client) error {
		_, err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, s := range settings {
				cmd := redis.NewStatusCmd(ctx, "CONFIG", "SET", s.Name, s.Value, besides(s.Name), trialValue)
				replies = append(replies, cmd)
				_ = p.Process(ctx, cmd)
			}
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
	var refused []RefusedSetting
	for i, s := range settings {
		if why := refusalOf(s.Name, replies[i].Err()); why != "" {
			refused = append(refused, RefusedSetting{Setting: s, Why: why})
		}
	}
	return refused, nil
}

// besides is the setting that is sent along to be refused.
func besides(name string) string {
	if name == "slowlog-max-len" {
		return "latency-monitor-threshold"
	}
	return "slowlog-max-len"
}

// fileOnly are names that redis.conf knows and CONFIG SET does not: a command, and settings that some versions ignore.
var fileOnly = []string{
	"loadmodule",
	"list-max-ziplist-entries",
	"list-max-ziplist-value",
	"lua-replicate-commands",
	"io-threads-do-reads",
	"dynamic-hz",
}

// refusalOf is why a trial says that redis.conf must not hold a setting; empty when it does not say so.
func refusalOf(name string, err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if strings.HasPrefix(text, "ERR Unknown option") && !slices.Contains(fileOnly, name) {
		return "unknown setting"
	}
	_, why, about := strings.Cut(text, "(possibly related to argument '"+name+"')")
	if !strings.HasPrefix(text, "ERR CONFIG SET failed") || !about {
		return ""
	}
	why = strings.TrimPrefix(why, " - ")
	for _, untried := range []string{"immutable", "protected", "loading"} {
		if strings.Contains(why, untried) {
			return ""
		}
	}
	if why == "" {
		return "refused"
	}
	return why
}
