// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/redisha/redisha/e2e/gobuild"
	"github.com/redisha/redisha/e2e/image"
)

// Images that the manifests in this package name.
const (
	podnetImage      = "localhost/redisha/podnet:node"
	provisionerImage = "localhost/redisha/local-path-provisioner:node"
	toolsImage       = "localhost/redisha/tools:node"
)

// toolsSystem has what kube-proxy calls, and a shell for what prepares volumes.
var toolsSystem = debian{
	name:     "tools",
	suite:    "bookworm",
	packages: []string{"iptables", "conntrack", "dash", "coreutils"},
}

// toolsFiles links the variant of iptables that the kernel has native support for; a script of the package would have.
func toolsFiles(l *image.Layer) error {
	for _, name := range []string{
		"iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save",
		"ip6tables-restore",
	} {
		if err := l.Symlink("usr/sbin/"+name, "xtables-nft-multi"); err != nil {
			return err
		}
	}
	return nil
}

func kubeCommands() []gobuild.Command {
	commands := []gobuild.Command{gobuild.Etcd}
	for _, name := range []string{
		"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubeadm",
		"kubectl",
	} {
		commands = append(commands, gobuild.Kube(name))
	}
	return commands
}

// controlPlane returns the archives of the images that Kubernetes itself runs on, for the control plane and for
// workers.
func (b *builder) controlPlane(ctx context.Context) (map[bool][]string, error) {
	var everywhere, control []string
	for _, name := range b.names {
		base, _, _ := strings.Cut(filepath.Base(name), ":")
		archive, err := b.kubeImage(ctx, base, name)
		if err != nil {
			return nil, err
		}
		if slices.Contains([]string{"kube-proxy", "pause", "coredns"}, base) {
			everywhere = append(everywhere, archive)
		} else {
			control = append(control, archive)
		}
	}
	podnet, err := b.static(ctx, podnetImage, "./e2e/cluster/cmd/podnet", "/podnet", "")
	if err != nil {
		return nil, err
	}
	tools, err := b.archive(toolsImage, image.Config{}, toolsSystem.key(), func(layers *layers) error {
		return layers.debian(toolsSystem, b.dir, toolsFiles)
	})
	if err != nil {
		return nil, err
	}
	volumes, err := b.binary(
		provisionerImage, filepath.Join(b.addons, provisioner.Name), "/usr/bin/local-path-provisioner", "",
	)
	if err != nil {
		return nil, err
	}
	everywhere = append(everywhere, podnet, tools)
	return map[bool][]string{true: slices.Concat(control, everywhere, []string{volumes}), false: everywhere}, nil
}

// kubeadmImages are the names under which kubeadm expects images.
func (b *builder) kubeadmImages(ctx context.Context) ([]string, error) {
	text, err := run(
		ctx, filepath.Join(b.kube, "kubeadm"), "config", "images", "list", "--kubernetes-version",
		b.release.Version,
	)
	if err != nil {
		return nil, err
	}
	return strings.Fields(text), nil
}

func (b *builder) kubeImage(ctx context.Context, base, name string) (string, error) {
	binary := filepath.Join(b.kube, base)
	switch base {
	case "kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd":
		return b.binary(name, binary, "/usr/local/bin/"+base, "")
	case "kube-proxy":
		return b.binary(name, binary, "/usr/local/bin/kube-proxy", "", toolsSystem)
	case "coredns":
		return b.binary(name, filepath.Join(b.addons, "coredns"), "/coredns", "")
	case "pause":
		return b.static(ctx, name, "./e2e/cluster/cmd/pause", "/pause", "65535:65535")
	}
	return "", fmt.Errorf("kubeadm asks for image %s, which this program cannot build", name)
}

// pauseOf returns which of the names is the one of pause.
func pauseOf(names []string) string {
	return names[slices.IndexFunc(names, func(name string) bool { return strings.Contains(name, "/pause:") })]
}
