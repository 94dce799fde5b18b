// SPDX-License-Identifier: Apache-2.0

// Command simulate plays schedules of the failover simulator and ends with 1 if one breaks a promise.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/redisha/redisha/failover/simulator"
)

func main() {
	schedules := flag.Int("runs", 10000, "how many schedules to play")
	seed := flag.Uint64("seed", 0, "seed of the first schedule; 0: a fresh one")
	workers := flag.Int("workers", runtime.GOMAXPROCS(0), "how many to play at the same time")
	defects := flag.Bool("defects", false, "instead, switch on each deliberate defect and see that it is caught")
	tell := flag.Bool(
		"tell", false, "instead, write what happens in each schedule: two versions that decide the same write the same",
	)
	flag.Parse()
	// A schedule keeps little alive and makes much garbage: collecting it seldom halves the time.
	debug.SetGCPercent(800)
	if *seed == 0 {
		*seed = uint64(rand.Uint32())
	}
	if *tell {
		os.Exit(tellAll(*seed, *schedules))
	}
	if *defects {
		os.Exit(showDefects(*seed, *schedules, *workers))
	}
	began := time.Now()
	played, stop := showProgress(*schedules)
	stats, finding := simulator.Run(*seed, *schedules, *workers, played)
	stop()
	fmt.Printf("seeds %d to %d: %s; %s\n", *seed, *seed+uint64(*schedules)-1, stats, time.Since(began).Round(time.Second))
	if finding != nil {
		finding.Write(os.Stdout)
		os.Exit(1)
	}
}

func tellAll(seed uint64, schedules int) int {
	out := bufio.NewWriter(os.Stdout)
	err := errors.Join(simulator.Tell(seed, schedules, out), out.Flush())
	if err != nil {
		fmt.Fprintln(os.Stderr, "simulate:", err)
		return 1
	}
	return 0
}

// showProgress writes a line every few seconds, until stop is called.
func showProgress(schedules int) (played, stop func()) {
	var count atomic.Int64
	ticker, done := time.NewTicker(5*time.Second), make(chan struct{})
	go func() {
		for {
			select {
			case <-ticker.C:
				fmt.Fprintf(os.Stderr, "  %d of %d schedules\n", count.Load(), schedules)
			case <-done:
				return
			}
		}
	}()
	return func() { count.Add(1) }, func() { ticker.Stop(); close(done) }
}

// showDefects prints which defect is caught by which promise, and returns the exit status.
func showDefects(seed uint64, schedules, workers int) int {
	status := 0
	fmt.Printf(
		"seeds from %d, at most %d schedules each\n%-58s %-12s %9s  %s\n", seed, schedules, "defect", "caught by",
		"schedules", "how",
	)
	for c := range simulator.Defects(seed, schedules, workers) {
		by := c.Invariant
		if by == "" {
			by, status = "NOT CAUGHT", 1
		}
		fmt.Printf("%-58s %-12s %9d  %s\n", c.Defect, by, c.Schedules, c.Sentence)
	}
	return status
}
