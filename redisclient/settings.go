// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ToldSettings is what a process says of settings that it was to have.
type ToldSettings struct {
	// Before and After are the values by name, in Redis's own notation, before and after. A name that CONFIG GET does not
	// know is in neither.
	Before, After map[string]string
	// Fixed are the names of those that the process does not have and that Redis does not change while it runs.
	Fixed []string
	// Refused are those that Redis does not take. Where there is one, nothing was set.
	Refused []RefusedSetting
	// Spared are the names of those that were not set, because the process holds more data; see [Setting.SparesData].
	Spared []string
}

// SetSettings makes the process have these settings, as far as Redis changes them at run time: by one CONFIG SET, all
// or nothing. It sends only those whose values are not written as Redis writes them; to set what is so already does
// nothing. What was set is lost when the process ends. A refusal is no error. Redis before 7.0 cannot do it.
func (c *Client) SetSettings(ctx context.Context, want []Setting) (told ToldSettings, err error) {
	err = c.listing(ctx, "CONFIG SET", func(ctx context.Context, r *redis.Client) (err error) {
		if told.Before, err = getSettings(ctx, r, want); err != nil {
			return err
		}
		told.After = told.Before
		unlike, err := told.spare(ctx, r, unlike(want, told.Before))
		if err != nil {
			return err
		}
		set, err := told.settable(ctx, r, unlike)
		if err != nil || len(set) == 0 || len(told.Refused) > 0 {
			return err
		}
		told.Refused, err = setAll(ctx, r, set)
		if err != nil || len(told.Refused) > 0 {
			return err
		}
		told.After, err = getSettings(ctx, r, want)
		return err
	})
	return told, err
}

// unlike are those of the settings that are not reported with their values.
func unlike(want []Setting, reported map[string]string) []Setting {
	return slices.DeleteFunc(slices.Clone(want), func(s Setting) bool {
		value, known := reported[s.Name]
		return known && value == s.Value
	})
}

// spare leaves out what would have keys evicted or writes refused, and is not to.
func (told *ToldSettings) spare(ctx context.Context, r *redis.Client, settings []Setting) ([]Setting, error) {
	var left []Setting
	for _, s := range settings {
		if s.SparesData && lowers(told.Before[s.Name], s.Value) {
			fits, err := dataFits(ctx, r, s.Value)
			if err != nil {
				return nil, err
			}
			if !fits {
				told.Spared = append(told.Spared, s.Name)
				continue
			}
		}
		left = append(left, s)
	}
	return left, nil
}

// lowers reports a maxmemory that is lower than the one that is reported. Zero is none. Both are in bytes.
func lowers(has, next string) bool {
	before, err := strconv.ParseInt(has, 10, 64)
	after, wrong := strconv.ParseInt(next, 10, 64)
	return err == nil && wrong == nil && after > 0 && (before == 0 || after < before)
}

// dataFits reports that the process holds no more than so many bytes, as Redis counts it for maxmemory. Of one that
// reads its data it is not known.
func dataFits(ctx context.Context, r *redis.Client, maxmemory string) (bool, error) {
	text, err := r.Info(ctx, "memory", "persistence").Result()
	if err != nil {
		return false, err
	}
	counts := map[string]int64{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			counts[name] = n
		}
	}
	used, known := counts["used_memory"]
	most, err := strconv.ParseInt(maxmemory, 10, 64)
	if !known || err != nil {
		return false, fmt.Errorf("INFO memory does not say what the data takes, or maxmemory is not in bytes: %q", maxmemory)
	}
	reads := counts["loading"] != 0 || counts["async_loading"] != 0
	return !reads && used-counts["mem_not_counted_for_evict"] <= most, nil
}

// setAll sets them all, or none where it returns one that is refused.
func setAll(ctx context.Context, r *redis.Client, settings []Setting) ([]RefusedSetting, error) {
	command := []any{"CONFIG", "SET"}
	for _, s := range settings {
		command = append(command, s.Name, s.Value)
	}
	err := r.Process(ctx, redis.NewStatusCmd(ctx, command...))
	if !isReply(err) {
		return nil, err
	}
	name, why := refusal(err.Error())
	for _, s := range settings {
		if s.Name == name {
			return []RefusedSetting{{Setting: s, Why: why}}, nil
		}
	}
	return nil, err
}

// settable are those of the settings that Redis changes at run time; what it says of the others goes into told.
func (told *ToldSettings) settable(ctx context.Context, r *redis.Client, settings []Setting) ([]Setting, error) {
	if len(settings) == 0 {
		return nil, nil
	}
	replies, err := try(ctx, r, settings)
	if err != nil {
		return nil, err
	}
	var set []Setting
	for i, s := range settings {
		switch outcome, why := outcomeOf(s.Name, replies[i].Err()); outcome {
		case accepts:
			set = append(set, s)
		case fixed:
			told.Fixed = append(told.Fixed, s.Name)
		case refuses:
			told.Refused = append(told.Refused, RefusedSetting{Setting: s, Why: why})
		case notNow:
			return nil, fmt.Errorf("setting %s: %w", s.Name, replies[i].Err())
		}
	}
	return set, nil
}

// getSettings are the values of settings as Redis writes them, by name.
func getSettings(ctx context.Context, r *redis.Client, settings []Setting) (map[string]string, error) {
	if len(settings) == 0 {
		return nil, nil
	}
	get := []any{"CONFIG", "GET"}
	for _, s := range settings {
		get = append(get, s.Name)
	}
	reply := redis.NewMapStringStringCmd(ctx, get...)
	err := r.Process(ctx, reply)
	return reply.Val(), err
}
