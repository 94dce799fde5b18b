// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"context"
	"fmt"
	"slices"

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
		set, err := told.settable(ctx, r, unlike(want, told.Before))
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
