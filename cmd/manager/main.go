// SPDX-License-Identifier: Apache-2.0

// Command manager is the RedisHA operator.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/failover"
	"github.com/redisha/redisha/controllers/requests"
	"github.com/redisha/redisha/controllers/workload"

	"github.com/redisha/redisha/failover/executor"
	"github.com/redisha/redisha/failover/lease"
	"github.com/redisha/redisha/failover/prober"
)

func main() {
	me, err := run(ctrl.SetupSignalHandler(), os.Getenv(candidateVar))
	if errors.Is(err, errLeaseLost) {
		fmt.Fprintf(os.Stderr, "redisha: %v; beginning anew\n", err)
		err = beginAnew(me)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "redisha:", err)
		os.Exit(1)
	}
}

// run is the operator until it ends. It returns the name by which it stood for election; kept is the one that it had
// before it began anew, if it did.
func run(ctx context.Context, kept string) (candidate string, err error) {
	o, err := parseOptions(flag.CommandLine, os.Args[1:])
	if err != nil {
		return "", err
	}
	if o.version {
		fmt.Println("redisha", builtFrom())
		return "", nil
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&o.zap)))
	ctrl.Log.Info("starting", "version", builtFrom())
	config, err := ctrl.GetConfig()
	if err != nil {
		return "", fmt.Errorf("finding the cluster (give --kubeconfig, or run in a pod): %w", err)
	}
	// One limit for all would queue the writes of a RedisHA, and the renewals of the lease, behind those of any other. The
	// controllers have a budget for each namespace and each RedisHA, and the API server protects itself by fairness.
	config.QPS = -1
	me, err := identity("")
	if err != nil {
		return "", err
	}
	mgrOptions, err := managerOptions(o)
	if err != nil {
		return "", err
	}
	e, err := elect(config, o, kept, &mgrOptions)
	if err != nil {
		return "", err
	}
	mgr, err := ctrl.NewManager(config, mgrOptions)
	if err != nil {
		return "", fmt.Errorf("building the manager: %w", err)
	}
	if err := e.watch(mgr); err != nil {
		return "", err
	}
	if err := addControllers(mgr, o, e.lease, me); err != nil {
		return "", err
	}
	if err := mgr.Start(ctx); err != nil {
		return e.candidate, fmt.Errorf("running: %w", leaseLost(err))
	}
	return e.candidate, nil
}

func managerOptions(o options) (ctrl.Options, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return ctrl.Options{}, fmt.Errorf("building the scheme: %w", err)
		}
	}
	mapper, err := newMapper(scheme)
	if err != nil {
		return ctrl.Options{}, err
	}
	cacheOptions := cache.Options{ByObject: map[client.Object]cache.ByObject{}}
	// Of the kinds that a cluster is full of, only what belongs to a RedisHA is kept in memory.
	ours := labels.NewSelector()
	if r, err := labels.NewRequirement(v1alpha1.LabelName, selection.Exists, nil); err == nil {
		ours = ours.Add(*r)
	}
	for _, kind := range owned() {
		cacheOptions.ByObject[kind] = cache.ByObject{Label: ours}
	}
	for _, ns := range o.watched() {
		if cacheOptions.DefaultNamespaces == nil {
			cacheOptions.DefaultNamespaces = map[string]cache.Config{}
		}
		cacheOptions.DefaultNamespaces[ns] = cache.Config{}
	}
	return ctrl.Options{
		Scheme:                 scheme,
		MapperProvider:         func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return mapper, nil },
		Cache:                  cacheOptions,
		NewCache:               newWaitingCache,
		Metrics:                metricsserver.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress: o.probeAddress,
	}, nil
}

func addControllers(mgr ctrl.Manager, o options, right executor.Lease, me string) error {
	inbox := &requests.Inbox{}
	// The recorder for events.k8s.io takes Events that differ in their note alone for one.
	events := mgr.GetEventRecorderFor("redisha") //nolint:staticcheck // see above
	failovers := &failover.Reconciler{
		Client:      mgr.GetClient(),
		Reader:      mgr.GetAPIReader(),
		Recorder:    events,
		Clock:       clock.RealClock{},
		Lease:       right,
		Prober:      prober.Options{Period: o.probePeriod, ProbeTimeout: o.probeTimeout, Name: lease.ConnectionPrefix + me},
		Concurrent:  o.concurrentFailovers,
		DrainTaints: list(o.drainTaints),
		OnPersisted: onPersisted(),
		Version:     version,
		Inbox:       inbox,
	}
	if err := failovers.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting the failover controller up: %w", err)
	}
	workloads := &workload.Reconciler{
		Client:      mgr.GetClient(),
		APIReader:   mgr.GetAPIReader(),
		Recorder:    events,
		StatusDelay: time.Second,
		Trial:       failovers,
		Teller:      failovers,
		Persists:    failovers.Persists,
	}
	if err := workloads.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting the workload controller up: %w", err)
	}
	asked := &requests.Reconciler{
		Client:     mgr.GetClient(),
		APIReader:  mgr.GetAPIReader(),
		Namespaces: o.watched(),
		Clock:      clock.RealClock{},
		Inbox:      inbox,
		Wake:       failovers.Wake,
	}
	if err := asked.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("setting the requests controller up: %w", err)
	}
	if err := mgr.AddHealthzCheck("healthz", healthz.Ping); err != nil {
		return fmt.Errorf("adding the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("readyz", cachesFull(mgr.GetCache())); err != nil {
		return fmt.Errorf("adding the readiness check: %w", err)
	}
	return nil
}
