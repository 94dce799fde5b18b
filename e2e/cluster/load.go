package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// Load imports the images of an archive, as docker save writes it, into all workers.
func (c *Cluster) Load(ctx context.Context, archive string) error {
	return load(ctx, c.Workers, archive)
}

func load(ctx context.Context, nodes []string, archives ...string) error {
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
	_, err = runWith(ctx, f, nil, "docker", "exec", "--interactive", node, "ctr", "--namespace", "k8s.io", "images", "import", "--all-platforms", "-")
	if err != nil {
		return fmt.Errorf("import %s into %s: %w", filepath.Base(archive), node, err)
	}
	return nil
}

// LoadBinary builds a command of this repository into an image that holds nothing but that binary, as its entrypoint, and has it on
// all nodes, the control plane's too: a client that has to outlive its workers runs there. A pod that uses it needs imagePullPolicy IfNotPresent or Never. Its user is not root.
func (c *Cluster) LoadBinary(ctx context.Context, progress io.Writer, image, pkg string) error {
	b := &builder{log: newSteps(progress), dir: filepath.Join(c.dir, "images")}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	return b.log.step("image "+image, func() error {
		archive, err := b.static(ctx, image, pkg, "/"+filepath.Base(pkg), "65532:65532")
		if err != nil {
			return err
		}
		return load(ctx, append([]string{ControlPlane}, c.Workers...), archive)
	})
}
