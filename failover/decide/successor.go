// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/diagnosis"
	"github.com/redisha/redisha/failover/election"
)

// successor chooses the candidate of a switchover; target restricts it to one pod.
func successor(v diagnosis.View, target string, givenUp []string) election.Result {
	var fit []failover.Node
	limits := make([]string, 0, len(v.Others))
	for _, n := range v.Others {
		if target != "" && n.Name != target {
			continue
		}
		if l := plannedIneligibility(v, n); l != failover.Eligible {
			limits = append(limits, fmt.Sprintf("%s is %s", n.Name, l))
			continue
		}
		fit = append(fit, n)
	}
	switch {
	case len(fit) > 0:
	case target == "":
		return election.Result{
			Reason:   failover.ReasonNoCandidate,
			Sentence: "no replica can take over: " + election.Told(limits),
		}
	case len(limits) == 0:
		return election.Result{Reason: failover.ReasonRequestedNodeIneligible, Sentence: "there is no replica " + target}
	default:
		return election.Result{
			Reason:   failover.ReasonRequestedNodeIneligible,
			Sentence: "it cannot take over: " + election.Told(limits),
		}
	}
	slices.SortFunc(fit, func(a, b failover.Node) int {
		return cmp.Or(
			election.CompareTrue(!leaves(a), !leaves(b)),
			election.CompareTrue(!a.Unproven, !b.Unproven), election.CompareTrue(!a.Outdated, !b.Outdated),
			election.CompareTrue(!slices.Contains(givenUp, a.Name), !slices.Contains(givenUp, b.Name)), election.ByData(a, b),
		)
	})
	return election.Result{Candidate: &fit[0]}
}

// leaves reports a node whose Kubernetes node is to be left soon, or is gone.
func leaves(n failover.Node) bool { return n.Cordoned || n.NodeGone }

// plannedIneligibility is why a node may not be promoted in a switchover, where the master lives and can be waited for.
// A master whose pod is being deleted waits for none: then a replica that leaves too is better than a failover, which
// might lose the last writes.
func plannedIneligibility(v diagnosis.View, n failover.Node) failover.Ineligibility {
	lineage := v.Master.Replication.Lineage
	if l := election.IneligibilityOf(n, lineage, v.Policy); l != failover.Eligible {
		return l
	}
	switch {
	case !v.Attached(n):
		return failover.IneligibleNotLinked
	case n.Ordinal >= v.Policy.Replicas:
		return failover.IneligibleSurplus
	case leaves(n) && !v.Master.Terminating:
		return failover.IneligibleLeaving
	}
	return failover.Eligible
}
