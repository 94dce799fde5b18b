// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"os"
)

// plan is what a cluster is made of.
type plan struct {
	nodeImage string
	built     bool
	// mounts are the archives that a node imports while it boots, by its role.
	mounts map[bool][]string // true: control plane
	// load are archives that are imported when the cluster stands.
	load   []string
	images Images
}

// choice returns where images come from, as far as it was said.
func choice(options Options) (string, error) {
	said := options.Images
	if said == "" {
		said = os.Getenv(EnvImages)
	}
	switch said {
	case "", "pull", "build":
		return said, nil
	}
	return "", fmt.Errorf("%s is %q: it can be pull, build, or nothing for whichever is possible", EnvImages, said)
}

// prepare sees to it that all images are there, pulled or built.
func prepare(ctx context.Context, log *steps, dir, choice string) (*plan, error) {
	switch choice {
	case "pull":
		return pulled(ctx, log, dir)
	case "build":
		return built(ctx, log, dir)
	}
	// Whoever has built before goes on with it, without asking a registry that cannot be reached.
	if c, err := readState(dir); err == nil && c.Built || nodeImageLoaded(ctx) {
		return built(ctx, log, dir)
	}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err != nil {
		fmt.Fprintln(
			log,
			"this machine has version 1 of cgroups, on which the systemd of the published nodes does not boot; building all "+
				"images",
		)
		return built(ctx, log, dir)
	}
	err := log.step("pulling "+publishedNode, func() error { return pull(ctx, publishedNode) })
	if err == nil {
		return pulled(ctx, log, dir)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	fmt.Fprintf(log, "no image can be pulled (%v); building all of them\n", err)
	return built(ctx, log, dir)
}
