// SPDX-License-Identifier: Apache-2.0

// Command podnet is the network of the pods on a kind node that was built here: a CNI configuration for the node's own
// range of addresses, and a route to every other node's. All nodes share a link, so routes are all it takes.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "podnet:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	self := os.Getenv("NODE_NAME")
	if self == "" {
		return errors.New("NODE_NAME is not set: the node cannot know which of the ranges is its own")
	}
	// What goes from a pod to a pod elsewhere passes through the node.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return err
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	nodes := factory.Core().V1().Nodes()
	changed := make(chan struct{}, 1)
	notice := func() {
		select {
		case changed <- struct{}{}:
		default: // noticed already
		}
	}
	if _, err := nodes.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notice() },
		UpdateFunc: func(_, _ any) { notice() },
		DeleteFunc: func(any) { notice() },
	}); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), nodes.Informer().HasSynced) {
		return ctx.Err()
	}
	follow(ctx, self, nodes.Lister(), changed)
	return nil
}

// follow makes the network what the nodes say whenever one of them changes, and once a minute anyway. What fails is
// tried again after a second.
func follow(ctx context.Context, self string, nodes listers.NodeLister, changed <-chan struct{}) {
	for {
		wait := time.Minute
		if err := apply(self, nodes); err != nil {
			fmt.Fprintln(os.Stderr, "podnet:", err)
			wait = time.Second
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-time.After(wait):
		}
	}
}

func apply(self string, lister listers.NodeLister) error {
	nodes, err := lister.List(labels.Everything())
	if err != nil {
		return err
	}
	var own string
	var others []*corev1.Node
	for _, node := range nodes {
		if node.Name == self {
			own = node.Spec.PodCIDR
		} else if node.Spec.PodCIDR != "" {
			others = append(others, node)
		}
	}
	if err := setRoutes(others); err != nil {
		return err
	}
	if own == "" {
		return fmt.Errorf("node %s has no range of addresses yet", self)
	}
	return writeConfig(own)
}
