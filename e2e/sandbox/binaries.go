package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// KubernetesVersion is the Kubernetes release the sandbox runs; e2e/kubebin/go.mod pins the same.
const KubernetesVersion = "v1.34.4"

// EnvKubeBinDir names the environment variable that points at a folder with existing binaries; nothing is built then.
const EnvKubeBinDir = "KUBE_BIN_DIR"

// EnvCache names the environment variable with the folder below which built binaries are kept; the user's cache folder by default.
const EnvCache = "REDISHA_CACHE"

type kubeBinary struct{ name, pkg string }

var kubeBinaries = []kubeBinary{
	{"etcd", "go.etcd.io/etcd/server/v3"},
	{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"},
	{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"},
}

var kubectlBinary = kubeBinary{"kubectl", "k8s.io/kubernetes/cmd/kubectl"}

// KubeBinaries returns the folder that holds etcd, kube-apiserver and kube-controller-manager, building from Go modules those
// that are missing. A cold build takes minutes, so a line of progress is written every few seconds. Two processes asking at
// the same time build once.
func KubeBinaries(ctx context.Context, progress io.Writer) (string, error) {
	return provideBinaries(ctx, progress, kubeBinaries)
}

// Kubectl returns the path of a kubectl of the sandbox's Kubernetes version, building it when it is missing. Nothing in the
// sandbox needs it.
func Kubectl(ctx context.Context, progress io.Writer) (string, error) {
	dir, err := provideBinaries(ctx, progress, []kubeBinary{kubectlBinary})
	return filepath.Join(dir, kubectlBinary.name), err
}

func provideBinaries(ctx context.Context, progress io.Writer, binaries []kubeBinary) (string, error) {
	if dir := os.Getenv(EnvKubeBinDir); dir != "" {
		if lacking := missing(dir, binaries); len(lacking) > 0 {
			return "", fmt.Errorf("%s=%s lacks %s: put it there, or unset %s to have it built", EnvKubeBinDir, dir, lacking[0].name, EnvKubeBinDir)
		}
		return dir, nil
	}
	source, err := kubebinModule()
	if err != nil {
		return "", err
	}
	dir, err := cacheDir(source)
	if err != nil {
		return "", err
	}
	if len(missing(dir, binaries)) == 0 {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := lockFile(ctx, filepath.Join(dir, ".lock"), progress)
	if err != nil {
		return "", err
	}
	defer unlock()
	removeLeftovers(dir)
	for i, b := range missing(dir, binaries) {
		if i == 0 {
			fmt.Fprintf(progress, "building Kubernetes %s from Go modules, once for this machine (about 6 minutes on 2 cores), into %s\n", KubernetesVersion, dir)
		}
		if err := build(ctx, progress, source, dir, b); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// removeLeftovers removes what builds that were killed have left; the lock says that none is going on.
func removeLeftovers(dir string) {
	folders, _ := filepath.Glob(filepath.Join(dir, ".build-*"))
	for _, folder := range folders {
		_ = os.RemoveAll(folder)
	}
}

func missing(dir string, binaries []kubeBinary) []kubeBinary {
	var lacking []kubeBinary
	for _, b := range binaries {
		if info, err := os.Stat(filepath.Join(dir, b.name)); err != nil || info.Mode()&0o111 == 0 {
			lacking = append(lacking, b)
		}
	}
	return lacking
}

// kubebinModule finds the nested module from the working folder upwards, because a nested module cannot be embedded.
func kubebinModule() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		candidate := filepath.Join(dir, "e2e", "kubebin")
		if _, err := os.Stat(filepath.Join(candidate, "go.mod")); err == nil {
			return candidate, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no e2e/kubebin in the working folder or above: run inside the repository, or set %s to a folder with etcd, kube-apiserver and kube-controller-manager", EnvKubeBinDir)
		}
		dir = parent
	}
}

// cacheDir is keyed by everything that decides what the binaries are: the version and the pinned sums.
func cacheDir(source string) (string, error) {
	base := os.Getenv(EnvCache)
	if base == "" {
		var err error
		if base, err = os.UserCacheDir(); err != nil {
			return "", fmt.Errorf("no cache folder: set %s: %w", EnvCache, err)
		}
	}
	h := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", err
		}
		h.Write(data)
	}
	return filepath.Join(base, "redisha", fmt.Sprintf("kube-%s-%x", KubernetesVersion, h.Sum(nil)[:6])), nil
}

func lockFile(ctx context.Context, path string, progress io.Writer) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for waited := false; ; waited = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil // closing releases the lock
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if !waited {
			fmt.Fprintln(progress, "another process is building the Kubernetes binaries, waiting for it")
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// build compiles into a temporary name and renames, so that an interrupted build is never taken for a binary.
func build(ctx context.Context, progress io.Writer, source, dir string, b kubeBinary) error {
	const version, client = "k8s.io/component-base/version", "k8s.io/client-go/pkg/version"
	ldflags := fmt.Sprintf("-s -w -X %[1]s.gitVersion=%[3]s -X %[1]s.gitMajor=1 -X %[1]s.gitMinor=34 -X %[1]s.gitTreeState=clean -X %[2]s.gitVersion=%[3]s",
		version, client, KubernetesVersion)
	folder, err := os.MkdirTemp(dir, ".build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	temporary := filepath.Join(folder, b.name)
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-o", temporary, "-ldflags", ldflags, b.pkg)
	cmd.Dir = source
	// No -trimpath: with the flags of an ordinary static build the packages shared with the operator compile once.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	output := &buildOutput{}
	cmd.Stderr, cmd.Stdout = output, output
	started := time.Now()
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(5 * time.Second)
		defer ticker.Stop()
		for {
			fmt.Fprintf(progress, "  %s: %s, %s\n", b.name, output, time.Since(started).Round(time.Second))
			select {
			case <-done:
				return
			case <-ticker.C:
			}
		}
	}()
	err = cmd.Run()
	close(done)
	if err != nil {
		return fmt.Errorf("build %s: %w\n%s", b.name, err, output.tail())
	}
	fmt.Fprintf(progress, "  %s: built in %s\n", b.name, time.Since(started).Round(time.Second))
	return os.Rename(temporary, filepath.Join(dir, b.name))
}

// buildOutput counts what go build -v prints, a line for each module it downloads and each package it compiles, and keeps the text
// for an error.
type buildOutput struct {
	lines, downloads atomic.Int64
	text             bytes.Buffer
}

func (o *buildOutput) Write(p []byte) (int, error) {
	o.lines.Add(int64(bytes.Count(p, []byte{'\n'})))
	o.downloads.Add(int64(bytes.Count(p, []byte("go: downloading"))))
	return o.text.Write(p)
}

func (o *buildOutput) String() string {
	downloads := o.downloads.Load()
	compiled := fmt.Sprintf("%d packages compiled", max(o.lines.Load()-downloads, 0))
	if downloads > 0 {
		return fmt.Sprintf("%d modules downloaded, %s", downloads, compiled)
	}
	return compiled
}

func (o *buildOutput) tail() string {
	lines := strings.Split(strings.TrimSpace(o.text.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
