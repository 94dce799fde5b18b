// SPDX-License-Identifier: Apache-2.0

// Command kubebin writes the nested module that a Kubernetes release is built from, such as e2e/kubebin/1.37 for
// v1.37.2. A newer patch release takes the place of the one before it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"

	"github.com/redisha/redisha/e2e/gobuild"
)

const kubernetes = "k8s.io/kubernetes"

// commands are what sandbox and nodes run.
var commands = []string{
	"go.etcd.io/etcd/server/v3",
	kubernetes + "/cmd/kube-apiserver",
	kubernetes + "/cmd/kube-controller-manager",
	kubernetes + "/cmd/kube-proxy",
	kubernetes + "/cmd/kube-scheduler",
	kubernetes + "/cmd/kubeadm",
	kubernetes + "/cmd/kubectl",
	kubernetes + "/cmd/kubelet",
}

const head = "// What Kubernetes %s is built from (e2e/gobuild/kubernetes.go), written by e2e/cmd/kubebin. " +
	"A module of its own, so that its\n" +
	"// dependencies are none of the operator's. k8s.io/kubernetes requires its staging modules at v0.0.0 " +
	"and replaces them by folders; a\n" +
	"// module that requires it has to replace them by their published versions.\n" +
	"module github.com/redisha/redisha/e2e/kubebin/%s\n"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 2 || !semver.IsValid(os.Args[1]) {
		fmt.Fprintln(os.Stderr, "usage: go run -C e2e ./cmd/kubebin v1.37.2")
		os.Exit(2)
	}
	if err := write(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "kubebin:", err)
		os.Exit(1)
	}
}

// write makes the module of a release. Its go.sum is made anew, so that it holds nothing of the release before.
func write(ctx context.Context, release string) error {
	root, err := gobuild.Root()
	if err != nil {
		return err
	}
	upstream, err := goModOf(ctx, release)
	if err != nil {
		return fmt.Errorf("reading the go.mod of %s: %w", release, err)
	}
	minor := strings.TrimPrefix(semver.MajorMinor(release), "v")
	folder := filepath.Join(root, "e2e", "kubebin", minor)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	module, err := moduleFor(upstream, release, minor)
	if err != nil {
		return fmt.Errorf("deriving a module from the go.mod of %s: %w", release, err)
	}
	if err := os.WriteFile(filepath.Join(folder, "go.mod"), module, 0o644); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(folder, "go.sum")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	tidy := exec.CommandContext(ctx, "go", "mod", "tidy")
	tidy.Dir, tidy.Stdout, tidy.Stderr = folder, os.Stdout, os.Stderr
	return tidy.Run()
}

func goModOf(ctx context.Context, release string) (*modfile.File, error) {
	out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", kubernetes+"@"+release).Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out) // go names the reason in the JSON
	}
	var at struct{ GoMod string }
	if err := json.Unmarshal(out, &at); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(at.GoMod)
	if err != nil {
		return nil, err
	}
	return modfile.Parse(at.GoMod, data, nil)
}

// moduleFor requires what Kubernetes itself does, in the same versions, and Kubernetes. v1.37.2 publishes its staging
// modules as v0.37.2.
func moduleFor(upstream *modfile.File, release, minor string) ([]byte, error) {
	f, err := modfile.Parse("go.mod", fmt.Appendf(nil, head, release, minor), nil)
	if err != nil {
		return nil, err
	}
	staging := "v0" + strings.TrimPrefix(release, "v1")
	errs := []error{f.AddGoStmt("1.26.0"), f.AddRequire(kubernetes, release)}
	for _, g := range upstream.Godebug { // what Kubernetes itself is built with
		errs = append(errs, f.AddGodebug(g.Key, g.Value))
	}
	for _, c := range commands {
		errs = append(errs, f.AddTool(c))
	}
	for _, r := range upstream.Require {
		errs = append(errs, f.AddRequire(r.Mod.Path, r.Mod.Version))
		if r.Mod.Version == "v0.0.0" {
			errs = append(errs, f.AddReplace(r.Mod.Path, "", r.Mod.Path, staging))
		}
	}
	for _, r := range upstream.Replace {
		if strings.HasPrefix(r.New.Path, "./staging/") {
			errs = append(errs, f.AddReplace(r.Old.Path, "", r.Old.Path, staging))
		}
	}
	f.Cleanup()
	text, err := f.Format()
	return text, errors.Join(append(errs, err)...)
}
