// SPDX-License-Identifier: Apache-2.0

// Command sandbox runs a Kubernetes cluster without container engine and root until it is interrupted, and prints the
// KUBECONFIG line with which kubectl on the machine talks to it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/redisha/redisha/e2e/sandbox"
)

type flags struct {
	buildOnly bool
	kubectl   bool
	nodes     int
	logDir    string
	apply     []string
}

func parse() flags {
	var f flags
	set := pflag.NewFlagSet("sandbox", pflag.ContinueOnError)
	set.BoolVar(&f.buildOnly, "build-only", false, "build the Kubernetes binaries that are missing and end")
	set.BoolVar(&f.kubectl, "kubectl", false, "build a kubectl of the same version too and print its path")
	set.IntVar(&f.nodes, "nodes", 3, "how many nodes there are")
	set.StringVar(
		&f.logDir, "log-dir", "", "folder for the logs of control plane and pods; without it they go with the sandbox",
	)
	set.StringSliceVar(&f.apply, "apply", nil, "files or folders of manifests to apply at the start")
	switch err := set.Parse(os.Args[1:]); {
	case errors.Is(err, pflag.ErrHelp): // it has been printed
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(2)
	}
	return f
}

func main() {
	if !sandbox.IsHelper() {
		f := parse()
		if f.buildOnly {
			exit(buildOnly(f))
		}
		if f.kubectl && !sandbox.Inside() {
			path, err := sandbox.Kubectl(context.Background(), os.Stderr)
			if err != nil {
				exit(err)
			}
			fmt.Println("kubectl:", path)
		}
	}
	sandbox.Enter()
	exit(run(parse()))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func buildOnly(f flags) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := sandbox.KubeBinaries(ctx, os.Stderr)
	if err == nil && f.kubectl {
		_, err = sandbox.Kubectl(ctx, os.Stderr)
	}
	if err == nil {
		fmt.Println(dir)
	}
	return err
}

func run(f flags) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	s, err := sandbox.Start(ctx, sandbox.Options{Nodes: f.nodes, LogDir: f.logDir, Progress: os.Stderr})
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := s.ApplyYAML(ctx, f.apply...); err != nil {
		return err
	}
	fmt.Fprintf(
		os.Stderr, "ready after %s; ctrl-C ends it and leaves nothing behind\n",
		time.Since(began).Round(10*time.Millisecond),
	)
	fmt.Printf("export KUBECONFIG=%s\n", s.OutsideKubeconfig())
	<-ctx.Done()
	return nil
}
