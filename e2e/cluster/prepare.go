// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"os"

	"github.com/redisha/redisha/e2e/gobuild"
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
	release, err := gobuild.Kubernetes()
	if err != nil {
		return nil, err
	}
	switch choice {
	case "pull":
		return pulled(ctx, log, dir, release)
	case "build":
		return built(ctx, log, dir, release)
	}
	// Whoever has built before goes on with it, without asking a registry that cannot be reached.
	if c, err := readState(dir); err == nil && c.Built || nodeImageLoaded(ctx, release) {
		return built(ctx, log, dir, release)
	}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err != nil {
		fmt.Fprintln(
			log,
			"this machine has version 1 of cgroups, on which the systemd of the published nodes does not boot; building all "+
				"images",
		)
		return built(ctx, log, dir, release)
	}
	node := publishedNodes[release.Minor]
	err = log.step("pulling "+node, func() error { return pull(ctx, node) })
	if err == nil {
		return pulled(ctx, log, dir, release)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	fmt.Fprintf(log, "no image can be pulled (%v); building all of them\n", err)
	return built(ctx, log, dir, release)
}
