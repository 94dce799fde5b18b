// SPDX-License-Identifier: Apache-2.0

// Package testbed is what the demo, the benchmark, the integration tests and the scenarios run on: in a sandbox, the
// shipped manifests installed and the shipped operator running as the ServiceAccount that they name, one process
// leading and one standing by.
package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/sandbox"
)

// Options say what differs from the usual testbed.
type Options struct {
	// Operators is how many operator processes run; 2 when zero.
	Operators int
	// ManagerArgs are added to the arguments of each.
	ManagerArgs []string
	// LogDir receives the operators' logs, and a kubeconfig. Required.
	LogDir string
	// Progress receives a line for each step; nothing is said when nil.
	Progress io.Writer
}

// Testbed is a sandbox with the operator running in it. Its methods may be called concurrently.
type Testbed struct {
	Sandbox *sandbox.Sandbox
	// Client may do everything and reads from the API server itself.
	Client client.WithWatch
	// Kube is the same for what has generated clients.
	Kube kubernetes.Interface
	// Clients is where applications run.
	Clients *sandbox.Host

	options    Options
	kubeconfig string
	binary     string

	mu        sync.Mutex
	operators []*Operator
	started   int
}

// Up installs the manifests of config/ and starts the operator. It returns when one of the operator processes leads and
// all are ready.
func Up(ctx context.Context, s *sandbox.Sandbox, options Options) (*Testbed, error) {
	if options.Operators == 0 {
		options.Operators = 2
	}
	if options.Progress == nil {
		options.Progress = io.Discard
	}
	b := &Testbed{Sandbox: s, options: options}
	if err := b.up(ctx); err != nil {
		b.Down()
		return nil, err
	}
	return b, nil
}

func (b *Testbed) up(ctx context.Context) error {
	var err error
	if b.binary, err = managerBinary(); err != nil {
		return err
	}
	if err := b.connect(); err != nil {
		return err
	}
	fmt.Fprintln(b.options.Progress, "installing the definition of RedisHA and the operator's rights")
	if err := b.install(ctx); err != nil {
		return fmt.Errorf("install config/default: %w", err)
	}
	fmt.Fprintln(b.options.Progress, "starting the operator")
	for range b.options.Operators {
		if _, err := b.StartOperator(); err != nil {
			return err
		}
	}
	return b.waitOperators(ctx)
}

func (b *Testbed) connect() error {
	scheme, err := Scheme()
	if err != nil {
		return err
	}
	if b.Client, err = client.NewWithWatch(b.Sandbox.AdminConfig(), client.Options{Scheme: scheme}); err != nil {
		return err
	}
	if b.Kube, err = kubernetes.NewForConfig(b.Sandbox.AdminConfig()); err != nil {
		return err
	}
	if b.Clients, err = b.Sandbox.NewHost("clients"); err != nil {
		return err
	}
	b.kubeconfig = filepath.Join(b.options.LogDir, "operator.kubeconfig")
	return b.Sandbox.WriteKubeconfig(b.kubeconfig, sandbox.OperatorUser)
}

// Scheme knows the kinds of Kubernetes and ours.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))
}

// Down ends the operator processes. It may be called twice; the sandbox is its owner's to stop.
func (b *Testbed) Down() {
	for _, o := range b.Operators() {
		o.Kill()
	}
	if b.Clients != nil {
		_ = b.Clients.Close()
	}
}
