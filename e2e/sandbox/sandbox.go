// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
)

// Options say what differs from the sandbox that everybody wants. The zero value is that sandbox.
type Options struct {
	// Nodes is how many nodes there are, named sandbox-0 and so on; 3 when zero.
	Nodes int
	// Users are known to the API server besides AdminUser and OperatorUser.
	Users []User
	// Images says what images consist of besides the machine's files, by full name. Names whose last path element is redis
	// or valkey need no entry.
	Images map[string]Image
	// LogDir receives the logs of control plane and containers and outlives the sandbox. Otherwise logs go with it.
	LogDir string
	// RestartBackOff is how long a container that ended twice in a row waits, doubling up to RestartBackOffMax; the
	// kubelet's 10 s and 5 min when zero. As in a kubelet the first restart is immediate.
	RestartBackOff, RestartBackOffMax time.Duration
	// ServiceLag is how long at most Services lead where they led before an EndpointSlice changed, each time another part
	// of it at random. A kube-proxy applies a change at once if it did nothing for a second, and waits up to a second and
	// more where endpoints change all the time. Nothing when zero.
	ServiceLag time.Duration
	// Progress receives a line for each step of the start; nothing is said when nil.
	Progress io.Writer
}

func (o *Options) complete() {
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.RestartBackOff == 0 {
		o.RestartBackOff = 10 * time.Second
	}
	if o.RestartBackOffMax == 0 {
		o.RestartBackOffMax = 5 * time.Minute
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
}

// Sandbox is a running cluster. Its methods may be called concurrently.
type Sandbox struct {
	options           Options
	dir               string
	logs              string
	control           *controlPlane
	network           *network
	faults            *faults
	runner            *runner
	log               *slog.Logger // of the pod runner and the other parts that stand in for a node's
	logFile           *os.File
	outsideKubeconfig string
	stop              context.CancelFunc
	stopped           sync.WaitGroup // what the context ends
}

// running guards the fixed ports and addresses.
var running sync.Mutex

// Start brings up a cluster: control plane first, then nodes, pod runner, provisioner and service proxy. It
// returns when the API server is ready and pods can run. There is one sandbox at a time in a process; the context
// bounds the start only.
func Start(ctx context.Context, options Options) (*Sandbox, error) {
	if !Inside() {
		return nil, errors.New(
			"sandbox.Start needs the namespaces made by sandbox.Enter: call it first thing in main or TestMain",
		)
	}
	if !running.TryLock() {
		return nil, errors.New("a sandbox is running in this process: stop it first")
	}
	options.complete()
	if options.Nodes > maxNodes {
		running.Unlock()
		return nil, fmt.Errorf("%d nodes: the sandbox has room for %d", options.Nodes, maxNodes)
	}
	s := &Sandbox{options: options, network: newNetwork(), faults: newFaults(), stop: func() {}}
	if err := s.start(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Sandbox) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := s.prepareFolders(); err != nil {
		return err
	}
	binaries := os.Getenv(EnvKubeBinDir)
	var err error
	s.control, err = newControlPlane(
		binaries, filepath.Join(s.dir, "control"), filepath.Join(s.logs, "control"),
		append(standardUsers(), s.options.Users...),
	)
	if err != nil {
		return err
	}
	if err := s.WriteKubeconfig(s.control.file("manager.kubeconfig"), controllerManagerUser); err != nil {
		return err
	}
	fmt.Fprintln(s.options.Progress, "starting etcd and kube-apiserver")
	if err := s.control.start(ctx, s.AdminConfig()); err != nil {
		return err
	}
	if err := errors.Join(s.control.manager.start(), s.control.scheduler.start()); err != nil {
		return err
	}
	if err := s.openBridge(); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(s.mustConfig(runnerUser))
	if err != nil {
		return err
	}
	if err := createBasics(ctx, client, s.options.Nodes); err != nil {
		return err
	}
	fmt.Fprintln(s.options.Progress, "starting pod runner, provisioner and service proxy")
	return s.startNode(ctx, client)
}

func (s *Sandbox) prepareFolders() error {
	base := os.Getenv(envStateDir)
	dir, err := os.MkdirTemp(filepath.Join(base, "run"), "")
	if err != nil {
		return err
	}
	s.dir, s.logs = dir, filepath.Join(dir, "logs")
	if s.options.LogDir != "" {
		if s.logs, err = filepath.Abs(s.options.LogDir); err != nil {
			return err
		}
	}
	s.outsideKubeconfig = filepath.Join(base, "kubeconfig")
	if err := os.MkdirAll(filepath.Join(s.logs, "control"), 0o755); err != nil {
		return err
	}
	s.logFile, err = os.OpenFile(filepath.Join(s.logs, "control", "node.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	s.log = slog.New(slog.NewTextHandler(s.logFile, nil))
	return err
}

// startNode starts what a node has and what watches the API in its place.
func (s *Sandbox) startNode(ctx context.Context, client kubernetes.Interface) error {
	background, cancel := context.WithCancel(context.Background())
	factory := informers.NewSharedInformerFactory(client, 0)
	events, stopEvents := newRecorder(client)
	s.stop = func() { cancel(); stopEvents() }
	s.runner = newRunner(s, client, events, factory)
	server, err := newNodeServer(s.runner, s.control, s.options.Nodes)
	if err != nil {
		return err
	}
	parts := []interface{ run(context.Context) }{
		s.runner,
		server,
		newProvisioner(client, s.log, factory, filepath.Join(s.dir, "volumes")),
		newServiceProxy(factory, s.faults, s.log, s.options.Nodes, s.options.ServiceLag),
	}
	factory.Start(background.Done())
	for kind, ok := range factory.WaitForCacheSync(ctx.Done()) {
		if !ok {
			return fmt.Errorf("watch %s: %w", kind, ctx.Err())
		}
	}
	for _, part := range parts {
		s.stopped.Go(func() { part.run(background) })
	}
	return nil
}

// Stop ends every process of the sandbox. It is safe to call twice.
func (s *Sandbox) Stop() {
	if s.network == nil {
		return
	}
	s.stop()
	if s.control != nil {
		s.control.stop()
	}
	s.stopped.Wait()
	_ = s.HealAll()
	s.logFile.Close()
	_ = os.RemoveAll(s.dir)
	s.network = nil
	running.Unlock()
}

// APIServerAddr returns the address that clients inside the sandbox reach the API server at, for parting it from
// others.
func (s *Sandbox) APIServerAddr() netip.Addr { return apiServerAddr }

// StopAPIServer kills kube-apiserver without notice. Pods and Services go on as they are, as on real nodes.
func (s *Sandbox) StopAPIServer(ctx context.Context) error {
	s.control.apiServer.stop(ctx, syscall.SIGKILL)
	return ctx.Err()
}

// StartAPIServer starts kube-apiserver again and waits until it is ready.
func (s *Sandbox) StartAPIServer(ctx context.Context) error {
	return s.control.startAPIServer(ctx, s.AdminConfig())
}

// Sleep waits for that long, and returns an error when the context ends before.
func Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// WaitFor polls condition until it is true, fails or the context ends; the error says what was waited for.
func WaitFor(ctx context.Context, what string, condition func(context.Context) (bool, error)) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		ok, err := condition(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("waiting for %s: %w", what, err)
		case ok && err == nil:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-ticker.C:
		}
	}
}
