// SPDX-License-Identifier: Apache-2.0

// Command kind makes and removes the kind cluster of the tests; docs/testing.md tells more.
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

	"github.com/redisha/redisha/e2e/cluster"
)

const usage = `usage: kind up [--images pull|build] [--keep] | kind down

up    makes the cluster, or brings the images of a running one up to date
down  removes it, and whatever was done to this machine for it
`

func main() {
	var options cluster.Options
	set := pflag.NewFlagSet("kind", pflag.ContinueOnError)
	set.Usage = func() { fmt.Fprint(os.Stderr, usage, "\n", set.FlagUsages()) }
	set.StringVar(
		&options.Images, "images", "",
		"pull published images, or build all of them; whichever is possible by default, or what "+cluster.EnvImages+" says",
	)
	set.BoolVar(&options.Keep, "keep", false, "leave everything in place when up fails")
	switch err := set.Parse(os.Args[1:]); {
	case errors.Is(err, pflag.ErrHelp): // it has been printed
		return
	case err != nil || set.NArg() != 1:
		set.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch set.Arg(0) {
	case "up":
		err = up(ctx, options)
	case "down":
		err = cluster.Down(ctx, os.Stderr)
	default:
		set.Usage()
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kind:", err)
		os.Exit(1)
	}
}

func up(ctx context.Context, options cluster.Options) error {
	began := time.Now()
	c, err := cluster.Up(ctx, os.Stderr, options)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "ready after %s; make kind-down removes it\n", time.Since(began).Round(time.Second))
	fmt.Printf("export KUBECONFIG=%s\n", c.Kubeconfig)
	return nil
}
