// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// tooOld reports a replica without a link to its master, whose Redis is the older one of the two. What a master sends
// first is a snapshot, and a Redis reads snapshots of its own form and of earlier ones.
func (r rollout) tooOld(pod *corev1.Pod) bool {
	return !r.serves(pod) && older(r.version(pod.Name), r.version(r.master()))
}

// version is that of the Redis in a pod; empty when it is not known.
func (r rollout) version(pod string) string {
	for _, n := range r.rha.Status.Nodes {
		if n.Pod == pod {
			return n.Version
		}
	}
	return ""
}

// older compares versions of the same server by their first two numbers: those that have these in common read each
// other's snapshots. Versions of two servers cannot be compared.
func older(a, b string) bool {
	serverA, numbersA := split(a)
	serverB, numbersB := split(b)
	if serverA != serverB || len(numbersA) < 2 || len(numbersB) < 2 {
		return false
	}
	return slices.CompareFunc(numbersA[:2], numbersB[:2], cmp.Compare[int]) < 0
}

// split is a version without its server's name; no number where it is none.
func split(version string) (server string, numbers []int) {
	server, text, named := strings.Cut(version, " ")
	if !named {
		server, text = "", version
	}
	for _, part := range strings.Split(text, ".") {
		number, err := strconv.Atoi(part)
		if err != nil {
			return server, nil
		}
		numbers = append(numbers, number)
	}
	return server, numbers
}
