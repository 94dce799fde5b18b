package main

import (
	"errors"
	"os"
	"syscall"
)

// errLeaseLost is why a leader ends that could not renew its lease in time.
var errLeaseLost = errors.New("leader election lost")

// leaseLost tells a lost lease from whatever else ends a manager. controller-runtime has no error to compare with, only this
// message (pkg/manager/internal.go, OnStoppedLeading); TestALeaderThatLosesItsLeaseBeginsAnewInPlace notices when it changes.
func leaseLost(err error) error {
	if err.Error() == errLeaseLost.Error() {
		return errLeaseLost
	}
	return err
}

// again has this process begin anew, as if it were just started: nothing of the leader that it was is left, neither a thought
// nor a connection. It returns only if that fails.
//
// To end would do as well, if nobody kept the next process waiting. But leases are lost when the API server or the node has too
// much to do, by one leader after the other, and of a container that ends again and again the kubelet takes its time: 10 s, then
// 20, up to 5 minutes (CrashLoopBackOff), in which nobody fails over.
func again() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, os.Environ())
}
