// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/redisha/redisha/e2e/gobuild"
)

// publishedNodes are the node images that were published with the version of kind in e2e/go.mod, by minor release.
// Their patch releases are not those that are built here.
var publishedNodes = map[string]string{
	"1.35": "kindest/node:v1.35.8@sha256:07b2536e30b803ed61d1677a79df6115f798ce64c80f9e22f6ed45afd09323c0",
	"1.36": "kindest/node:v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed",
	"1.37": "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5",
}

// operatorImage is the name of the operator's image in the cluster, whatever it is made from.
const operatorImage = "localhost/redisha/operator:e2e"

var publishedServers = []Server{
	{"Redis 7.4", "docker.io/library/redis:7.4"},
	{"Redis 8.0", "docker.io/library/redis:8.0"},
	{"Valkey 8.1", "docker.io/valkey/valkey:8.1"},
}

// pulled takes published images.
func pulled(ctx context.Context, log *steps, dir string, release gobuild.Release) (*plan, error) {
	node := publishedNodes[release.Minor]
	p := &plan{nodeImage: node, images: Images{Operator: operatorImage, Servers: publishedServers}}
	names := []string{node}
	for _, server := range publishedServers {
		names = append(names, server.Image)
	}
	for _, name := range names {
		if err := log.step("image "+name, func() error { return pull(ctx, name) }); err != nil {
			return nil, fmt.Errorf("%w (with %s=build no registry is needed)", err, EnvImages)
		}
	}
	return p, log.step("image "+operatorImage, func() error {
		operator, err := operatorArchive(ctx, log, dir)
		if err != nil {
			return err
		}
		servers := filepath.Join(dir, "pulled.tar")
		p.load = []string{operator, servers}
		_, err = run(ctx, "docker", append([]string{"save", "--output", servers}, names[1:]...)...)
		return err
	})
}

// operatorArchive has Docker build the operator's image as a user would. In an engine of ours it cannot: nothing that
// runs there reaches the Go modules.
func operatorArchive(ctx context.Context, log *steps, dir string) (string, error) {
	if _, ours, _ := ourEngine(dir); ours {
		return newBuilder(log, dir).operator(ctx)
	}
	root, err := gobuild.Root()
	if err != nil {
		return "", err
	}
	if _, err := runWith(
		ctx, nil, []string{"DOCKER_BUILDKIT=1"}, "docker", "build", "--tag", operatorImage, root,
	); err != nil {
		return "", err
	}
	archive := filepath.Join(dir, "operator.tar")
	_, err = run(ctx, "docker", "save", "--output", archive, operatorImage)
	return archive, err
}

// pull pulls an image that the engine does not have.
func pull(ctx context.Context, name string) error {
	if _, err := run(ctx, "docker", "image", "inspect", name); err == nil {
		return nil
	}
	_, err := run(ctx, "docker", "pull", "--quiet", name)
	return err
}
