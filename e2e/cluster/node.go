// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/redisha/redisha/e2e/gobuild"
	"github.com/redisha/redisha/e2e/image"
)

// builtNode returns the name of the node image that is built here.
func builtNode(release gobuild.Release) string { return "kindest/node:" + release.Version + "-redisha" }

// recipeLabel is where an image in the engine says what it was made from.
const recipeLabel = "io.redisha.recipe"

// nodeSystem is what a node boots. Debian 12, because its systemd is the last one in a Debian that boots on a machine
// with version 1 of cgroups; on version 2 it boots as well.
var nodeSystem = debian{name: "node", suite: "bookworm", system: true, packages: []string{
	"systemd",
	"systemd-sysv",
	"containerd",
	"runc",
	"containernetworking-plugins",
	"iptables",
	"nftables",
	"conntrack",
	"ipset",
	"iproute2",
	"procps",
	"kmod",
	"ethtool",
	"socat",
	"mount",
	"util-linux",
	"ca-certificates",
	"curl",
}}

//go:embed node manifests
var files embed.FS

// notInNode are units that a node does without: they wait for devices, write where nothing can be written, or belong to
// no package.
var notInNode = regexp.MustCompile(
	`^(usr/)?(lib|etc)/systemd/system/(multi-user|local-fs|basic|timers|getty|remote-fs)\.target\.wants/.|` +
		`systemd/system/sockets\.target\.wants/.*(udev|initctl)|` +
		`systemd/system/sysinit\.target\.wants/(systemd-tmpfiles-setup\.service|systemd-udev|systemd-journal-flush)|` +
		`^(usr/share/(doc|man|info|locale|lintian)|var/(cache|lib/apt/lists|log)|dev|proc|sys|run|tmp)/.`,
)

// nodeImageLoaded reports whether the engine has a node image of the release that was built here.
func nodeImageLoaded(ctx context.Context, release gobuild.Release) bool {
	_, err := run(ctx, "docker", "image", "inspect", builtNode(release))
	return err == nil
}

// node sees to it that the engine has the node image: Debian, the files of kind's own node image, the commands of
// Kubernetes, and our manifests for network and storage. The images of the control plane are not part of it; they are
// mounted.
func (b *builder) node(ctx context.Context) error {
	kindFiles, err := kindSource(ctx)
	if err != nil {
		return err
	}
	recipe, err := b.nodeRecipe(kindFiles)
	if err != nil {
		return err
	}
	loaded, err := run(
		ctx,
		"docker",
		"image",
		"inspect",
		"--format",
		`{{index .Config.Labels "`+recipeLabel+`"}}`,
		builtNode(b.release),
	)
	if err == nil && loaded == recipe {
		return nil
	}
	config := image.Config{Entrypoint: []string{"/usr/local/bin/entrypoint", "/sbin/init"}, StopSignal: "SIGRTMIN+3",
		Env: []string{"container=docker"}, Labels: map[string]string{recipeLabel: recipe}}
	archive, err := b.archive(builtNode(b.release), config, recipe, func(layers *layers) error {
		err := layers.add(func(l *image.Layer) error { return addDebian(l, nodeSystem.file(b.dir), notInNode.MatchString) })
		if err != nil {
			return err
		}
		return layers.add(func(l *image.Layer) error { return b.nodeFiles(l, kindFiles, pauseOf(b.names)) })
	})
	if err != nil {
		return err
	}
	defer os.Remove(archive) // the engine has it
	_, err = run(ctx, "docker", "load", "--quiet", "--input", archive)
	return err
}

// kindSource returns the folder with the files of kind's node image, of the version in e2e/go.mod.
func kindSource(ctx context.Context) (string, error) {
	root, err := gobuild.Root()
	if err != nil {
		return "", err
	}
	dir, err := run(ctx, "go", "-C", filepath.Join(root, "e2e"), "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kind")
	return filepath.Join(dir, "images", "base", "files"), err
}

// nodeRecipe stands for everything that decides what the node image is.
func (b *builder) nodeRecipe(kindFiles string) (string, error) {
	recipe := []string{"1", nodeSystem.key(), filepath.Base(b.kube), kindFiles, notInNode.String()}
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := files.ReadFile(path)
		recipe = append(recipe, path, string(text))
		return err
	})
	sum := sha256.Sum256([]byte(strings.Join(recipe, "\n")))
	return fmt.Sprintf("%x", sum[:6]), err
}

// nodeFiles adds what makes a Debian a node of kind.
func (b *builder) nodeFiles(l *image.Layer, kindFiles, pause string) error {
	for _, name := range []string{"etc", "kind"} {
		err := l.Tree(name, filepath.Join(kindFiles, name), func(name string) fs.FileMode {
			switch {
			case name == containerdConfig:
				return 0 // it comes changed
			case strings.HasPrefix(name, "kind/bin/"):
				return 0o755
			}
			return 0o644
		})
		if err != nil {
			return err
		}
	}
	if err := l.File("usr/local/bin/entrypoint", 0o755, filepath.Join(kindFiles, "usr/local/bin/entrypoint")); err != nil {
		return err
	}
	for _, name := range []string{"kubelet", "kubeadm", "kubectl"} {
		if err := l.File("usr/bin/"+name, 0o755, filepath.Join(b.kube, name)); err != nil {
			return err
		}
	}
	if err := b.nodeTexts(l, kindFiles, pause); err != nil {
		return err
	}
	return nodeLinks(l)
}

const containerdConfig = "etc/containerd/config.toml"

var (
	sandboxImage = regexp.MustCompile(`sandbox_image = "[^"]*"`)
	restrictOOM  = regexp.MustCompile(`restrict_oom_score_adj = \w+`)
	baseSpec     = regexp.MustCompile(`(?m)^ *base_runtime_spec = .*\n`)
)

func (b *builder) nodeTexts(l *image.Layer, kindFiles, pause string) error {
	config, err := os.ReadFile(filepath.Join(kindFiles, containerdConfig))
	if err != nil {
		return err
	}
	text := sandboxImage.ReplaceAllLiteralString(string(config), fmt.Sprintf("sandbox_image = %q", pause))
	// Where CAP_SYS_RESOURCE is lacking no process may be made less likely to be killed than containerd itself.
	text = restrictOOM.ReplaceAllLiteralString(text, "restrict_oom_score_adj = true")
	// kind adds a hook to all containers there, which hides the machine's serial number; there is nothing to hide here.
	text = baseSpec.ReplaceAllLiteralString(text, "")
	texts := map[string]string{
		containerdConfig:                        text,
		"etc/systemd/journald.conf.d/kind.conf": "[Journal]\nReadKMsg=no\n", // the kernel's messages are the machine's
		"kind/version":                          b.release.Version,
	}
	for name, source := range map[string]string{
		"kind/manifests/default-cni.yaml":          "manifests/cni.yaml",
		"kind/manifests/default-storage.yaml":      "manifests/storage.yaml",
		"kind/bin/import-images":                   "node/import-images",
		"etc/systemd/system/import-images.service": "node/import-images.service",
	} {
		data, err := files.ReadFile(source)
		if err != nil {
			return err
		}
		texts[name] = string(data)
	}
	for name, text := range texts {
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(name, "kind/bin/") {
			mode = 0o755
		}
		if err := l.Text(name, mode, text); err != nil {
			return err
		}
	}
	return nil
}

// nodeLinks enables and masks units, which are links as well, and puts commands where kind looks for them.
func nodeLinks(l *image.Layer) error {
	const system = "etc/systemd/system/"
	links := map[string]string{
		system + "default.target":  "/lib/systemd/system/multi-user.target",
		"usr/local/bin/containerd": "/usr/bin/containerd",
		"usr/local/bin/ctr":        "/usr/bin/ctr",
		"usr/local/sbin/runc":      "/usr/sbin/runc",
		"opt/cni/bin":              "/usr/lib/cni",
	}
	for _, unit := range []string{"containerd", "kubelet", "undo-mount-hacks", "import-images"} {
		links[system+"multi-user.target.wants/"+unit+".service"] = "/" + system + unit + ".service"
	}
	for _, unit := range []string{
		"systemd-logind.service", "getty.target", "console-getty.service", "systemd-binfmt.service",
	} {
		links[system+unit] = "/dev/null"
	}
	for name, target := range links {
		if err := l.Symlink(name, target); err != nil {
			return err
		}
	}
	for _, folder := range []string{"etc/kubernetes/manifests", "etc/cni/net.d", "var/lib/kubelet"} {
		if err := l.Dir(folder, 0o755); err != nil {
			return err
		}
	}
	return nil
}
