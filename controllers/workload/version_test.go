// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"strings"
	"testing"

	"github.com/redisha/redisha/api/v1alpha1"
)

func TestVersionsOfOneServerAreCompared(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"7.0.15", "7.4.1", true}, {"7.4.1", "7.0.15", false}, {"7.4.0", "7.4.1", false}, {"7.10.0", "7.9.1", false},
		{"7.4.1", "8.0.0", true}, {"valkey 8.0.1", "valkey 8.1.0", true}, {"valkey 8.0.1", "8.1.0", false},
		{"7.4.1", "valkey 8.0.1", false}, {"", "7.4.1", false}, {"7.0.15", "", false}, {"7.x", "7.4.1", false}, {"7", "8", false},
	} {
		if got := older(tc.a, tc.b); got != tc.want {
			t.Errorf("%q is older than %q: %t", tc.a, tc.b, got)
		}
	}
}

// An image that is set back: the first replica that has it cannot follow, the rollout stops there, and says why.
func TestARolloutToAnOlderRedisStopsAtOneReplicaAndSaysWhy(t *testing.T) {
	r := aRollout(func(r *rollout) {
		current(&r.pods[2])
		inStatus(r, 0, v1alpha1.RoleMaster, "")
		inStatus(r, 1, v1alpha1.RoleReplica, v1alpha1.LinkUp)
		inStatus(r, 2, v1alpha1.RoleReplica, v1alpha1.LinkDown)
		for i, version := range []string{"7.4.1", "7.4.1", "7.0.15"} {
			r.rha.Status.Nodes[i].Version = version
		}
	})
	pods, progress := r.replaceable()
	if len(pods) > 0 || progress.reason != v1alpha1.ReasonRolloutStopped {
		t.Fatalf("%d to be replaced, %+v", len(pods), progress)
	}
	for _, says := range []string{"7.0.15", "7.4.1", "spec.image"} {
		if !strings.Contains(progress.message, says) {
			t.Errorf("%s does not say %q", progress.message, says)
		}
	}
}
