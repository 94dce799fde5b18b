// Command simulate plays schedules of the failover simulator and ends with 1 if one breaks a promise.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"github.com/redisha/redisha/failover/simulator"
)

func main() {
	schedules := flag.Int("runs", 10000, "how many schedules to play")
	seed := flag.Uint64("seed", 0, "seed of the first schedule; 0: a fresh one")
	workers := flag.Int("workers", runtime.GOMAXPROCS(0), "how many to play at the same time")
	flag.Parse()
	if *seed == 0 {
		*seed = uint64(rand.Uint32())
	}
	began := time.Now()
	stats, finding := simulator.Run(*seed, *schedules, *workers)
	fmt.Printf("seeds %d to %d: %s; %s\n", *seed, *seed+uint64(*schedules)-1, stats, time.Since(began).Round(time.Second))
	if finding != nil {
		finding.Write(os.Stdout)
		os.Exit(1)
	}
}
