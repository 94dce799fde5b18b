// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/redisha/redisha/controllers/leader"
	"github.com/redisha/redisha/failover/executor"
	"github.com/redisha/redisha/failover/lease"
)

// leaseName is the Lease that the operator's replicas elect their leader by.
const leaseName = "redisha-operator"

// namespaceFile is where Kubernetes tells a pod its namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// askLeader bounds each question to the process of the leader.
const askLeader = 300 * time.Millisecond

// election is this process's part in the election of the leader.
type election struct {
	lease      executor.Lease
	candidate  string            // its name there
	namespace  string            // of the Lease
	succession *lease.Succession // nil without leader election
	records    resourcelock.Interface
}

// elect sets leader election up, with a lock that knows for how long the lease is certainly ours, and that knows when
// to wait for a leader and when not.
func elect(config *rest.Config, o options, kept string, mgr *ctrl.Options) (*election, error) {
	if !o.leaderElect {
		return &election{lease: leader.NoLease{}}, nil
	}
	e := &election{}
	var err error
	if e.namespace, err = leaseNamespace(o); err != nil {
		return nil, err
	}
	beacon, address := light(config, o)
	if e.candidate, err = candidate(kept, address); err != nil {
		return nil, err
	}
	lock, err := newLock(config, o, e)
	if err != nil {
		return nil, err
	}
	if e.records, err = newLock(config, o, e); err != nil {
		return nil, err
	}
	e.succession = &lease.Succession{
		Self:   e.candidate,
		Leader: lease.Peer{Within: askLeader},
		Clock:  clock.RealClock{},
		Told:   told,
	}
	guard := leader.NewGuard(lock, o.leaseDuration, clock.RealClock{})
	standing := leader.NewCandidate(guard, o.retryPeriod, e.succession, clock.RealClock{})
	e.succession.Hurry = standing.Hurry
	if beacon != nil {
		// It shines for as long as the process lives, whatever its manager does: what it tells is that the process is there.
		go func() {
			if err := beacon.Serve(context.Background(), e.candidate, standing.Doubt); err != nil {
				ctrl.Log.Error(err, "standbys cannot tell any more whether this process lives")
			}
		}()
	}
	e.lease = guard
	mgr.LeaderElection = true
	mgr.LeaderElectionID = leaseName
	mgr.LeaderElectionNamespace = e.namespace
	mgr.LeaderElectionResourceLockInterface = standing
	mgr.LeaderElectionReleaseOnCancel = true
	mgr.LeaseDuration, mgr.RenewDeadline = &o.leaseDuration, &o.renewDeadline
	mgr.RetryPeriod = ptr.To(leader.ElectorTick) // the lock waits for the rest of o.retryPeriod
	return e, nil
}

func leaseNamespace(o options) (string, error) {
	if o.leaderElectionNamespace != "" {
		return o.leaderElectionNamespace, nil
	}
	raw, err := os.ReadFile(namespaceFile)
	if err != nil {
		return "", fmt.Errorf("not running in a pod: give --leader-election-namespace, or --leader-elect=false: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

func newLock(config *rest.Config, o options, e *election) (resourcelock.Interface, error) {
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, e.namespace, leaseName,
		resourcelock.ResourceLockConfig{Identity: e.candidate}, rest.CopyConfig(config), o.renewDeadline)
	if err != nil {
		return nil, fmt.Errorf("building the leader lock: %w", err)
	}
	return lock, nil
}

// light opens the port at which standbys watch this process, and tells the address at which they find it. Without one
// this process is waited for as a silent one, if it ever leads and dies.
func light(config *rest.Config, o options) (*lease.Beacon, string) {
	if o.beaconAddress == "0" {
		return nil, ""
	}
	beacon, err := lease.Listen(o.beaconAddress)
	if err != nil {
		ctrl.Log.Error(err, "standbys will not be able to tell whether this process lives")
		return nil, ""
	}
	ip, err := addressTowards(config.Host)
	if err != nil {
		ctrl.Log.Error(err, "standbys will not be able to tell whether this process lives")
		return nil, ""
	}
	return beacon, net.JoinHostPort(ip, beacon.Port())
}

// addressTowards returns this machine's address as the server at the URL would see it. Nothing is sent.
func addressTowards(server string) (string, error) {
	if !strings.Contains(server, "://") {
		server = "https://" + server
	}
	u, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("finding our own address: %w", err)
	}
	conn, err := net.Dial("udp", net.JoinHostPort(u.Hostname(), "443"))
	if err != nil {
		return "", fmt.Errorf("finding our own address: %w", err)
	}
	defer conn.Close()
	host, _, err := net.SplitHostPort(conn.LocalAddr().String())
	return host, err
}

// watch has the succession watch the leader, with what the manager knows.
func (e *election) watch(mgr ctrl.Manager) error {
	if e.succession == nil {
		return nil
	}
	e.succession.Witnesses = leader.Witnesses{Client: mgr.GetClient()}
	e.succession.Pods = leader.Pods{Reader: mgr.GetAPIReader(), Namespace: e.namespace}
	e.succession.Records = leader.Records{Lock: e.records}
	if err := mgr.Add(e.succession); err != nil {
		return fmt.Errorf("adding the watch over the leader: %w", err)
	}
	return nil
}

// told is for the log: once a leader seems to be gone, each look at it.
func told(holder string, e lease.Evidence, after time.Duration, err error) {
	log := ctrl.Log.WithName("succession").
		WithValues("leader", holder, "connectionEnded", e.Ended, "podGone", e.PodGone, "after", after.String(),
			"redisAsked", e.Census.Asked, "answered", e.Census.Answered, "listingOperators", e.Census.Listing)
	switch {
	case err != nil:
		log.Info("the leader seems to be gone; waiting for its lease", "because", err.Error())
	case e.Dead():
		log.Info("the leader's process is dead; taking its lease over")
	default:
		log.Info("the leader seems to be gone; waiting for its lease, or for proof")
	}
}
