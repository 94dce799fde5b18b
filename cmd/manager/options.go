// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/redisha/redisha/controllers/podstate"
	"github.com/redisha/redisha/failover/lease"
	"github.com/redisha/redisha/failover/prober"
)

// options are the manager's flags.
type options struct {
	metricsAddress, probeAddress string
	beaconAddress                string
	namespaces                   string
	leaderElect                  bool
	leaderElectionNamespace      string
	leaseDuration, renewDeadline time.Duration
	retryPeriod                  time.Duration
	probePeriod, probeTimeout    time.Duration
	concurrentFailovers          int
	drainTaints                  string
	version                      bool
	zap                          zap.Options
}

// Leader election is quick on purpose: while no operator leads, none fails over. A Redis command
// may take a second, so the lease must outlive the deadline for renewing it by more than that.
const (
	defaultLeaseDuration = 5 * time.Second
	defaultRenewDeadline = 3500 * time.Millisecond
	defaultRetryPeriod   = 500 * time.Millisecond
	maxCommand           = time.Second
)

func parseOptions(flags *flag.FlagSet, args []string) (options, error) {
	o := options{}
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080", "Address of the metrics endpoint; 0 turns it off.")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address of /healthz and /readyz.")
	flags.StringVar(
		&o.beaconAddress,
		"leader-watch-bind-address",
		":8082",
		"Address at which standbys watch whether this process lives; 0 turns it off: a dead leader's lease is then always "+
			"waited for.",
	)
	flags.StringVar(&o.namespaces, "namespaces", "", "Comma-separated namespaces to watch; empty: all.")
	flags.BoolVar(&o.leaderElect, "leader-elect", true,
		"Elect a leader among the operator's replicas; only the leader acts. Turn off for a single process only.")
	flags.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", "",
		"Namespace of the Lease; empty: the operator's own.")
	flags.DurationVar(&o.leaseDuration, "leader-lease-duration", defaultLeaseDuration,
		"How long a silent leader is waited for. One whose process is known to be dead is not.")
	flags.DurationVar(&o.renewDeadline, "leader-renew-deadline", defaultRenewDeadline,
		"How long the leader tries to renew its lease before it stops by itself.")
	flags.DurationVar(&o.retryPeriod, "leader-retry-period", defaultRetryPeriod,
		"How often the lease is renewed or tried for.")
	flags.DurationVar(&o.probePeriod, "probe-period", prober.DefaultPeriod,
		"How often each Redis is asked how it is. The end of a process is noticed at once, whatever this is.")
	flags.DurationVar(&o.probeTimeout, "probe-timeout", prober.DefaultProbeTimeout,
		"How long an answer may take before a Redis counts as silent.")
	flags.IntVar(&o.concurrentFailovers, "concurrent-failovers", 256,
		"How many RedisHA are worked on at the same time. One namespace gets half of that at most.")
	flags.StringVar(
		&o.drainTaints,
		"drain-taints",
		strings.Join(podstate.DrainTaints(), ","),
		"Comma-separated keys of taints that a Kubernetes node has before it is removed; masters are switched over then.",
	)
	flags.BoolVar(&o.version, "version", false, "Print what this was built from, and end.")
	o.zap.BindFlags(flags)
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("reading flags: %w", err)
	}
	return o, o.validate()
}

func (o options) validate() error {
	var errs []error
	if o.leaseDuration-o.renewDeadline <= maxCommand {
		errs = append(errs, fmt.Errorf(
			"--leader-lease-duration (%s) must exceed --leader-renew-deadline (%s) by more than %s, the longest Redis command",
			o.leaseDuration, o.renewDeadline, maxCommand,
		))
	}
	if o.renewDeadline <= o.retryPeriod*12/10 {
		errs = append(errs, fmt.Errorf(
			"--leader-renew-deadline (%s) must exceed 1.2 times --leader-retry-period (%s)", o.renewDeadline, o.retryPeriod,
		))
	}
	if o.probePeriod < 10*time.Millisecond || o.probeTimeout < 50*time.Millisecond {
		errs = append(errs, fmt.Errorf(
			"--probe-period (%s) must be at least 10ms, --probe-timeout (%s) at least 50ms", o.probePeriod, o.probeTimeout,
		))
	}
	if o.concurrentFailovers < 1 {
		errs = append(errs, errors.New("--concurrent-failovers must be at least 1"))
	}
	return errors.Join(errs...)
}

// watched returns the namespaces to watch; none means all.
func (o options) watched() []string { return list(o.namespaces) }

// list splits what a flag lists.
func list(commas string) []string {
	return strings.FieldsFunc(commas, func(r rune) bool { return r == ',' || r == ' ' })
}

// identity is a name that nothing else has: the host's, the address at which the process is found if there is one, and
// something new, with an underscore between each two, which no host name has. It tells a process in Redis's CLIENT LIST
// from the one that it was before it began anew, whose connections are to be cut.
func identity(address string) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("finding the host name: %w", err)
	}
	return lease.Prefix(host, address) + string(uuid.NewUUID()), nil
}
