package cluster

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/redisha/redisha/e2e/gobuild"
)

// publishedNode is the node image of Kubernetes 1.34 that was published with the version of kind in go.mod.
const publishedNode = "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d"

// operatorImage is the name of the operator's image in the cluster, whatever it is made from.
const operatorImage = "localhost/redisha/operator:e2e"

var publishedServers = []Server{
	{"Redis 7.4", "docker.io/library/redis:7.4"},
	{"Redis 8.0", "docker.io/library/redis:8.0"},
	{"Valkey 8.1", "docker.io/valkey/valkey:8.1"},
}

// pulled takes published images, and has Docker build the operator's from the Dockerfile.
func pulled(ctx context.Context, log *steps, dir string) (*plan, error) {
	p := &plan{nodeImage: publishedNode, images: Images{Operator: operatorImage, Servers: publishedServers}}
	wanted := []string{publishedNode}
	names := []string{operatorImage}
	for _, server := range publishedServers {
		wanted = append(wanted, server.Image)
		names = append(names, server.Image)
	}
	for _, name := range wanted {
		if err := log.step("image "+name, func() error { return pull(ctx, name) }); err != nil {
			return nil, fmt.Errorf("%w (with %s=build no registry is needed)", err, EnvImages)
		}
	}
	if err := log.step("image "+operatorImage, func() error { return dockerBuild(ctx) }); err != nil {
		return nil, err
	}
	archive := filepath.Join(dir, "pulled.tar")
	if _, err := run(ctx, "docker", append([]string{"save", "--output", archive}, names...)...); err != nil {
		return nil, err
	}
	p.load = []string{archive}
	return p, nil
}

// pull pulls an image that the engine does not have.
func pull(ctx context.Context, name string) error {
	if _, err := run(ctx, "docker", "image", "inspect", name); err == nil {
		return nil
	}
	_, err := run(ctx, "docker", "pull", "--quiet", name)
	return err
}

// dockerBuild builds the operator's image as a user would. The network is the host's because an engine that we have started has no
// other.
func dockerBuild(ctx context.Context) error {
	root, err := gobuild.Root()
	if err != nil {
		return err
	}
	_, err = runWith(ctx, nil, []string{"DOCKER_BUILDKIT=1"}, "docker", "build", "--network", "host", "--tag", operatorImage, root)
	return err
}
