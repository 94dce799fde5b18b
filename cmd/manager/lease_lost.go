// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/redisha/redisha/failover/lease"
)

// errLeaseLost is why a leader ends that could not renew its lease in time.
var errLeaseLost = errors.New("leader election lost")

// leaseLost tells a lost lease from whatever else ends a manager. controller-runtime has no error to compare with, only
// this message (pkg/manager/internal.go, OnStoppedLeading); TestALeaderThatLosesItsLeaseBeginsAnewInPlace notices when
// it changes.
func leaseLost(err error) error {
	if err.Error() == errLeaseLost.Error() {
		return errLeaseLost
	}
	return err
}

// candidateVar is the environment variable by which a process that begins anew keeps its name in the leader election.
const candidateVar = "REDISHA_ELECTION_CANDIDATE"

// candidate names this process in the Lease: by the name that it had before it began anew, if it did, or by a new one.
// The lease may have been lost without a successor, because the API server was away. It is waited for before another
// may take it, but not by who holds it. The name tells the address at which standbys watch the process, if there is
// one; begun anew it is watched there again.
func candidate(kept, address string) (string, error) {
	fresh, err := identity(address)
	if err != nil {
		return "", err
	}
	same := lease.Host(kept) == lease.Host(fresh) && lease.Address(kept) == lease.Address(fresh)
	if strings.Contains(kept, "_") && same { // and not what a person gave all processes alike
		return kept, nil
	}
	return fresh, nil
}

// beginAnew executes this process anew, and keeps its identity in the election. No state and no connection of the
// leader that it was is left. It returns only if that fails.
//
// To end would do as well, if the next process were not kept waiting. But leases are lost when the API server or the
// node has too much to do, by one leader after the other, and of a container that ends again and again the kubelet
// takes its time: 10 s, then 20, up to 5 minutes (CrashLoopBackOff), in which no operator fails over.
func beginAnew(candidate string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	environment := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, candidateVar+"=") })
	environment = append(environment, candidateVar+"="+candidate)
	return syscall.Exec(self, os.Args, environment) //nolint:gosec // it is this program, with the arguments that it has
}
