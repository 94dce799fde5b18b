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

// prepare sees to it that all images are there, pulled or built.
func prepare(ctx context.Context, log *steps, dir, choice string) (*plan, error) {
	if choice == "" {
		choice = os.Getenv(EnvImages)
	}
	switch choice {
	case "pull":
		return pulled(ctx, log, dir)
	case "build":
		return built(ctx, log, dir)
	case "":
	default:
		return nil, fmt.Errorf("%s is %q: it can be pull, build, or nothing for whichever is possible", EnvImages, choice)
	}
	// Whoever has built before goes on with it, without asking a registry that cannot be reached.
	if c, err := readState(dir); err == nil && c.Built || nodeImageLoaded(ctx) {
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
