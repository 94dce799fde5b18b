// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/redisha/redisha/e2e/gobuild"
	"github.com/redisha/redisha/e2e/image"
)

// nodeAddons is the module with what nodes run besides Kubernetes.
var nodeAddons = gobuild.Module{Dir: "e2e/nodebin", Key: "node", Title: "CoreDNS and local-path-provisioner"}

var (
	coredns     = gobuild.Command{Name: "coredns", Package: "github.com/redisha/redisha/e2e/nodebin/coredns"}
	provisioner = gobuild.Command{Name: "local-path-provisioner", Package: "github.com/rancher/local-path-provisioner"}
)

// builder builds images from Debian's packages and Go modules.
type builder struct {
	log     *steps
	dir     string          // where archives are kept
	release gobuild.Release // of nodes and control plane
	kube    string          // the folder with the commands of Kubernetes
	addons  string
	names   []string // under which kubeadm expects images
}

func newBuilder(log *steps, dir string) *builder {
	return &builder{log: log, dir: filepath.Join(dir, "images")}
}

// built builds whatever image is missing or out of date.
func built(ctx context.Context, log *steps, dir string, release gobuild.Release) (*plan, error) {
	b := newBuilder(log, dir)
	b.release = release
	if err := b.ingredients(ctx); err != nil {
		return nil, err
	}
	p := &plan{nodeImage: builtNode(release), built: true, images: Images{Operator: operatorImage}}
	err := log.step("images", func() (err error) {
		if b.names, err = b.kubeadmImages(ctx); err != nil {
			return err
		}
		if p.mounts, err = b.controlPlane(ctx); err != nil {
			return err
		}
		operator, err := b.operator(ctx)
		if err != nil {
			return err
		}
		p.load = append(p.load, operator)
		for _, s := range builtServers {
			archive, err := b.server(s)
			if err != nil {
				return err
			}
			p.load = append(p.load, archive)
			p.images.Servers = append(p.images.Servers, s.Server)
		}
		return b.node(ctx)
	})
	return p, err
}

// ingredients compiles and unpacks, two kinds of work that do not wait for the same things and go on at the same time.
func (b *builder) ingredients(ctx context.Context) error {
	if err := install(ctx, b.log, "mmdebstrap"); err != nil {
		return err
	}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		if b.kube, err = b.release.Module().Provide(ctx, b.log, kubeCommands()...); err != nil {
			return err
		}
		b.addons, err = nodeAddons.Provide(ctx, b.log, coredns, provisioner)
		return err
	})
	group.Go(func() error {
		systems := []debian{nodeSystem, toolsSystem}
		for _, s := range builtServers {
			systems = append(systems, s.system)
		}
		for _, system := range systems {
			if err := system.provide(ctx, b.log, b.dir); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// operator returns the archive of the operator's image, which is like the one that the Dockerfile makes.
func (b *builder) operator(ctx context.Context) (string, error) {
	return b.static(ctx, operatorImage, "./cmd/manager", "/manager", "65532:65532")
}

// static builds a command of this repository and returns the archive of an image that holds nothing else. Values are
// set as by [gobuild.Static].
func (b *builder) static(ctx context.Context, name, pkg, path, user string, values ...string) (string, error) {
	binaries := filepath.Join(b.dir, "bin")
	if err := os.MkdirAll(binaries, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(binaries, fileName(name))
	if err := gobuild.Static(ctx, b.log, file, pkg, values...); err != nil {
		return "", err
	}
	return b.binary(name, file, path, user)
}

// binary returns the archive of an image with one static binary.
func (b *builder) binary(name, file, path, user string, below ...debian) (string, error) {
	config := image.Config{
		Entrypoint: []string{path},
		User:       user,
		Env:        []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}
	key, err := fileDigest(file)
	if err != nil {
		return "", err
	}
	for _, d := range below {
		key += d.key()
	}
	return b.archive(name, config, key+path, func(layers *layers) error {
		for _, d := range below {
			if err := layers.debian(d, b.dir, toolsFiles); err != nil {
				return err
			}
		}
		return layers.add(func(l *image.Layer) error {
			if err := l.Dir("tmp", 0o777|fs.ModeSticky); err != nil {
				return err
			}
			return l.File(path, 0o755, file)
		})
	})
}

// archive returns the file of an image. It is written if there is none yet for this key, which stands for what goes
// into it.
func (b *builder) archive(name string, config image.Config, key string, fill func(*layers) error) (string, error) {
	described, err := json.Marshal(config)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(name + "\n" + key + "\n" + string(described)))
	prefix := "image-" + fileName(name)
	file := filepath.Join(b.dir, fmt.Sprintf("%s-%x.tar", prefix, sum[:6]))
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	all := &layers{dir: b.dir}
	defer all.remove()
	if err := fill(all); err != nil {
		return "", fmt.Errorf("image %s: %w", name, err)
	}
	if err := image.Write(file, name, config, all.list...); err != nil {
		return "", err
	}
	removeOthers(b.dir, prefix+"-????????????.tar", file)
	return file, nil
}

// layers are the layers of an image while it is built, the lowest first.
type layers struct {
	dir  string
	list []*image.Layer
}

func (ls *layers) add(fill func(*image.Layer) error) error {
	l, err := image.NewLayer(ls.dir)
	if err != nil {
		return err
	}
	ls.list = append(ls.list, l)
	return fill(l)
}

func (ls *layers) remove() {
	for _, l := range ls.list {
		l.Remove()
	}
}

// notNeeded is what no container reads.
var notNeeded = regexp.MustCompile(`^(usr/share/(doc|man|info|locale|lintian|bash-completion|zsh|perl5?|zoneinfo)|` +
	`usr/lib/[^/]+/(gconv|perl[^/]*)|var/(cache|lib/apt|log)|boot|dev|proc|sys|run|tmp)/.+`)

// debian adds a layer with what is needed of a file system of Debian's, and more files.
func (ls *layers) debian(d debian, dir string, more func(*image.Layer) error) error {
	return ls.add(func(l *image.Layer) error {
		if err := addDebian(l, d.file(dir), notNeeded.MatchString); err != nil {
			return err
		}
		return more(l)
	})
}

func addDebian(l *image.Layer, file string, leave func(string) bool) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return l.Tar(f, leave)
}

func fileDigest(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return fmt.Sprintf("%x", h.Sum(nil)), err
}

// fileName turns the name of an image into one for a file.
func fileName(name string) string {
	return strings.NewReplacer("/", "_", ":", "_").Replace(name)
}
