// SPDX-License-Identifier: Apache-2.0

// Package suite does to a RedisHA on a real cluster what happens to one in production, while clients write to it, and
// says what it cost them. The operator is deployed as its users deploy it: the installer that `make build-installer`
// writes, applied with kubectl, two replicas, with exactly the roles that are shipped.
//
// The cluster is a kind cluster, for faults are made from outside of it: signals to processes on its node containers,
// and what kubectl can do. Each scenario has a namespace of its own. Everything is in test files; `make e2e` runs it.
package suite
