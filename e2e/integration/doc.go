// SPDX-License-Identifier: Apache-2.0

// Package integration tests what a person can see through the Kubernetes API: bad input is refused with its remedy,
// everything a RedisHA owns is there and stays there, pods are replaced without losing the master, and nothing is
// written when nothing changes. It runs the shipped manifests and the shipped operator in a sandbox.
//
// All tests share the sandbox, and most of their time they wait. A test that touches nothing but its own namespace runs
// beside others. One that replaces the operator, or changes a definition or a Kubernetes node, runs alone.
package integration
