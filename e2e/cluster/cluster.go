// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/redisha/redisha/e2e/gobuild"
)

// Name is the name of the cluster. Its containers are called redisha-control-plane, redisha-worker, redisha-worker2 and
// so on.
const Name = "redisha"

// ControlPlane is the name of the node with the API server, and of its container.
const ControlPlane = Name + "-control-plane"

// EnvImages names the environment variable that says where images come from: pull or build. Without it they are pulled
// where that is possible, and built where it is not.
const EnvImages = "KIND_IMAGES"

// Options are what Up can be told.
type Options struct {
	// Images is pull, build, or nothing for whichever is possible.
	Images string
	// Keep leaves everything in place when Up fails, for a person to look at.
	Keep bool
}

// Server is an image of a Redis or a Valkey, each with a shell and redis-cli or valkey-cli.
type Server struct {
	Name  string // Redis 7.0
	Image string
}

// Images are the names of the images that the nodes of a cluster hold.
type Images struct {
	Operator string
	Servers  []Server
}

// Cluster is a running cluster.
type Cluster struct {
	Kubeconfig string // the path of the file
	Images     Images
	Built      bool // whether the images were built here
	Workers    []string
	Loaded     []string // archives, named by what is in them, that workers have imported

	dir string
}

// Config returns what a client needs to talk to the cluster as its administrator.
func (c *Cluster) Config() (*rest.Config, error) {
	return clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
}

// Open returns the cluster that an earlier Up has made, without looking whether it is well.
func Open() (*Cluster, error) {
	dir, err := stateDir()
	if err != nil {
		return nil, err
	}
	c, err := readState(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("there is no kind cluster: make kind-up makes one")
	}
	return c, err
}

func stateDir() (string, error) { return gobuild.CacheDir("kind") }

func stateFile(dir string) string { return filepath.Join(dir, "cluster.json") }

func readState(dir string) (*Cluster, error) {
	data, err := os.ReadFile(stateFile(dir))
	if err != nil {
		return nil, err
	}
	c := &Cluster{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("%s: %w", stateFile(dir), err)
	}
	c.dir = dir
	return c, nil
}

func (c *Cluster) writeState() error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(stateFile(c.dir), data, 0o644)
}

// locked takes the lock under which clusters are made and removed.
func locked(ctx context.Context, progress io.Writer, dir string) (func(), error) {
	return gobuild.Lock(ctx, filepath.Join(dir, ".lock"), func() {
		fmt.Fprintln(progress, "another process makes or removes the cluster, waiting for it")
	})
}
