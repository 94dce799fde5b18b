// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/redisha/redisha/e2e/gobuild"
)

// Provided says how an application is started, or why it cannot be.
type Provided struct {
	Argv    []string `json:"argv,omitempty"`
	Env     []string `json:"env,omitempty"`
	Version string   `json:"version,omitempty"`
	Lacking string   `json:"lacking,omitempty"`
}

// envProvided hands what was provided outside of the sandbox, where there is a network, to the inside.
const envProvided = "REDISHA_CLIENTS"

// Prepare is for sandbox.Enter: it provides what the applications need, installing and building what is missing, and
// says so. An application whose runtime cannot be had is no error; Read tells why.
func Prepare(libraries []Library) func(context.Context) error {
	return func(ctx context.Context) error {
		provided, err := provide(ctx, os.Stderr, libraries)
		if err != nil {
			return err
		}
		text, err := json.Marshal(provided)
		if err != nil {
			return err
		}
		return os.Setenv(envProvided, string(text))
	}
}

// Read returns what Prepare has provided, by the application's name.
func Read() (map[string]Provided, error) {
	provided := map[string]Provided{}
	if err := json.Unmarshal([]byte(os.Getenv(envProvided)), &provided); err != nil {
		return nil, fmt.Errorf("no applications were provided: %w", err)
	}
	return provided, nil
}

func provide(ctx context.Context, progress io.Writer, libraries []Library) (map[string]Provided, error) {
	root, err := gobuild.Root()
	if err != nil {
		return nil, err
	}
	machine := &machine{programs: filepath.Join(root, "e2e/clients/programs"), progress: progress}
	had := map[string]installed{}
	provided := map[string]Provided{}
	for _, l := range libraries {
		i, known := had[l.runtime]
		if !known {
			i = machine.install(ctx, l.runtime)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if i.err != nil {
				fmt.Fprintf(progress, "left out, for want of %s: %v\n", l.runtime, i.err)
			}
			had[l.runtime] = i
		}
		provided[l.Name] = i.provided(l)
	}
	return provided, nil
}

func (i installed) provided(l Library) Provided {
	if i.err != nil {
		return Provided{Lacking: i.err.Error()}
	}
	p := Provided{Argv: i.command(l.program), Env: i.env, Version: i.versions[l.module]}
	if l.tuned {
		p.Env = append(p.Env[:len(p.Env):len(p.Env)], "SETTINGS=tuned")
	}
	return p
}
