// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/redisha/redisha/e2e/checks"
	"github.com/redisha/redisha/e2e/sandbox"
)

// Targets of the product: the median gap, and how many times shorter it is than Sentinel's at its quickest sensible
// setting.
const (
	targetGap   = 150 * time.Millisecond
	targetRatio = 10
)

// report writes what was measured and reports whether the targets are met.
func (b *bench) report(out io.Writer) bool {
	fmt.Fprintf(out, "## Write gap after SIGKILL of the master\n\n%s\n\n", machine())
	fmt.Fprintf(
		out,
		"4 writers, one write each every 3 ms and one outstanding, timeout 250 ms; the gap is the time without any "+
			"acknowledged write.\n",
	)
	fmt.Fprintf(
		out, "Lost: acknowledged, and absent afterwards. After each kill everything was in sync again before the next.\n\n",
	)
	fmt.Fprintln(out, "| system | kills | gap p50 | p95 | max | lost / acknowledged | kills with loss | promotions |")
	fmt.Fprintln(out, "|---|--:|--:|--:|--:|--:|--:|--:|")
	for _, r := range b.rows {
		if len(r.gaps) > 0 {
			fmt.Fprintln(out, r.markdown())
		}
	}
	fmt.Fprintln(out)
	return b.judge(out)
}

func (r *row) markdown() string {
	return fmt.Sprintf(
		"| %s | %d | %s | %s | %s | %d / %d | %d | %d |", r.name, len(r.gaps), inMS(checks.Quantile(r.gaps, 0.5)),
		inMS(checks.Quantile(r.gaps, 0.95)), inMS(checks.Quantile(r.gaps, 1)), r.lost, r.acked, r.withLoss, r.promotions,
	)
}

func inMS(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}

// judge compares RedisHA with the Sentinels, by the first row of each: the client that knows the API, and the quickest
// Sentinels.
func (b *bench) judge(out io.Writer) bool {
	ours, ok := b.first("RedisHA")
	if !ok {
		fmt.Fprintln(out, "No RedisHA was measured.")
		return false
	}
	gap := checks.Quantile(ours.gaps, 0.5)
	met := gap <= targetGap
	fmt.Fprintf(out, "Median gap of RedisHA: %s (target: at most %s: %s).\n", inMS(gap), inMS(targetGap), message(met))
	theirs, ok := b.first("Redis Sentinel")
	if !ok {
		return met
	}
	ratio := float64(checks.Quantile(theirs.gaps, 0.5)) / float64(gap)
	fmt.Fprintf(
		out, "%s takes %.0f times as long (target: at least %d times: %s).\n", theirs.name, ratio, targetRatio,
		message(ratio >= targetRatio),
	)
	return met && ratio >= targetRatio
}

func (b *bench) first(prefix string) (*row, bool) {
	for _, r := range b.rows {
		if strings.HasPrefix(r.name, prefix) && len(r.gaps) > 0 {
			return r, true
		}
	}
	return nil, false
}

func message(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

// machine says on what it was measured.
func machine() string {
	return fmt.Sprintf(
		"%s; Redis and Sentinel %s, Kubernetes %s, %s; all processes on this machine, %s.", checks.Machine(),
		checks.RedisVersion(), sandbox.KubernetesVersion(), runtime.Version(), time.Now().UTC().Format(time.DateOnly),
	)
}
