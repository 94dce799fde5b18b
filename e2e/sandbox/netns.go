// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// newNetNS makes a network namespace that lives as long as the returned file is open or a process runs in it.
func newNetNS() (*os.File, error) {
	type result struct {
		file *os.File
		err  error
	}
	results := make(chan result)
	go func() {
		// Never unlocked: the thread has changed its namespace and is thrown away with the goroutine.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			results <- result{err: fmt.Errorf("make a network namespace: %w", err)}
			return
		}
		file, err := os.Open("/proc/thread-self/ns/net")
		results <- result{file, err}
	}()
	r := <-results
	return r.file, r.err
}

// inNetNS runs f on a thread that is in the network namespace. What f opens stays in that namespace.
func inNetNS(ns *os.File, f func() error) error {
	results := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked, as above
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			results <- fmt.Errorf("enter a network namespace: %w", err)
			return
		}
		results <- f()
	}()
	return <-results
}
