// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"context"
	"fmt"

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

// SetSettings makes the process have these settings, as far as Redis changes them at run time: by one CONFIG SET, all or
// nothing. It sends only those whose values are not written as Redis writes them; to set what is so already does nothing.
// What was set is lost when the process ends. A refusal is no error. Redis before 7.0 cannot do it.
func (c *Client) SetSettings(ctx context.Context, want []Setting) (told ToldSettings, err error) {
	err = c.listing(ctx, "CONFIG SET", func(ctx context.Context, r *redis.Client) (err error) {
		told, err = setSettings(ctx, r, want)
		return err
	})
	return told, err
}

func setSettings(ctx context.Context, r *redis.Client, want []Setting) (told ToldSettings, err error) {
	if told.Before, err = getSettings(ctx, r, want); err != nil {
		return told, err
	}
	told.After = told.Before
	var unlike []Setting
	for _, s := range want {
		if value, known := told.Before[s.Name]; !known || value != s.Value {
			unlike = append(unlike, s)
		}
	}
	if len(unlike) == 0 {
		return told, nil
	}
	set, err := told.settable(ctx, r, unlike)
	if err != nil || len(set) == 0 || len(told.Refused) > 0 {
		return told, err
	}
	command, values := []any{"CONFIG", "SET"}, map[string]string{}
	for _, s := range set {
		command = append(command, s.Name, s.Value)
		values[s.Name] = s.Value
	}
	if err := r.Process(ctx, redis.NewStatusCmd(ctx, command...)); err != nil {
		name, why := refusal(err.Error())
		if _, ours := values[name]; !isReply(err) || !ours {
			return told, err
		}
		told.Refused = []RefusedSetting{{Setting: Setting{Name: name, Value: values[name]}, Why: why}}
		return told, nil
	}
	told.After, err = getSettings(ctx, r, want)
	return told, err
}

// settable are those of the settings that Redis changes at run time; what it says of the others goes into told.
func (told *ToldSettings) settable(ctx context.Context, r *redis.Client, settings []Setting) ([]Setting, error) {
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
