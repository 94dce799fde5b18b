// SPDX-License-Identifier: Apache-2.0

// Command chaos is the chaos client as a pod: it writes to a RedisHA from inside the cluster, the ways that
// applications do, until it is told to stop; then it looks up every write that was acknowledged, prints one JSON
// document, and ends.
//
// It writes in four streams at once: through the master's Service and to the address in its EndpointSlice, plain and
// with WAIT 1. Streams that ask Redis Sentinel for the master are for a Redis that has no RedisHA. It is told to stop
// by SIGTERM or by a request of /stop. /readyz answers 200 once every stream has had a write acknowledged, /progress
// tells how far each of them is.
//
// A request of /stay makes one more client connect to the present master and stay with it whatever happens;
// /stay/write?writes=50 makes it send so many writes at once. What became of them is in the result.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// options are the flags.
type options struct {
	namespace, service string
	sentinels, master  string
	client             string
	passwordFile       string
	streams            string
	writers            int
	interval, timeout  time.Duration
	verifyWithin       time.Duration
	listen             string
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	o := options{}
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.StringVar(
		&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "Namespace of the RedisHA; the pod's own by default.",
	)
	flags.StringVar(&o.service, "service", "cache-master", "Service that leads to the master.")
	flags.StringVar(
		&o.sentinels, "sentinels", "", "Comma-separated addresses of Redis Sentinels, for streams that ask them.",
	)
	flags.StringVar(&o.master, "sentinel-master", "cache", "Name under which the Sentinels know the master.")
	flags.StringVar(
		&o.client, "client", os.Getenv("HOSTNAME"),
		"Begins every key, so that two clients do not write each other's; the pod's name by default.",
	)
	flags.StringVar(&o.passwordFile, "password-file", "", "File that holds the password of Redis; none when empty.")
	flags.StringVar(&o.streams, "streams", "service/plain,service/wait,pods/plain,pods/wait",
		"Comma-separated streams to write: service, pods or sentinel, a slash, and plain or wait.")
	flags.IntVar(&o.writers, "writers", 2, "Writers of each stream.")
	flags.DurationVar(&o.interval, "interval", 10*time.Millisecond, "Time from one write of a writer to its next.")
	flags.DurationVar(&o.timeout, "timeout", 250*time.Millisecond, "How long a write or a dial may take.")
	flags.DurationVar(
		&o.verifyWithin, "verify-within", time.Minute, "How long the master may take to answer for the writes at the end.",
	)
	flags.StringVar(&o.listen, "listen", ":8080", "Address of /readyz, /progress and /stop.")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.namespace == "" {
		return o, errors.New("give --namespace, or set POD_NAMESPACE")
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	password, err := readPassword(o.passwordFile)
	if err != nil {
		return err
	}
	streams, err := open(ctx, kube, o, password)
	if err != nil {
		return err
	}
	defer streams.close()
	who := &stayer{kube: kube, options: o, password: password}
	defer who.close()
	stopped, err := serve(ctx, o.listen, streams, who)
	if err != nil {
		return err
	}
	<-stopped
	return finish(streams, who, o.verifyWithin, os.Stdout)
}

func readPassword(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	return strings.TrimSpace(string(text)), err
}

// finish ends everything, and prints what became of it. It looks for the writes for so long.
func finish(s streams, who *stayer, within time.Duration, out io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	result := s.finish(ctx)
	stayed, err := who.outcome(ctx)
	if result.Stayed = stayed; err != nil {
		result.Unheard = err.Error()
	}
	if err := json.NewEncoder(out).Encode(result); err != nil {
		return err
	}
	for _, r := range result.Streams {
		if r.Unverified != "" {
			return fmt.Errorf("the writes of %s could not be looked up: %s", r.Name, r.Unverified)
		}
	}
	return nil
}
