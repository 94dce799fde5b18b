// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"
)

// Load imports the images of an archive, as docker save writes it, into all nodes.
func (c *Cluster) Load(ctx context.Context, archive string) error {
	return importAll(ctx, append([]string{ControlPlane}, c.Workers...), []string{archive})
}

// loadNew imports what a plan has for the workers, but for what they have.
func (c *Cluster) loadNew(ctx context.Context, p *plan) error {
	lacking := p.load
	if p.built { // the name of an archive tells what is in it
		lacking = slices.DeleteFunc(
			slices.Clone(p.load),
			func(archive string) bool { return slices.Contains(c.Loaded, archive) },
		)
	}
	if err := importAll(ctx, c.Workers, lacking); err != nil {
		return err
	}
	c.Loaded = p.load
	return c.writeState()
}

func importAll(ctx context.Context, nodes, archives []string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, node := range nodes {
		group.Go(func() error {
			for _, archive := range archives {
				if err := importInto(ctx, node, archive); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func importInto(ctx context.Context, node, archive string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = runWith(ctx, f, nil, "docker", "exec", "--interactive", node,
		"ctr", "--namespace", "k8s.io", "images", "import", "--all-platforms", "-")
	if err != nil {
		return fmt.Errorf("import %s into %s: %w", filepath.Base(archive), node, err)
	}
	return nil
}

// LoadBinary builds a command of this repository into an image that holds nothing but that binary, as its entrypoint,
// and has it on all nodes. A pod that uses it needs imagePullPolicy IfNotPresent or Never. Its user is not root. Values
// are set as by [gobuild.Static].
func (c *Cluster) LoadBinary(ctx context.Context, progress io.Writer, image, pkg string, values ...string) error {
	b := newBuilder(newSteps(progress), c.dir)
	return b.log.step("image "+image, func() error {
		archive, err := b.static(ctx, image, pkg, "/"+filepath.Base(pkg), "65532:65532", values...)
		if err != nil {
			return err
		}
		return c.Load(ctx, archive)
	})
}

// LoadProgram has a static binary of this machine on all nodes, as an image that holds nothing else, in the same way as
// LoadBinary.
func (c *Cluster) LoadProgram(ctx context.Context, progress io.Writer, image, binary string) error {
	b := newBuilder(newSteps(progress), c.dir)
	return b.log.step("image "+image, func() error {
		archive, err := b.binary(image, binary, "/"+filepath.Base(binary), "65532:65532")
		if err != nil {
			return err
		}
		return c.Load(ctx, archive)
	})
}
