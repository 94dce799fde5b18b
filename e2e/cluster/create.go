// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kind "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/log"
)

const workers = 3

// create makes the cluster, in place of what a creation that was killed has left.
func create(ctx context.Context, out *steps, dir string, p *plan, keep bool) (*Cluster, error) {
	if err := errors.Join(deleteNodes(), os.RemoveAll(stateFile(dir)), os.RemoveAll(kubeconfigFile(dir))); err != nil {
		return nil, err
	}
	if err := errors.Join(createNetwork(ctx), raiseFence(ctx)); err != nil {
		return nil, err
	}
	// kind's own network is shared with other clusters; ours goes when the cluster goes.
	if err := os.Setenv("KIND_EXPERIMENTAL_DOCKER_NETWORK", networkName); err != nil {
		return nil, err
	}
	audit, err := auditMount(dir)
	if err != nil {
		return nil, err
	}
	config := p.config(audit)
	provider := kind.NewProvider(kind.ProviderWithDocker(), kind.ProviderWithLogger(logger{out}))
	began := time.Now()
	var failure error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failure = provider.Create(
			Name, kind.CreateWithV1Alpha4Config(config), kind.CreateWithKubeconfigPath(kubeconfigFile(dir)),
			kind.CreateWithRetain(keep), kind.CreateWithDisplayUsage(false),
		)
	}()
	select {
	case <-ended:
		if failure != nil {
			return nil, fmt.Errorf("kind: %w", failure)
		}
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), abandon(ended))
	}
	fmt.Fprintf(out, "  ✓ %-60s %6.1f s\n", "cluster", time.Since(began).Seconds())
	c := &Cluster{Kubeconfig: kubeconfigFile(dir), Images: p.images, Built: p.built, dir: dir}
	nodes, err := provider.ListNodes(Name)
	if err != nil {
		return nil, err
	}
	for _, node := range nodes {
		if name := node.String(); strings.HasPrefix(name, Name+"-worker") {
			c.Workers = append(c.Workers, name)
		}
	}
	slices.Sort(c.Workers)
	return c, c.writeState()
}

// abandon ends a creation that is not waited for any more. kind cannot be told to stop, so the nodes are removed under
// its hands until it gives up.
func abandon(ended <-chan struct{}) error {
	for {
		if err := deleteNodes(); err != nil {
			return err
		}
		select {
		case <-ended:
			return deleteNodes()
		case <-time.After(time.Second):
		}
	}
}

func deleteNodes() error {
	provider := kind.NewProvider(kind.ProviderWithDocker())
	return provider.Delete(Name, os.DevNull) // kubeconfig is removed by itself
}

// config describes the nodes: what they are, which archives they import, and what else the control plane has mounted.
func (p *plan) config(control ...v1alpha4.Mount) *v1alpha4.Cluster {
	config := &v1alpha4.Cluster{KubeadmConfigPatches: []string{kubeadmPatch, kubeletPatch}}
	for i := range 1 + workers {
		node := v1alpha4.Node{Role: v1alpha4.WorkerRole, Image: p.nodeImage}
		if i == 0 {
			node.Role = v1alpha4.ControlPlaneRole
			node.ExtraMounts = control
		}
		for _, archive := range p.mounts[i == 0] {
			node.ExtraMounts = append(node.ExtraMounts, v1alpha4.Mount{HostPath: archive, Readonly: true,
				ContainerPath: path.Join("/kind/images", filepath.Base(archive))})
		}
		config.Nodes = append(config.Nodes, node)
	}
	return config
}

// running returns the cluster that runs, or nothing where there is none. One that is not as planned, or not well, is an
// error: it may be in use, by a test that has just frozen a node, and only a person knows.
func running(ctx context.Context, dir string, p *plan) (*Cluster, error) {
	c, _ := readState(dir)
	if c == nil {
		return nil, nil
	}
	err := c.asPlanned(ctx, p)
	if err == nil {
		err = c.ready(ctx, time.Minute)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("the cluster that is there cannot be used as it is: %w (make kind-down removes it)", err)
	}
	c.Images = p.images
	return c, c.writeState()
}

// asPlanned looks whether the nodes run, from the image of the plan, and with an audit log.
func (c *Cluster) asPlanned(ctx context.Context, p *plan) error {
	image, err := run(ctx, "docker", "image", "inspect", "--format", "{{.Id}}", p.nodeImage)
	if err != nil {
		return err
	}
	for _, node := range append([]string{ControlPlane}, c.Workers...) {
		state, err := run(ctx, "docker", "inspect", "--format", "{{.State.Status}} {{.Image}}", node)
		if err != nil {
			return err
		}
		status, from, _ := strings.Cut(state, " ")
		if status != "running" {
			return fmt.Errorf("node %s is %s", node, status)
		}
		if from != image {
			return fmt.Errorf("node %s was made from another image than %s is now", node, p.nodeImage)
		}
	}
	return hasAuditLog(ctx)
}

// logger passes on what kind tells.
type logger struct{ out *steps }

func (l logger) Warn(message string) {
	// That the network is ours is meant so, and that version 1 of cgroups goes away is not for today.
	if strings.Contains(message, "dragons") || strings.Contains(message, "KIND_EXPERIMENTAL") ||
		strings.Contains(message, "cgroup v1") {
		return
	}
	l.print(message)
}
func (l logger) Warnf(format string, args ...any)  { l.Warn(fmt.Sprintf(format, args...)) }
func (l logger) Error(message string)              { l.print(message) }
func (l logger) Errorf(format string, args ...any) { l.print(fmt.Sprintf(format, args...)) }

func (l logger) V(level log.Level) log.InfoLogger { return info{l, level == 0} }

func (l logger) print(message string) { fmt.Fprintf(l.out, "    %s\n", strings.TrimSpace(message)) }

type info struct {
	logger
	enabled bool
}

func (i info) Info(message string) {
	if i.enabled {
		i.print(message)
	}
}
func (i info) Infof(format string, args ...any) { i.Info(fmt.Sprintf(format, args...)) }
func (i info) Enabled() bool                    { return i.enabled }
