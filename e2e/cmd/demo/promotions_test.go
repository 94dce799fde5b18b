// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/redisha/redisha/api/v1alpha1"
)

func statusOf(pod string, published, begun int64) *v1alpha1.RedisHAStatus {
	return &v1alpha1.RedisHAStatus{
		Master:   &v1alpha1.MasterStatus{NodeRef: v1alpha1.NodeRef{Pod: pod, PodUID: "uid of " + pod}, Epoch: published},
		Failover: &v1alpha1.FailoverStatus{Epoch: begun},
	}
}

func TestPromotionsBeyondTheOneThatAFaultCallsForAreFalse(t *testing.T) {
	tests := map[string]struct {
		seen []*v1alpha1.RedisHAStatus
		want int64
	}{
		"one promotion":             {[]*v1alpha1.RedisHAStatus{statusOf("a", 1, 2), statusOf("b", 2, 2)}, 0},
		"one, reported twice":       {[]*v1alpha1.RedisHAStatus{statusOf("b", 2, 2), statusOf("b", 2, 2)}, 0},
		"two published":             {[]*v1alpha1.RedisHAStatus{statusOf("b", 2, 2), statusOf("c", 3, 3)}, 1},
		"there and back":            {[]*v1alpha1.RedisHAStatus{statusOf("b", 2, 2), statusOf("a", 3, 3)}, 1},
		"one begun and given up":    {[]*v1alpha1.RedisHAStatus{statusOf("a", 1, 2), statusOf("b", 3, 3)}, 1},
		"the watch missed one":      {[]*v1alpha1.RedisHAStatus{statusOf("c", 3, 3)}, 1},
		"another begun when it was": {[]*v1alpha1.RedisHAStatus{statusOf("b", 2, 2), statusOf("b", 2, 3)}, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := &promotions{}
			p.note(statusOf("a", 1, 1))
			var before, after result
			before.published, before.epoch = p.count()
			for _, status := range test.seen {
				p.note(status)
			}
			after.published, after.epoch = p.count()
			if got := falsePromotions(before, after); got != test.want {
				t.Errorf("%d false promotions, want %d", got, test.want)
			}
		})
	}
}

func TestTheWatchHasCaughtUpWhenItKnowsMasterAndEpoch(t *testing.T) {
	p := &promotions{}
	status := statusOf("b", 2, 2)
	if p.caughtUp(status) {
		t.Error("a watch that has seen nothing has caught up")
	}
	p.note(statusOf("a", 1, 2))
	if p.caughtUp(status) {
		t.Error("a watch that knows the old master has caught up")
	}
	p.note(status)
	if !p.caughtUp(status) {
		t.Error("a watch that has seen all has not caught up")
	}
}
