// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"

	"github.com/redisha/redisha/api/v1alpha1"
)

// contestant is a Redis with whatever guards it.
type contestant struct {
	name, client string
	route        string // of the chaos client
	faults       []fault
	suffer       func(ctx context.Context, f fault) row
}

// all are the faults that are compared.
var all = []fault{kill, deletion, hang}

// contestants begin with the one that the others are compared to.
var contestants = []contestant{
	{name: "RedisHA", client: "Service", route: "service", faults: all, suffer: sufferAsRedisHA},
	guardedBy("Sentinel 1000", all, guarding{DownAfter: 1000}),
	guardedBy("Sentinel 5000", all, guarding{DownAfter: 5000}),
	guardedBy("Sentinel 5000, AOF, preStop", []fault{kill, deletion}, guarding{DownAfter: 5000, Careful: true}),
}

func sufferAsRedisHA(ctx context.Context, f fault) row {
	GinkgoHelper()
	s := create(ctx, "", v1alpha1.RedisHASpec{})
	s.Settle()
	s.write(ctx, s.MasterPod(), "--streams=service/plain,service/wait")
	f.story(s.Scene)
	return s.row
}

func guardedBy(name string, faults []fault, how guarding) contestant {
	return contestant{
		name:   name,
		client: "asks Sentinel",
		route:  "sentinel",
		faults: faults,
		suffer: func(ctx context.Context, f fault) row {
			GinkgoHelper()
			s := guard(ctx, how)
			s.write(
				ctx, s.victim, "--streams=sentinel/plain,sentinel/wait", "--sentinels="+s.sentinels(),
				"--sentinel-master="+s.key.Name,
			)
			s.suffer(ctx, f)
			return s.row
		},
	}
}

// In turn, so that what else the machine does meets them all alike; Ordered, for Ginkgo would put those of a kind
// together.
var _ = Describe("Side by side", Label("compare"), Ordered, ContinueOnFailure, func() {
	rounds := count()
	for i := range rounds {
		for _, f := range all {
			for _, c := range contestants {
				if c.takesPart(i, rounds) {
					c.compete(f, i+1)
				}
			}
		}
	}
})

// takesPart says whether a contestant is in a round. Sentinels take longer than RedisHA, and may be in fewer, evenly
// spread.
func (c contestant) takesPart(round, rounds int) bool {
	if c.route != "sentinel" {
		return true
	}
	n := min(number(envSentinelCount, rounds), rounds)
	return round*n%rounds < n
}

// compete is one run, with a Redis of its own: nothing that happened before slows it down or holds it back, neither the
// kubelet's pause before a container's next start nor a Sentinel's before its next failover.
func (c contestant) compete(f fault, run int) {
	for _, mine := range c.faults {
		if mine.name != f.name {
			continue
		}
		It(fmt.Sprintf("%s: %s (%d)", f.name, c.name, run), SpecTimeout(2*perScenario), func(ctx SpecContext) {
			m := measured{System: c.name, Client: c.client, Fault: f.name, route: c.route}
			DeferCleanup(func() {
				m.row.Failed = CurrentSpecReport().Failed()
				compared.Add(m)
			})
			m.row = c.suffer(ctx, f)
			AddReportEntry("clients", m.String())
		})
	}
}
