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
	// SparesData: a maxmemory that the data does not fit in is not set. Redis would evict keys or refuse writes at once.
	SparesData bool
}

// RefusedSetting is a setting that Redis would not start with, and why, in Redis's words.
type RefusedSetting struct {
	Setting
	Why string
}

// trialValue is a value that no Redis takes for a number.
const trialValue = "a trial, to be refused"

// TryConfig returns those of the settings that the process refuses, and changes none. What cannot be tried is not
// returned: settings that cannot be changed at run time, and all of a Redis before 7.0, which sets one at a time only.
func (c *Client) TryConfig(ctx context.Context, settings []Setting) ([]RefusedSetting, error) {
	var refused []RefusedSetting
	err := c.do(ctx, "CONFIG SET (a trial)", func(ctx context.Context, r *redis.Client) error {
		replies, err := try(ctx, r, settings)
		for i, s := range settings {
			if err != nil {
				break
			}
			if outcome, why := outcomeOf(s.Name, replies[i].Err()); outcome == refuses {
				refused = append(refused, RefusedSetting{Setting: s, Why: why})
			}
		}
		return err
	})
	return refused, err
}

// try asks what the process would say to each setting, and changes none. Each is sent in a CONFIG SET together with one
// that is certain to be refused: CONFIG SET sets all or nothing, and does nothing about a value before all are taken.
func try(ctx context.Context, r *redis.Client, settings []Setting) ([]*redis.StatusCmd, error) {
	var replies []*redis.StatusCmd
	_, err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, s := range settings {
			cmd := redis.NewStatusCmd(ctx, "CONFIG", "SET", s.Name, s.Value, besides(s.Name), trialValue)
			replies = append(replies, cmd)
			_ = p.Process(ctx, cmd)
		}
		return nil
	})
	if isReply(err) {
		err = nil
	}
	return replies, err
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

// outcome is what a trial says of a setting.
type outcome int

const (
	accepts outcome = iota // CONFIG SET takes it
	refuses                // redis.conf must not hold it
	fixed                  // redis.conf may hold it, and CONFIG SET does not take it
	notNow                 // not while the process loads its data
)

// outcomeOf reads the reply to a trial of a setting. Why is in Redis's words where it refuses.
func outcomeOf(name string, err error) (o outcome, why string) {
	if err == nil {
		return accepts, ""
	}
	text := err.Error()
	if strings.HasPrefix(text, "ERR Unknown option") {
		if slices.Contains(fileOnly, name) {
			return fixed, ""
		}
		return refuses, "unknown setting"
	}
	about, why := refusal(text)
	switch {
	case about != name:
		return accepts, "" // it is the other one that was refused
	case strings.Contains(why, "immutable"), strings.Contains(why, "protected"):
		return fixed, ""
	case strings.Contains(why, "loading"):
		return notNow, why
	}
	return refuses, why
}

// refusal is which setting of a CONFIG SET was refused, and why, in Redis's words; empty where the text is none.
func refusal(text string) (name, why string) {
	const before, after = "(possibly related to argument '", "')"
	if !strings.HasPrefix(text, "ERR CONFIG SET failed") {
		return "", ""
	}
	_, rest, _ := strings.Cut(text, before)
	name, why, found := strings.Cut(rest, after)
	if !found {
		return "", ""
	}
	if why = strings.TrimPrefix(why, " - "); why == "" {
		why = "refused"
	}
	return name, why
}
